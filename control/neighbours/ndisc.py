# SPDX-License-Identifier: Apache-2.0
"""Neighbour solicitations and advertisements (RFC 4861, sections 4.3, 4.4 and 7.1) in their IPv6 packets."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from moorline.icmp import checksum

ALL_NODES: Final = bytes.fromhex("ff02") + bytes(13) + b"\1"
UNSPECIFIED: Final = bytes(16)

_IPV6: Final = struct.Struct("!IHBB16s16s")
_PSEUDO: Final = struct.Struct("!16s16sII")
_MESSAGE: Final = struct.Struct("!BBHI16s")
_ICMPV6: Final = 58
_HOP_LIMIT: Final = 255
"""A message with less has crossed a router, and is no neighbour's (RFC 4861, section 7.1)."""

_SOLICITATION: Final = 135
_ADVERTISEMENT: Final = 136
_SOURCE_MAC: Final = 1
_TARGET_MAC: Final = 2
_ROUTER, _SOLICITED, _OVERRIDE = 1 << 31, 1 << 30, 1 << 29
_SOLICITED_NODE: Final = bytes.fromhex("ff02") + bytes(9) + b"\1\xff"


def solicited_node(address: bytes) -> bytes:
    """The group of whoever has ``address`` (RFC 4291, section 2.7.1)."""
    return _SOLICITED_NODE + address[13:]


@dataclass(frozen=True, slots=True)
class Solicitation:
    """Who has ``target``? From the unspecified address it asks whether ``target`` is free (RFC 4862)."""

    source: bytes
    destination: bytes
    target: bytes
    mac: bytes | None

    def encode(self) -> bytes:
        """The IPv6 packet."""
        return _packet(self.source, self.destination, _SOLICITATION, 0, self.target, _SOURCE_MAC, self.mac)


@dataclass(frozen=True, slots=True)
class Advertisement:
    """``target`` is at ``mac``: as an answer if ``solicited``, instead of what was known if ``override``."""

    source: bytes
    destination: bytes
    target: bytes
    mac: bytes | None
    router: bool
    solicited: bool
    override: bool

    def encode(self) -> bytes:
        """The IPv6 packet."""
        flags = self.router * _ROUTER | self.solicited * _SOLICITED | self.override * _OVERRIDE
        return _packet(
            self.source, self.destination, _ADVERTISEMENT, flags, self.target, _TARGET_MAC, self.mac
        )


def parse(packet: bytes) -> Solicitation | Advertisement | None:
    """Read an IPv6 packet, with what pads the frame behind it; None for what is no sound message.

    A message behind an extension header is none: nobody sends such, and fragments must be ignored (RFC 6980).
    """
    if len(packet) < _IPV6.size + _MESSAGE.size:
        return None
    first, length, kind, hops, source, destination = _IPV6.unpack_from(packet)
    body = packet[_IPV6.size :][:length]
    if first >> 28 != 6 or kind != _ICMPV6 or hops != _HOP_LIMIT or not _MESSAGE.size <= length == len(body):
        return None
    if checksum(_PSEUDO.pack(source, destination, length, _ICMPV6) + body):
        return None
    return _message(source, destination, body)


def _message(source: bytes, destination: bytes, body: bytes) -> Solicitation | Advertisement | None:
    kind, code, _, flags, target = _MESSAGE.unpack_from(body)
    options = dict(_options(body[_MESSAGE.size :]))
    if code or target[0] == 0xFF or _BROKEN in options:
        return None
    if kind == _SOLICITATION:
        return _solicitation(source, destination, target, options.get(_SOURCE_MAC))
    if kind == _ADVERTISEMENT:
        return _advertisement(source, destination, target, options.get(_TARGET_MAC), flags)
    return None


def _solicitation(source: bytes, destination: bytes, target: bytes, mac: bytes | None) -> Solicitation | None:
    if source == UNSPECIFIED and (destination != solicited_node(target) or mac is not None):
        return None
    return Solicitation(source, destination, target, mac)


def _advertisement(
    source: bytes, destination: bytes, target: bytes, mac: bytes | None, flags: int
) -> Advertisement | None:
    if destination[0] == 0xFF and flags & _SOLICITED:
        return None
    router, solicited, override = (bool(flags & flag) for flag in (_ROUTER, _SOLICITED, _OVERRIDE))
    return Advertisement(source, destination, target, mac, router, solicited, override)


_BROKEN: Final = -1


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Link-layer addresses by the type of their option; ``_BROKEN`` for a list that must be discarded."""
    at = 0
    while at < len(data):
        octets = data[at + 1] * 8 if at + 1 < len(data) else 0
        if octets == 0 or at + octets > len(data):
            yield _BROKEN, b""
            return
        if data[at] in (_SOURCE_MAC, _TARGET_MAC) and octets == 8:
            yield data[at], data[at + 2 : at + 8]
        at += octets


def _packet(
    source: bytes, destination: bytes, kind: int, flags: int, target: bytes, option: int, mac: bytes | None
) -> bytes:
    body = _MESSAGE.pack(kind, 0, 0, flags, target) + (bytes([option, 1]) + mac if mac else b"")
    found = checksum(_PSEUDO.pack(source, destination, len(body), _ICMPV6) + body)
    header = _IPV6.pack(6 << 28, len(body), _ICMPV6, _HOP_LIMIT, source, destination)
    return header + body[:2] + struct.pack("!H", found) + body[4:]
