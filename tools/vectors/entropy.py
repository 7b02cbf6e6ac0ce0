# SPDX-License-Identifier: Apache-2.0
"""The hash of an inner flow, as docs/wire-format.md defines it: source port, path, flow label."""

from __future__ import annotations

from typing import Final

SEED: Final = 0x9E3779B97F4A7C15
FACTOR: Final = 0xFF51AFD7ED558CCD
MASK: Final = (1 << 64) - 1
WITH_PORTS: Final = frozenset({6, 17, 33, 132, 136})
"""TCP, UDP, DCCP, SCTP, UDP-Lite: source and destination port in their first four octets."""


def flow_hash(inner: bytes) -> int:
    """32 bits of the addresses, the protocol and, when there are any, the ports of an IP packet."""
    if inner[0] >> 4 == 6:
        words = [int.from_bytes(inner[at : at + 8], "big") for at in (8, 16, 24, 32)]
        protocol, header, fragment = inner[6], 40, False
        length = 40 + int.from_bytes(inner[4:6], "big")
    else:
        words = [int.from_bytes(inner[12:20], "big")]
        protocol, header = inner[9], (inner[0] & 15) * 4
        fragment = bool(int.from_bytes(inner[6:8], "big") & 0x3FFF)
        length = int.from_bytes(inner[2:4], "big")
    last = protocol << 32
    if protocol in WITH_PORTS and not fragment and length >= header + 4:
        last |= int.from_bytes(inner[header : header + 4], "big")
    value = SEED
    for word in (*words, last):
        value = ((value ^ word) * FACTOR) & MASK
    return value >> 32


def entropy(inner: bytes) -> int:
    """The outer UDP source port: the range of RFC 6335's dynamic ports, the hash's 14 lowest bits."""
    return 0xC000 | (flow_hash(inner) & 0x3FFF)


def second_path(inner: bytes) -> bool:
    """Whether the flow takes the second of a node's two paths: bit 14 of the hash."""
    return bool(flow_hash(inner) >> 14 & 1)


def flow_label(inner: bytes) -> int:
    """The flow label of an outer IPv6 header: the hash's 17 upper bits (RFC 6438)."""
    return flow_hash(inner) >> 15
