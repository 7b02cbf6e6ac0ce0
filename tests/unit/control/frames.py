# SPDX-License-Identifier: Apache-2.0
"""Ethernet frames as a data plane hands them to its controller."""

from __future__ import annotations


def frame(source: bytes, destination: bytes, payload: bytes = b"") -> bytes:
    """An IP packet in a frame; IPv4 for addresses of 4 octets, IPv6 for 16."""
    ethernet = bytes(12)
    if len(source) == 4:
        return ethernet + b"\x08\x00" + b"\x45" + bytes(11) + source + destination + payload
    return ethernet + b"\x86\xdd" + b"\x60" + bytes(7) + source + destination + payload
