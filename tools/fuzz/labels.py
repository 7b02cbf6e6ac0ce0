# SPDX-License-Identifier: Apache-2.0
"""Headers between this node and its feature peers: rules S7 and S9 of docs/wire-format.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from moorline.wire import Event, PeerHeader
from tools.vectors.entropy import flow_hash

from .departure import ethertype, over_ipv6
from .rules import ETHERNET, IPV4, IPV6, Inner, end, sums_to_zero, u16, with_checksum

VLAN: Final = b"\x81\x00"
QINQ: Final = b"\x88\xa8"
MPLS: Final = b"\x88\x47"
PBB: Final = b"\x88\xe7"
STEERING: Final = frozenset((VLAN, QINQ, MPLS, PBB, IPV4.to_bytes(2), IPV6.to_bytes(2)))
"""EtherTypes of frames that are for the path or for nobody."""
GRE: Final = 47
TTL: Final = 64


class Labelled(NamedTuple):
    """A frame from a peer: its steering label, and where what kind of packet begins."""

    label: int
    ethertype: int
    at: int
    end: int


def header_of(carried: Inner, hop: Mapping[str, Any]) -> bytes:
    """What stands between the addresses of the frame to a peer and the packet."""
    kind = PeerHeader(hop["header"])
    label: int = hop["label"]
    label2: int = hop["label2"]
    protocol = ethertype(carried.ipv6)
    if kind is PeerHeader.VLAN:
        return VLAN + _u16(label) + protocol
    if kind is PeerHeader.QINQ:
        return QINQ + _u16(label) + VLAN + _u16(label2) + protocol
    if kind is PeerHeader.MPLS:
        both = _stack_entry(label, last=not label2)
        return MPLS + both + (_stack_entry(label2, last=True) if label2 else b"")
    if kind is PeerHeader.GRE:
        gre = b"\x20\0" + protocol + label.to_bytes(4)
        return ethertype(over_ipv6(hop["remote"])) + _outer(carried, len(gre), hop) + gre
    if kind is PeerHeader.PBB:
        tag = QINQ + _u16(label2) if label2 else b""
        return tag + PBB + label.to_bytes(4) + macs(hop) + protocol
    return protocol


def macs(hop: Mapping[str, Any]) -> bytes:
    """Destination and source of the frame to a peer."""
    destination, source = hop["dst_mac"], hop["src_mac"]
    return bytes(destination.to_bytes(6) + source.to_bytes(6))


def _u16(value: int) -> bytes:
    return value.to_bytes(2)


def _stack_entry(label: int, *, last: bool) -> bytes:
    return (label << 12 | last << 8 | TTL).to_bytes(4)


def _outer(carried: Inner, header: int, hop: Mapping[str, Any]) -> bytes:
    length, marks = header + len(carried.packet), carried.traffic_class
    local: bytes = hop["local"]
    remote: bytes = hop["remote"]
    if over_ipv6(remote):
        first = 6 << 28 | marks << 20 | flow_hash(carried.packet) >> 15
        return first.to_bytes(4) + _u16(length) + bytes([GRE, TTL]) + local + remote
    fixed = bytes([0x45, marks]) + _u16(20 + length) + b"\0\0\x40\0" + bytes([TTL, GRE, 0, 0])
    return with_checksum(fixed + local[12:] + remote[12:])


def labelled(frame: bytes, kind: PeerHeader) -> Labelled:
    """The header of a frame that came from a peer with this kind of header."""
    if frame[12:14] not in STEERING:
        end(Event.PASS)
    found = _READERS[kind](frame)
    if found is None:
        end(Event.DROP_PEER_HEADER)
    if found.ethertype not in (IPV4, IPV6):
        end(Event.DROP_PEER_HEADER if found.ethertype.to_bytes(2) in _NOT_BEHIND[kind] else Event.PASS)
    return found


def _plain(frame: bytes) -> Labelled | None:
    return Labelled(0, u16(frame, 12), ETHERNET, len(frame))


def _vlan(frame: bytes) -> Labelled | None:
    if frame[12:14] != VLAN or len(frame) < 18:
        return None
    return Labelled(u16(frame, 14) & 0xFFF, u16(frame, 16), 18, len(frame))


def _qinq(frame: bytes) -> Labelled | None:
    if frame[12:14] != QINQ or frame[16:18] != VLAN or len(frame) < 22:
        return None
    return Labelled(u16(frame, 14) & 0xFFF, u16(frame, 20), 22, len(frame))


def _mpls(frame: bytes) -> Labelled | None:
    if frame[12:14] != MPLS or len(frame) < 18:
        return None
    at = 18
    if not frame[16] & 1:
        if len(frame) < 22 or not frame[20] & 1:
            return None
        at = 22
    version = frame[at] >> 4 if len(frame) > at else 0
    if version not in (4, 6):
        return None
    label = int.from_bytes(frame[14:17]) >> 4
    return Labelled(label, IPV4 if version == 4 else IPV6, at, len(frame))


def _gre(frame: bytes) -> Labelled | None:
    bounds = _outer_bounds(frame)
    if bounds is None:
        return None
    return gre_packet(frame, *bounds)


def gre_packet(frame: bytes, at: int, stop: int) -> Labelled | None:
    """A GRE header at ``at`` of a packet that ends at ``stop``; None when it is none that may be."""
    if stop < at + 4 or frame[at] & 0xD0 or frame[at + 1] & 7 or u16(frame, at + 2) not in (IPV4, IPV6):
        return None
    if not frame[at] & 0x20:
        return Labelled(0, u16(frame, at + 2), at + 4, stop)
    if stop < at + 8:
        return None
    return Labelled(int.from_bytes(frame[at + 4 : at + 8]), u16(frame, at + 2), at + 8, stop)


def _outer_bounds(frame: bytes) -> tuple[int, int] | None:
    """Where the payload of a sound outer packet with GRE begins and ends."""
    kind, at = u16(frame, 12), ETHERNET
    if kind == IPV4 and len(frame) >= at + 20:
        total = u16(frame, at + 2)
        sound = frame[at] == 0x45 and sums_to_zero(frame[at : at + 20]) and not u16(frame, at + 6) & 0x3FFF
        if sound and 20 <= total <= len(frame) - at and frame[at + 9] == GRE:
            return at + 20, at + total
    if kind == IPV6 and len(frame) >= at + 40:
        total = 40 + u16(frame, at + 4)
        if frame[at] >> 4 == 6 and total <= len(frame) - at and frame[at + 6] == GRE:
            return at + 40, at + total
    return None


def _pbb(frame: bytes) -> Labelled | None:
    at = ETHERNET + (4 if frame[12:14] == QINQ else 0)
    if frame[at - 2 : at] != PBB or len(frame) < at + 18:
        return None
    return Labelled(int.from_bytes(frame[at + 1 : at + 4]), u16(frame, at + 16), at + 18, len(frame))


_NOT_BEHIND: Final[Mapping[PeerHeader, frozenset[bytes]]] = {
    PeerHeader.NONE: STEERING,
    PeerHeader.VLAN: frozenset((VLAN, QINQ)),
    PeerHeader.QINQ: frozenset((VLAN, QINQ)),
    PeerHeader.PBB: frozenset(),
}
"""EtherTypes that are headers of another kind behind, or in place of, one of this kind."""
_READERS: Final[Mapping[PeerHeader, Callable[[bytes], Labelled | None]]] = {
    PeerHeader.NONE: _plain,
    PeerHeader.VLAN: _vlan,
    PeerHeader.QINQ: _qinq,
    PeerHeader.MPLS: _mpls,
    PeerHeader.GRE: _gre,
    PeerHeader.PBB: _pbb,
}
