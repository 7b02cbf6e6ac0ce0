# SPDX-License-Identifier: Apache-2.0
"""The packets of the measured connections: number n joins 10.0.0.0 + n (here) and 11.0.0.0 + n (there)."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from moorline import wire
from tools.bench.restore import ipv4_sum

HERE, THERE = int(IPv4Address("10.0.0.0")), int(IPv4Address("11.0.0.0"))
OUTER_SOURCE, OUTER_DESTINATION = IPv4Address("192.0.2.7"), IPv4Address("192.0.2.1")
FRAME_OCTETS = 128
_OUTER_OCTETS = 14 + wire.OVERHEAD_IPV4


def scid_of(slot: int) -> int:
    """The SCID of connection ``slot``, as ``restore_xdp.c`` computes it."""
    return (slot * 0x9E3779B97F4A7C15 << 24 | slot) & (1 << 64) - 1


def data_frame() -> tuple[bytes, int]:
    """A data packet over IPv4, SCID and inner addresses yet to be filled in, and its inner header's sum."""
    inner_octets = FRAME_OCTETS - _OUTER_OCTETS
    inner = _ipv4(inner_octets, bytes(4), bytes(4))
    outer = _with_checksum(
        _ipv4(FRAME_OCTETS - 14, OUTER_SOURCE.packed, OUTER_DESTINATION.packed, fragment=0x4000)
    )
    udp = struct.pack("!HHHH", 0xC001, wire.GENEVE_PORT, FRAME_OCTETS - 34, 0)
    geneve = struct.pack("!BBHI", 4, 0x40, 0x0800, 0)
    option = struct.pack("!HBBQI", wire.OPTION_CLASS, wire.OPTION_TYPE, wire.OPTION_WORDS, 0, 0)
    frame = _ethernet() + outer + udp + geneve + option + inner + _udp(inner_octets)
    return frame.ljust(FRAME_OCTETS, b"\0"), ipv4_sum(inner)


def access_frame(connection: int) -> bytes:
    """A packet of a program here, of a connection's number."""
    octets = FRAME_OCTETS - 14
    header = _ipv4(octets, (HERE + connection).to_bytes(4, "big"), (THERE + connection).to_bytes(4, "big"))
    return (_ethernet() + _with_checksum(header) + _udp(octets)).ljust(FRAME_OCTETS, b"\0")


def access_template() -> tuple[bytes, int]:
    """Such a packet, addresses yet to be filled in, and its header's sum."""
    frame = access_frame(0)
    return frame, ipv4_sum(frame[14:34])


def _ethernet() -> bytes:
    return bytes.fromhex("020000000001020000000002") + b"\x08\x00"


def _ipv4(octets: int, source: bytes, destination: bytes, fragment: int = 0) -> bytes:
    return struct.pack("!BBHHHBBH", 0x45, 0, octets, 0, fragment, 64, 17, 0) + source + destination


def _with_checksum(header: bytes) -> bytes:
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + struct.pack("!H", ~total & 0xFFFF) + header[12:]


def _udp(ip_octets: int) -> bytes:
    return struct.pack("!HHHH", 4000, 5000, ip_octets - 20, 0)
