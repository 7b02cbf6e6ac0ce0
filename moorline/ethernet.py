# SPDX-License-Identifier: Apache-2.0
"""What stands in an Ethernet frame, behind its VLAN tags."""

from __future__ import annotations

import re
from typing import Final

OCTETS: Final = 14
"""Of the header: destination, source, type."""

IPV4: Final = 0x0800
ARP: Final = 0x0806
VLAN: Final = 0x8100
IPV6: Final = 0x86DD
QINQ: Final = 0x88A8
"""EtherTypes."""

_TAG_OCTETS: Final = 4
_ADDRESS: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")


def station(text: str) -> str:
    """The link-layer address of one station in its usual form; raises ``ValueError`` for any other."""
    text = text.lower().replace("-", ":")
    if not _ADDRESS.match(text) or int(text[:2], 16) & 1 or text == "00:00:00:00:00:00":
        raise ValueError("write the link-layer address of one station, such as 02:6d:6c:00:00:01")
    return text


def octets(text: str) -> bytes:
    """The 6 octets of a link-layer address in its usual form."""
    return bytes.fromhex(text.replace(":", ""))


def contents(frame: bytes) -> tuple[int, bytes]:
    """EtherType and payload behind any number of VLAN tags, of a frame that holds a whole header."""
    at = OCTETS
    while (kind := int.from_bytes(frame[at - 2 : at])) in (VLAN, QINQ):
        at += _TAG_OCTETS
    return kind, frame[at:]


def frame(destination: bytes, source: bytes, packet: bytes) -> bytes:
    """A frame with an IP packet of either family."""
    kind = IPV4 if packet[0] >> 4 == 4 else IPV6
    return destination + source + kind.to_bytes(2) + packet
