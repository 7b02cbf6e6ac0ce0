# SPDX-License-Identifier: Apache-2.0
"""The rules of docs/wire-format.md that need no tables: how far a frame is sound, and what it says."""

from __future__ import annotations

from typing import Final, NamedTuple, NoReturn

from moorline.wire import VXLAN_PORT, Event, Tunnel

IPV4: Final = 0x0800
IPV6: Final = 0x86DD
VLAN_TAGS: Final = (0x8100, 0x88A8)
ETHERNET: Final = 14
UDP: Final = 17
FRAGMENT: Final = 44
GENEVE_PORT: Final = 6081
OUR_OPTION: Final = 0xFF4D81
UDP_TUNNELS: Final = {GENEVE_PORT: Tunnel.GENEVE, VXLAN_PORT: Tunnel.VXLAN}
"""By destination port."""
PLAIN_TUNNELS: Final = {47: Tunnel.GRE, 4: Tunnel.IPIP, 41: Tunnel.IPIP}
"""By protocol."""
DATA_HEADER: Final = 24
"""Octets of Geneve's header with our option."""
MAPPED: Final = bytes(10) + b"\xff\xff"


class Prediction(NamedTuple):
    """What must become of a frame. ``packet`` is the frame that leaves, with its Ethernet header.

    With ``event`` DROP_NO_ROUTE or DROP_NO_NEIGHBOUR, ``packet`` is what leaves all the same on a hook
    that lets the kernel look for the way afterwards.
    """

    event: Event
    egress: int | None = None
    packet: bytes | None = None
    mtu: int = 0


class Decided(Exception):  # noqa: N818 (a verdict, no error)
    """A rule has decided what becomes of the frame."""

    def __init__(self, event: Event, mtu: int = 0) -> None:
        super().__init__(event)
        self.prediction = Prediction(event, mtu=mtu)


def end(event: Event, mtu: int = 0) -> NoReturn:
    """This is what becomes of the frame."""
    raise Decided(event, mtu)


class Outer(NamedTuple):
    """A sound outer IP header. Addresses are in 128-bit form; offsets are from the frame's start."""

    source: bytes
    destination: bytes
    traffic_class: int
    ttl: int
    """Or hop limit."""
    payload: int
    end: int
    pseudo: bytes
    """The UDP pseudo-header without the length."""
    source_port: int
    """0 where there is no UDP header."""
    tunnel: Tunnel
    protocol: int
    ipv6: bool

    @property
    def from_nobody(self) -> bool:
        """Whether the source is never a good one (the end of rule U10)."""
        unspecified = not any(self.source) or self.source == MAPPED + bytes(4)
        return unspecified or (self.ipv6 and self.source.startswith(MAPPED))


class Inner(NamedTuple):
    """A sound inner packet, of the length that it says itself. Addresses as they stand in it."""

    packet: bytes
    ipv6: bool
    source: bytes
    destination: bytes
    traffic_class: int


def u16(octets: bytes, at: int) -> int:
    """Two octets in network order."""
    return octets[at] << 8 | octets[at + 1]


def sums_to_zero(octets: bytes) -> bool:
    """Whether the Internet checksum over the octets, its own field among them, holds (RFC 1071)."""
    if len(octets) % 2:
        octets += b"\0"
    value = int.from_bytes(octets, "big")
    return value != 0 and value % 0xFFFF == 0


def with_checksum(header: bytes) -> bytes:
    """The IPv4 header, options or not, with its checksum."""
    rest = int.from_bytes(header[:10] + bytes(2) + header[12:], "big") % 0xFFFF
    return header[:10] + (0xFFFF - (rest or 0xFFFF)).to_bytes(2, "big") + header[12:]


def link(frame: bytes) -> tuple[int, int]:
    """Offset and EtherType of the network header (rule U1); type 0 when the frame ends before."""
    at, ethertype = ETHERNET, u16(frame, 12)
    for _ in range(2):
        if ethertype not in VLAN_TAGS:
            break
        if len(frame) < at + 4:
            return at, 0
        at, ethertype = at + 4, u16(frame, at + 2)
    return at, ethertype


Opened = frozenset[tuple[bytes, int]]
"""Addresses in ``terminate``, each with a kind of tunnel."""


def _kind(frame: bytes, at: int, protocol: int) -> tuple[Tunnel, int]:
    """What a payload at ``at`` may be of ours, and its source port (rules U3, U4)."""
    if protocol in PLAIN_TUNNELS:
        return PLAIN_TUNNELS[protocol], 0
    if protocol != UDP or len(frame) < at + 4 or u16(frame, at + 2) not in UDP_TUNNELS:
        end(Event.PASS)
    return UDP_TUNNELS[u16(frame, at + 2)], u16(frame, at)


def outer4(frame: bytes, at: int, opened: Opened) -> Outer:
    """Rules U2 to U6 for IPv4; ``opened``: with 32-bit addresses."""
    if len(frame) < at + 20 or frame[at] >> 4 != 4:  # U2
        end(Event.PASS)
    header = (frame[at] & 15) * 4
    payload = at + max(header, 20)
    fragment = u16(frame, at + 6)
    if fragment & 0x1FFF or len(frame) < payload:  # U2, U3
        end(Event.PASS)
    tunnel, source_port = _kind(frame, payload, frame[at + 9])
    if (frame[at + 16 : at + 20], tunnel) not in opened:  # U4
        end(Event.PASS)
    least = 8 if frame[at + 9] == UDP else 0
    if len(frame) < payload + least:  # U5
        end(Event.DROP_OUTER_TRUNCATED)
    if header != 20:
        end(Event.DROP_OUTER_HEADER_LENGTH)
    if not sums_to_zero(frame[at : at + 20]):
        end(Event.DROP_OUTER_CHECKSUM)
    total = u16(frame, at + 2)
    if not 20 + least <= total <= len(frame) - at:  # U6
        end(Event.DROP_OUTER_LENGTH)
    if fragment & 0x2000:
        end(Event.DROP_OUTER_FRAGMENT)
    source, destination = frame[at + 12 : at + 16], frame[at + 16 : at + 20]
    pseudo = source + destination + UDP.to_bytes(2, "big")
    classes = (frame[at + 1], frame[at + 8])
    ends = (MAPPED + source, MAPPED + destination)
    return Outer(*ends, *classes, payload, at + total, pseudo, source_port, tunnel, frame[at + 9], ipv6=False)


