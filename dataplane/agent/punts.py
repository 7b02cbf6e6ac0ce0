# SPDX-License-Identifier: Apache-2.0
"""Packets that the data plane hands up: what is read from its ring, and what becomes of each. Sans-IO."""

from __future__ import annotations

import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Self

from moorline import ethernet, icmp
from moorline.limits import Limiter
from moorline.wire import OVERHEAD_IPV4, OVERHEAD_IPV6

MISSES_PER_SECOND: Final = 2000.0
MISSES_BURST: Final = 1024.0
SOURCES: Final = 1024
"""Limits of the packets of one source without a connection; many sources share what the ring lets through."""

_RECORD: Final = struct.Struct("=IHHHH")
_TCP: Final = 6
_UDP: Final = 17
_ICMPV6: Final = 58
_CHECKSUM_AT: Final = {_TCP: 16, _UDP: 6, _ICMPV6: 2}


@dataclass(frozen=True, slots=True)
class Punt:
    """A record of the ring ``packet_in`` (``ebpf/packet_in.h``); ``whole`` when the frame was not cut."""

    port: int
    reason: int
    mtu: int
    frame: bytes
    whole: bool

    @classmethod
    def parse(cls, record: bytes) -> Self | None:
        """Read a record; None for one that is cut off."""
        if len(record) < _RECORD.size + ethernet.OCTETS:
            return None
        length, port, reason, mtu, _pad = _RECORD.unpack_from(record)
        frame = record[_RECORD.size :][:length]
        return cls(port, reason, mtu, frame, len(frame) == length)

    @property
    def packet(self) -> bytes:
        """The IP packet in the frame."""
        return ethernet.contents(self.frame)[1]


def carried(frame: bytes) -> bytes:
    """The IP packet in a data packet that the data plane has found to be sound."""
    kind, packet = ethernet.contents(frame)
    return packet[OVERHEAD_IPV4 if kind == ethernet.IPV4 else OVERHEAD_IPV6 :]


def lowered(frame: bytes, hops: int) -> bytes | None:
    """A frame of a whole IP packet with its TTL lower by ``hops``; None where it is too low for that."""
    if not hops:
        return frame
    at = ethernet.OCTETS
    ipv4 = frame[at] >> 4 == 4
    ttl = at + (8 if ipv4 else 7)
    if frame[ttl] <= hops:
        return None
    packet = frame[:ttl] + bytes([frame[ttl] - hops]) + frame[ttl + 1 :]
    if not ipv4:
        return packet
    end = at + (packet[at] & 0xF) * 4
    sum_at = at + 10
    blank = packet[:sum_at] + b"\0\0" + packet[sum_at + 2 :]
    return blank[:sum_at] + icmp.checksum(blank[at:end]).to_bytes(2) + blank[sum_at + 2 :]


def is_for_one_host(packet: bytes) -> bool:
    """Whether an IP packet's destination is no group."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        return packet[16] < 224  # RFC 5771, section 3: groups, and what is reserved above
    return len(packet) >= 40 and packet[0] >> 4 == 6 and packet[24] != 0xFF


def source_of(packet: bytes) -> bytes:
    """Source address of an IP packet; empty where it has none."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        return packet[12:16]
    return packet[8:24] if len(packet) >= 40 and packet[0] >> 4 == 6 else b""


def with_checksum(frame: bytes) -> bytes:
    """The frame with the checksum of its transport header made whole.

    A packet of the host's own programs has only the pseudo-header's sum there: the rest is left to the
    hardware, which it never meets. Frames that are no whole TCP, UDP or ICMPv6 packet come back as they are.
    """
    packet = frame[ethernet.OCTETS :]
    kind = int.from_bytes(frame[12 : ethernet.OCTETS])
    if kind == ethernet.IPV4 and len(packet) >= 20:
        return frame[: ethernet.OCTETS] + _ipv4(packet)
    if kind == ethernet.IPV6 and len(packet) >= 40:
        return frame[: ethernet.OCTETS] + _ipv6(packet)
    return frame


def _ipv4(packet: bytes) -> bytes:
    header = (packet[0] & 0xF) * 4
    length, fragment = int.from_bytes(packet[2:4]), int.from_bytes(packet[6:8])
    if header < 20 or length > len(packet) or length < header or fragment & 0x3FFF or packet[9] == _ICMPV6:
        return packet
    pseudo = packet[12:20] + struct.pack("!HH", packet[9], length - header)
    return packet[:header] + _transport(packet[9], pseudo, packet[header:length]) + packet[length:]


def _ipv6(packet: bytes) -> bytes:
    length = int.from_bytes(packet[4:6])
    if length > len(packet) - 40:
        return packet
    pseudo = packet[8:40] + struct.pack("!II", length, packet[6])
    return packet[:40] + _transport(packet[6], pseudo, packet[40 : 40 + length]) + packet[40 + length :]


def _transport(protocol: int, pseudo: bytes, segment: bytes) -> bytes:
    at = _CHECKSUM_AT.get(protocol)
    if at is None or len(segment) < at + 2:
        return segment
    if protocol == _UDP and segment[at : at + 2] == b"\0\0":  # none was wanted (RFC 768)
        return segment
    blank = segment[:at] + b"\0\0" + segment[at + 2 :]
    found = icmp.checksum(pseudo + blank)
    if protocol == _UDP and found == 0:
        found = 0xFFFF
    return segment[:at] + struct.pack("!H", found) + segment[at + 2 :]


class SourceLimits:
    """A bucket for each source address, of which the ones seen last are remembered."""

    def __init__(self) -> None:
        self._limiters: OrderedDict[bytes, Limiter] = OrderedDict()

    def allows(self, source: bytes, now: float) -> bool:
        """Whether one more packet of this source may go up at this time (seconds)."""
        limiter = self._limiters.get(source)
        if limiter is None:
            if len(self._limiters) >= SOURCES:
                self._limiters.popitem(last=False)
            limiter = self._limiters[source] = Limiter(MISSES_PER_SECOND, MISSES_BURST)
        self._limiters.move_to_end(source)
        return limiter.allows(now)
