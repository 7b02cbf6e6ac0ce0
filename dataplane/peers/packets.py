# SPDX-License-Identifier: Apache-2.0
"""IP packets with TCP or UDP: read, and made."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from moorline.icmp import checksum

TCP: Final = 6
UDP: Final = 17
_RESET, _ACKNOWLEDGE = 0x04, 0x10
_TTL: Final = 64
_V4, _V6 = 20, 40


class Segment(NamedTuple):
    """A packet with a whole TCP or UDP header, no fragment.

    ``sequence`` and ``acknowledged`` are 0 for UDP.
    """

    packet: bytes
    protocol: int
    source: bytes
    target: bytes
    source_port: int
    target_port: int
    sequence: int
    acknowledged: int
    payload: bytes


def read(packet: bytes) -> Segment | None:
    """The segment in an IP packet; None for anything else, IPv6 with extension headers among it."""
    if packet[:1] and packet[0] >> 4 == 4 and len(packet) >= _V4:
        at = (packet[0] & 0xF) * 4
        length = int.from_bytes(packet[2:4])
        if int.from_bytes(packet[6:8]) & 0x3FFF:
            return None
        protocol, source, target = packet[9], packet[12:16], packet[16:20]
    elif packet[:1] and packet[0] >> 4 == 6 and len(packet) >= _V6:
        at, length = _V6, _V6 + int.from_bytes(packet[4:6])
        protocol, source, target = packet[6], packet[8:24], packet[24:40]
    else:
        return None
    inside = packet[at:length]
    ports = int.from_bytes(inside[:2]), int.from_bytes(inside[2:4])
    if protocol == UDP and len(inside) >= 8:
        return Segment(packet, protocol, source, target, *ports, 0, 0, inside[8:])
    if protocol != TCP or len(inside) < 20:
        return None
    payload = inside[(inside[12] >> 4) * 4 :]
    numbers = int.from_bytes(inside[4:8]), int.from_bytes(inside[8:12])
    return Segment(packet, protocol, source, target, *ports, *numbers, payload)


def raised_ttl(packet: bytes) -> bytes:
    """The packet with a TTL or hop limit higher by one."""
    if packet[0] >> 4 == 6:
        return packet[:7] + bytes([min(packet[7] + 1, 255)]) + packet[8:]
    header = (packet[0] & 0xF) * 4
    changed = packet[:8] + bytes([min(packet[8] + 1, 255), packet[9], 0, 0]) + packet[12:header]
    return changed[:10] + checksum(changed).to_bytes(2) + changed[12:] + packet[header:]


def answer_datagram(question: Segment, payload: bytes) -> bytes:
    """The answer to a datagram, from where that was going."""
    header = struct.pack("!HHHH", question.target_port, question.source_port, 8 + len(payload), 0)
    return _packet(question.target, question.source, UDP, header + payload, 6)


def reset_to_sender(segment: Segment) -> bytes:
    """What tells the sender of a segment that the other end has ended the connection."""
    following = segment.sequence + len(segment.payload) & 0xFFFFFFFF
    ports = (segment.target_port, segment.source_port)
    return _reset(segment.target, segment.source, ports, segment.acknowledged, following)


def reset_to_target(segment: Segment) -> bytes:
    """What tells the other end that the sender of a segment has ended the connection."""
    ports = (segment.source_port, segment.target_port)
    return _reset(segment.source, segment.target, ports, segment.sequence, segment.acknowledged)


def _reset(source: bytes, target: bytes, ports: tuple[int, int], sequence: int, acknowledged: int) -> bytes:
    header = struct.pack("!HHIIBBHHH", *ports, sequence, acknowledged, 5 << 4, _RESET | _ACKNOWLEDGE, 0, 0, 0)
    return _packet(source, target, TCP, header, 16)


def _packet(source: bytes, target: bytes, protocol: int, inside: bytes, checksum_at: int) -> bytes:
    pseudo = source + target + struct.pack("!II", len(inside), protocol)
    found = checksum(pseudo + inside) or 0xFFFF
    inside = inside[:checksum_at] + found.to_bytes(2) + inside[checksum_at + 2 :]
    if len(source) == 16:
        return struct.pack("!IHBB", 6 << 28, len(inside), protocol, _TTL) + source + target + inside
    header = (
        struct.pack("!BBHHHBBH", 0x45, 0, _V4 + len(inside), 0, 0x4000, _TTL, protocol, 0) + source + target
    )
    return header[:10] + checksum(header).to_bytes(2) + header[12:] + inside
