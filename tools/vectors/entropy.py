# SPDX-License-Identifier: Apache-2.0
"""The hash of an inner flow, as docs/wire-format.md defines it: source port, path, flow label."""

from __future__ import annotations

from typing import Final, NamedTuple

from moorline.wire import PROTOCOLS_WITH_PORTS

SEED: Final = 0x9E3779B97F4A7C15
FACTOR: Final = 0xFF51AFD7ED558CCD
MASK: Final = (1 << 64) - 1


class Flow(NamedTuple):
    """What the classifier, too, knows of a packet; the ports are 0 where it has none."""

    protocol: int
    source_port: int
    destination_port: int


def flow_of(inner: bytes) -> Flow:
    """Protocol and ports of an IP packet."""
    if inner[0] >> 4 == 6:
        protocol, header, fragment = inner[6], 40, False
        length = 40 + int.from_bytes(inner[4:6], "big")
    else:
        protocol, header = inner[9], (inner[0] & 15) * 4
        fragment = bool(int.from_bytes(inner[6:8], "big") & 0x3FFF)
        length = int.from_bytes(inner[2:4], "big")
    if protocol not in PROTOCOLS_WITH_PORTS or fragment or length < header + 4:
        return Flow(protocol, 0, 0)
    ports = inner[header : header + 4]
    return Flow(protocol, int.from_bytes(ports[:2], "big"), int.from_bytes(ports[2:], "big"))


def flow_hash(inner: bytes) -> int:
    """32 bits of the addresses, the protocol and, when there are any, the ports of an IP packet."""
    places = (8, 16, 24, 32) if inner[0] >> 4 == 6 else (12,)
    words = [int.from_bytes(inner[at : at + 8], "big") for at in places]
    flow = flow_of(inner)
    return _mixed(*words, flow.protocol << 32 | flow.source_port << 16 | flow.destination_port) >> 32


def bucket(customer: bytes) -> int:
    """The bucket of a group of feature peers in which a customer's address (128-bit form) is."""
    return _mixed(int.from_bytes(customer[:8], "big"), int.from_bytes(customer[8:], "big")) >> 32 & 0xFF


def _mixed(*words: int) -> int:
    value = SEED
    for word in words:
        value = ((value ^ word) * FACTOR) & MASK
    return value


def entropy(inner: bytes) -> int:
    """The outer UDP source port: the range of RFC 6335's dynamic ports, the hash's 14 lowest bits."""
    return 0xC000 | (flow_hash(inner) & 0x3FFF)


def second_path(inner: bytes) -> bool:
    """Whether the flow takes the second of a node's two paths: bit 14 of the hash."""
    return bool(flow_hash(inner) >> 14 & 1)


def flow_label(inner: bytes) -> int:
    """The flow label of an outer IPv6 header: the hash's 17 upper bits (RFC 6438)."""
    return flow_hash(inner) >> 15
