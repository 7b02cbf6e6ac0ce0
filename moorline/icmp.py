# SPDX-License-Identifier: Apache-2.0
"""ICMP and ICMPv6 errors about a packet that a data plane could not carry (RFC 792, 1122, 4443). Sans-IO.

Unless a source is given, the answer comes from the address that the packet was for, as the tunnels of Linux
do it: a virtual link has no router with an address of its own.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from moorline.wire import Event

ANSWERS_PER_SECOND: Final = 1000.0
ANSWERS_BURST: Final = 100.0
"""Limits of the answers of one data plane (RFC 1812, section 4.3.2.8; RFC 4443, section 2.4 (f))."""

_ICMP: Final = 1
_ICMPV6: Final = 58
_ICMP_ERRORS: Final = frozenset({3, 4, 5, 11, 12})
_ICMPV6_INFORMATION: Final = 128
"""ICMPv6 types below are errors (RFC 4443, section 2.1)."""

_QUOTE_LIMIT_IPV4: Final = 576
_QUOTE_LIMIT_IPV6: Final = 1280
"""Largest answers, in octets: RFC 1812, section 4.3.2.3, and RFC 4443, section 2.4 (c)."""

_BROADCAST: Final = IPv4Address("255.255.255.255")
_TTL: Final = 64
_EXTENSIONS: Final = frozenset({0, 43, 60})
"""Extension headers with the common length field: hop-by-hop, routing, destination options."""
_FRAGMENT: Final = 44


def answer_to(event: int, packet: bytes, mtu: int, source: bytes = b"") -> bytes | None:
    """The answer to ``packet``, for which there was this :class:`Event`; None where it gets none.

    It comes from ``source`` (4 or 16 octets); without one, from the address that the packet was for.
    """
    match event:
        case Event.PUNT_TOO_BIG:
            return too_big(packet, mtu, source)
        case Event.PUNT_TTL_EXPIRED:
            return time_exceeded(packet, source)
    return None


def too_big(packet: bytes, mtu: int, source: bytes = b"") -> bytes | None:
    """The answer that ``packet`` (inner IP) is larger than ``mtu`` octets; None where the RFCs forbid one.

    An IPv4 packet gets it with or without "don't fragment": nobody on the way can fragment it, and the
    sender's kernel will once it knows. ICMPv6 answers multicast too (RFC 4443, section 2.4 (e.3)).
    """
    if _version(packet) == 4 and _may_answer_ipv4(packet):
        return _icmp(packet, source, 3, 4, struct.pack("!HH", 0, min(mtu, 0xFFFF)))
    if _version(packet) == 6 and _may_answer_ipv6(packet, multicast=True):
        return _icmpv6(packet, source, 2, 0, struct.pack("!I", mtu))
    return None


def time_exceeded(packet: bytes, source: bytes = b"") -> bytes | None:
    """The answer that the TTL or hop limit of ``packet`` ran out; None where the RFCs forbid one."""
    if _version(packet) == 4 and _may_answer_ipv4(packet):
        return _icmp(packet, source, 11, 0, bytes(4))
    if _version(packet) == 6 and _may_answer_ipv6(packet, multicast=False):
        return _icmpv6(packet, source, 3, 0, bytes(4))
    return None


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of ``data``."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _version(packet: bytes) -> int:
    return packet[0] >> 4 if packet else 0


def _may_answer_ipv4(packet: bytes) -> bool:
    # RFC 1122, section 3.2.2: no error about an error, about what was sent to many or by nobody, or about a
    # fragment but the first.
    header = (packet[0] & 0xF) * 4
    if header < 20 or len(packet) < header:
        return False
    if struct.unpack_from("!H", packet, 6)[0] & 0x1FFF:
        return False
    source, destination = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    if not _is_one_host(source) or destination.is_multicast or destination == _BROADCAST:
        return False
    return not (packet[9] == _ICMP and (len(packet) <= header or packet[header] in _ICMP_ERRORS))


def _may_answer_ipv6(packet: bytes, *, multicast: bool) -> bool:
    # RFC 4443, section 2.4 (e).
    if len(packet) < 40:
        return False
    source, destination = IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
    if not _is_one_host(source) or (destination.is_multicast and not multicast):
        return False
    return not _is_error_or_later_fragment(packet)


def _is_one_host(source: IPv4Address | IPv6Address) -> bool:
    return not (source.is_multicast or source.is_unspecified or source.is_loopback or source == _BROADCAST)


def _is_error_or_later_fragment(packet: bytes) -> bool:
    kind, at = packet[6], 40
    while at + 8 <= len(packet):
        if kind == _FRAGMENT:
            if struct.unpack_from("!H", packet, at + 2)[0] >> 3:
                return True
            kind, at = packet[at], at + 8
        elif kind in _EXTENSIONS:
            kind, at = packet[at], at + (packet[at + 1] + 1) * 8
        else:
            break
    return kind == _ICMPV6 and (at >= len(packet) or packet[at] < _ICMPV6_INFORMATION)


def _icmp(packet: bytes, source: bytes, kind: int, code: int, rest: bytes) -> bytes:
    quote = packet[: _QUOTE_LIMIT_IPV4 - 28]
    body = struct.pack("!BBH", kind, code, 0) + rest + quote
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    # Type of service 0xC0: internetwork control (RFC 1812, section 4.3.2.5).
    header = (
        struct.pack("!BBHHHBBH", 0x45, 0xC0, 20 + len(body), 0, 0, _TTL, _ICMP, 0)
        + (source or packet[16:20])
        + packet[12:16]
    )
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + body


def _icmpv6(packet: bytes, source: bytes, kind: int, code: int, rest: bytes) -> bytes:
    quote = packet[: _QUOTE_LIMIT_IPV6 - 48]
    body = struct.pack("!BBH", kind, code, 0) + rest + quote
    # A packet for many has no address to answer from; nor has the virtual link, so that its own source must
    # do.
    answering = packet[8:24] if packet[24] == 0xFF else packet[24:40]
    addresses = (source or answering) + packet[8:24]
    pseudo = addresses + struct.pack("!II", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return struct.pack("!IHBB", 6 << 28, len(body), _ICMPV6, _TTL) + addresses + body
