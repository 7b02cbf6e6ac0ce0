# SPDX-License-Identifier: Apache-2.0
"""Ethernet frames with at most one VLAN tag, as ports of a switch send and receive them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Self

from moorline import ethernet

BROADCAST: Final = b"\xff" * 6

_HEADER: Final = struct.Struct("!6s6sH")
_TAG: Final = struct.Struct("!HH")
_VLAN_ID: Final = 0x0FFF

_NEXT_HEADER: Final = 6
_ICMPV6: Final = 58
_ICMPV6_TYPE: Final = 40
_RESOLUTION: Final = (135, 136)
"""Neighbour solicitation and advertisement; their header follows that of IPv6 at once."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame; ``vlan`` is 0 without a tag, or with one that gives only a priority."""

    destination: bytes
    source: bytes
    kind: int
    payload: bytes
    vlan: int = 0

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """Read a frame; None for one that ends within its header, or has more than one tag."""
        if len(data) < ethernet.OCTETS:
            return None
        destination, source, kind = _HEADER.unpack_from(data)
        vlan, at = 0, ethernet.OCTETS
        if kind == ethernet.VLAN:
            if len(data) < at + _TAG.size:
                return None
            tag, kind = _TAG.unpack_from(data, at)
            vlan, at = tag & _VLAN_ID, at + _TAG.size
        if kind in (ethernet.VLAN, ethernet.QINQ):
            return None
        return cls(destination, source, kind, data[at:], vlan)

    def encode(self) -> bytes:
        """The reverse of :meth:`parse`."""
        if not self.vlan:
            return _HEADER.pack(self.destination, self.source, self.kind) + self.payload
        header = _HEADER.pack(self.destination, self.source, ethernet.VLAN)
        return header + _TAG.pack(self.vlan, self.kind) + self.payload


def is_resolution(data: bytes) -> bool:
    """Whether a frame holds a message by which neighbours find one another, sound or not."""
    if len(data) < ethernet.OCTETS:
        return False
    kind, packet = ethernet.contents(data)
    if kind != ethernet.IPV6 or len(packet) <= _ICMPV6_TYPE:
        return kind == ethernet.ARP
    return packet[_NEXT_HEADER] == _ICMPV6 and packet[_ICMPV6_TYPE] in _RESOLUTION


def is_station(mac: bytes) -> bool:
    """Whether a link-layer address can be a single machine's: no group's, and not all zeros."""
    return not mac[0] & 1 and any(mac)


def group_mac(address: bytes) -> bytes:
    """The link-layer address of an IPv6 group (RFC 2464, section 7)."""
    return b"\x33\x33" + address[12:]
