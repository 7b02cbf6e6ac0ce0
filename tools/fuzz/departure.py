# SPDX-License-Identifier: Apache-2.0
"""Rule A7 of docs/wire-format.md: the outer headers that a packet leaves with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from moorline.wire import VXLAN_PORT

from .rules import DATA_HEADER, GENEVE_PORT, IPV4, IPV6, MAPPED, UDP, with_checksum

UDP_HEADER = 8


class Departing(NamedTuple):
    """A packet that goes into a tunnel, and what the outer headers say of it."""

    packet: bytes
    ipv6: bool
    tenant: int
    scid: int
    place: bytes
    """SPI and SI as they stand in the option."""
    traffic_class: int
    ttl: int
    flow: int
    """The flow's hash, or what a relay has in its place."""


def over_ipv6(destination: bytes) -> bool:
    """Whether the way to a locator (128-bit form) is over IPv6."""
    return not destination.startswith(MAPPED)


def ethertype(ipv6: bool) -> bytes:
    """The EtherType as it stands on the wire."""
    return (IPV6 if ipv6 else IPV4).to_bytes(2, "big")


def tunnelled(departing: Departing, uplink: Mapping[str, Any], destination: bytes) -> bytes:
    """The packet in its tunnel, from the outer IP header on; ``uplink``: the parameters of ``set_source``."""
    data = _data_header(departing) + departing.packet
    says = (departing.traffic_class, departing.ttl, departing.flow)
    return outer_headers(data, UDP, *says, uplink, destination, GENEVE_PORT)


def outer_headers(
    payload: bytes,
    protocol: int,
    traffic_class: int,
    ttl: int,
    flow: int,
    uplink: Mapping[str, Any],
    destination: bytes,
    port: int = VXLAN_PORT,
) -> bytes:
    """An outer IP header, where ``protocol`` is UDP its header to ``port``, and what they carry."""
    if protocol == UDP:
        ports = (0xC000 | flow & 0x3FFF, port)
        header = (*ports, UDP_HEADER + len(payload), 0)
        payload = b"".join(value.to_bytes(2, "big") for value in header) + payload
    if over_ipv6(destination):
        first = 6 << 28 | traffic_class << 20 | flow >> 15
        fixed = first.to_bytes(4, "big") + len(payload).to_bytes(2, "big") + bytes([protocol, ttl])
        source: bytes = uplink["src6"]
        return fixed + source + destination + payload
    fixed = bytes([0x45, traffic_class]) + (20 + len(payload)).to_bytes(2, "big") + b"\0\0\x40\0"
    fixed += bytes([ttl, protocol]) + b"\0\0"
    return with_checksum(fixed + uplink["src4"] + destination[12:]) + payload


def _data_header(departing: Departing) -> bytes:
    fixed = b"\x04\x40" + ethertype(departing.ipv6) + departing.tenant.to_bytes(3, "big")
    header = fixed + b"\0\xff\x4d\x81\x03" + departing.scid.to_bytes(8, "big") + departing.place
    assert len(header) == DATA_HEADER
    return header