def outer6(frame: bytes, at: int, opened: Opened) -> Outer:
    """Rules U2 to U6 for IPv6; ``opened``: with 128-bit addresses."""
    if len(frame) < at + 40 or frame[at] >> 4 != 6:  # U2
        end(Event.PASS)
    payload, following = at + 40, frame[at + 6]
    first_fragment = False
    if following == FRAGMENT and len(frame) >= payload + 8:  # U3
        first_fragment = frame[payload] == UDP and u16(frame, payload + 2) < 8
        payload += 8
        following = UDP if first_fragment else FRAGMENT
    tunnel, source_port = _kind(frame, payload, following)
    source, destination = frame[at + 8 : at + 24], frame[at + 24 : at + 40]
    if (destination, tunnel) not in opened:  # U4
        end(Event.PASS)
    least = 8 if following == UDP else 0
    if len(frame) < payload + least:  # U5
        end(Event.DROP_OUTER_TRUNCATED)
    if first_fragment:  # U6
        end(Event.DROP_OUTER_FRAGMENT)
    length = u16(frame, at + 4)
    if not least <= length <= len(frame) - payload:  # U6
        end(Event.DROP_OUTER_LENGTH)
    classes, pseudo = (
        (u16(frame, at) >> 4 & 0xFF, frame[at + 7]),
        source + destination + UDP.to_bytes(2, "big"),
    )
    stop = payload + length
    return Outer(
        source, destination, *classes, payload, stop, pseudo, source_port, tunnel, following, ipv6=True
    )


def udp_payload(frame: bytes, outer: Outer) -> bytes:
    """What is behind the UDP header (rule U7)."""
    datagram = frame[outer.payload : outer.end]
    length = u16(datagram, 4)
    if length != len(datagram):
        end(Event.DROP_UDP_LENGTH)
    if u16(datagram, 6) and not sums_to_zero(outer.pseudo + datagram[4:6] + datagram):
        end(Event.DROP_UDP_CHECKSUM)
    return datagram[8:]


def geneve(payload: bytes) -> int:
    """Protocol type of a data packet (rules U8, U9)."""
    fixed = len(payload) >= DATA_HEADER and payload[0] == 4 and payload[1] & 0x40
    if not (fixed and payload[8:11] == OUR_OPTION.to_bytes(3, "big") and payload[11] & 0x1F == 3):
        _other_geneve(payload)
    if payload[1] & 0x80:
        end(Event.DROP_GENEVE_PROTOCOL)
    protocol = u16(payload, 2)
    if protocol not in (IPV4, IPV6):
        end(Event.DROP_GENEVE_PROTOCOL)
    return protocol


def _other_geneve(payload: bytes) -> NoReturn:
    if len(payload) < 8:
        end(Event.DROP_GENEVE_TRUNCATED)
    if payload[0] >> 6:
        end(Event.DROP_GENEVE_VERSION)
    options = payload[8 : 8 + (payload[0] & 0x3F) * 4]
    if len(options) < (payload[0] & 0x3F) * 4:
        end(Event.DROP_GENEVE_TRUNCATED)
    kinds, at = set(), 0
    while at < len(options):
        kinds.add(int.from_bytes(options[at : at + 3], "big"))
        at += 4 + (options[at + 3] & 0x1F) * 4
    if at > len(options):
        end(Event.DROP_GENEVE_OPTIONS)
    if any(kind & 0x80 for kind in kinds - {OUR_OPTION}):
        end(Event.DROP_GENEVE_UNKNOWN_CRITICAL)
    end(Event.DROP_GENEVE_OPTIONS if OUR_OPTION in kinds else Event.PASS)


def inner(octets: bytes, ethertype: int) -> Inner:
    """Rule U11 up to the length, which A2 shares; octets behind the packet's own length are cut off."""
    return _inner6(octets) if ethertype == IPV6 else _inner4(octets)


def _inner4(octets: bytes) -> Inner:
    if len(octets) < 20:
        end(Event.DROP_INNER_TRUNCATED)
    if octets[0] >> 4 != 4:
        end(Event.DROP_INNER_VERSION)
    header = (octets[0] & 15) * 4
    if header < 20:
        end(Event.DROP_INNER_HEADER_LENGTH)
    if header > len(octets):
        end(Event.DROP_INNER_TRUNCATED)
    if not sums_to_zero(octets[:header]):
        end(Event.DROP_INNER_CHECKSUM)
    total = u16(octets, 2)
    if not header <= total <= len(octets):
        end(Event.DROP_INNER_LENGTH)
    return Inner(octets[:total], False, octets[12:16], octets[16:20], octets[1])


def _inner6(octets: bytes) -> Inner:
    if len(octets) < 40:
        end(Event.DROP_INNER_TRUNCATED)
    if octets[0] >> 4 != 6:
        end(Event.DROP_INNER_VERSION)
    total = 40 + u16(octets, 4)
    if total > len(octets):
        end(Event.DROP_INNER_LENGTH)
    return Inner(octets[:total], True, octets[8:24], octets[24:40], u16(octets, 0) >> 4 & 0xFF)
