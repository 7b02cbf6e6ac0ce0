# SPDX-License-Identifier: Apache-2.0
"""The inner packet as it arrives from the underlay: whole, sound, and the connection's own."""

from __future__ import annotations

from typing import Any

from scapy.layers.inet import IP, IPOption_NOP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.packet import Packet, Raw

from moorline.wire import Event

from ..build import Concern, delivers, drops
from ..packets import Data, arriving4, arriving6, delivered
from ..world import (
    ANY4,
    UNDERLAY,
    VIRTUAL4_LOCAL,
    VIRTUAL4_PEER,
    VIRTUAL4_STRANGER,
    VIRTUAL6_LOCAL,
    VIRTUAL6_PEER,
    VIRTUAL6_STRANGER,
)

CASES = Concern("inner")
case = CASES.case


def _carrying(inner: Packet | bytes, *, ipv6: bool = False, over6: bool = False) -> bytes:
    """A data packet with these inner octets, whatever they are."""
    addresses = (
        (UNDERLAY.neighbour.address6, UNDERLAY.address6)
        if over6
        else (
            UNDERLAY.neighbour.address4,
            UNDERLAY.address4,
        )
    )
    proto = 0x86DD if ipv6 or isinstance(inner, IPv6) else 0x0800
    return Data(Raw(bytes(inner)), *addresses, geneve={"proto": proto}).frame()


def _four(**fields: Any) -> bytes:
    return bytes(arriving4(**fields))


def _six(**fields: Any) -> bytes:
    return bytes(arriving6(**fields))


def _patched(octets: bytes, offset: int, value: int) -> bytes:
    return octets[:offset] + bytes([value]) + octets[offset + 1 :]


case(
    "truncated-ipv4",
    "An inner packet that ends before the end of its IPv4 header, empty among them",
    "U11",
    *(drops(_carrying(_four()[:length]), Event.DROP_INNER_TRUNCATED) for length in (0, 1, 19)),
)
case(
    "truncated-ipv6",
    "An inner packet that ends before the end of its IPv6 header, empty among them",
    "U11",
    *(drops(_carrying(_six()[:length], ipv6=True), Event.DROP_INNER_TRUNCATED) for length in (0, 1, 20, 39)),
)
case(
    "wrong-version",
    "A version that contradicts the Geneve protocol type",
    "U11",
    drops(_carrying(_patched(_four(), 0, 0x65)), Event.DROP_INNER_VERSION),
    drops(_carrying(_patched(_four(), 0, 0x05)), Event.DROP_INNER_VERSION),
    drops(_carrying(_patched(_six(), 0, 0x40), ipv6=True), Event.DROP_INNER_VERSION),
    drops(_carrying(_four(), ipv6=True), Event.DROP_INNER_VERSION),
)
case(
    "ipv4-header-length-short",
    "An IPv4 header shorter than 20 octets",
    "U11",
    *(drops(_carrying(_four(ihl=ihl)), Event.DROP_INNER_HEADER_LENGTH) for ihl in (0, 1, 4)),
)
case(
    "ipv4-header-length-beyond-packet",
    "IPv4 options that the packet does not hold",
    "U11",
    drops(_carrying(_four(ihl=15)[:40]), Event.DROP_INNER_TRUNCATED),
)
case(
    "ipv4-options",
    "An inner packet may carry IP options",
    "U11",
    delivers(
        _carrying(arriving4(options=[IPOption_NOP()] * 4)), delivered(arriving4(options=[IPOption_NOP()] * 4))
    ),
)
case(
    "ipv4-checksum",
    "A wrong inner header checksum",
    "U11",
    drops(_carrying(_four(chksum=0x1234)), Event.DROP_INNER_CHECKSUM),
    drops(_carrying(_patched(_four(), 8, 63)), Event.DROP_INNER_CHECKSUM),
)
case(
    "ipv4-length",
    "An inner total length other than what arrived, or shorter than its own header",
    "U11",
    *(drops(_carrying(_four(len=length)), Event.DROP_INNER_LENGTH) for length in (0, 19, 101, 0xFFFF)),
)
case(
    "ipv6-length",
    "An inner payload length other than what arrived",
    "U11",
    *(drops(_carrying(_six(plen=length), ipv6=True), Event.DROP_INNER_LENGTH) for length in (61, 0xFFFF)),
)
case(
    "spoofed-source-ipv4",
    "An inner source that is not the peer's virtual address",
    "U11",
    *(
        drops(_carrying(arriving4(source=source)), Event.DROP_INNER_ADDRESS)
        for source in (VIRTUAL4_STRANGER, VIRTUAL4_LOCAL, ANY4, "127.0.0.1")
    ),
)
case(
    "spoofed-destination-ipv4",
    "An inner destination that is not the local virtual address",
    "U11",
    *(
        drops(_carrying(arriving4(destination=destination)), Event.DROP_INNER_ADDRESS)
        for destination in (VIRTUAL4_STRANGER, VIRTUAL4_PEER, UNDERLAY.address4, "224.0.0.1", "127.0.0.1")
    ),
)
case(
    "spoofed-source-ipv6",
    "An inner source that is not the peer's virtual address, one bit off at either end among them",
    "U11",
    *(
        drops(_carrying(arriving6(source=source)), Event.DROP_INNER_ADDRESS)
        for source in (
            VIRTUAL6_STRANGER,
            VIRTUAL6_LOCAL,
            "::",
            "7d77::2",
            "fd77::3",
            f"::ffff:{VIRTUAL4_PEER}",
        )
    ),
)
case(
    "spoofed-destination-ipv6",
    "An inner destination that is not the local virtual address",
    "U11",
    *(
        drops(_carrying(arriving6(destination=destination)), Event.DROP_INNER_ADDRESS)
        for destination in (VIRTUAL6_STRANGER, VIRTUAL6_PEER, UNDERLAY.address6, "ff02::1", "::1")
    ),
)
case(
    "fragments",
    "Fragments of inner packets pass untouched: first, middle, last",
    "U11",
    *(
        delivers(_carrying(arriving4(**fields)), delivered(arriving4(**fields)))
        for fields in ({"flags": "MF"}, {"flags": "MF", "frag": 100}, {"flags": 0, "frag": 200})
    ),
    delivers(
        _carrying(
            _fragment := IPv6(src=VIRTUAL6_PEER, dst=VIRTUAL6_LOCAL)
            / IPv6ExtHdrFragment(m=1, id=9)
            / Raw(bytes(64))
        ),
        delivered(_fragment),
    ),
)
case(
    "header-only",
    "An inner packet that consists of a header alone",
    "U11",
    delivers(
        _carrying(IP(src=VIRTUAL4_PEER, dst=VIRTUAL4_LOCAL, proto=59)),
        delivered(IP(src=VIRTUAL4_PEER, dst=VIRTUAL4_LOCAL, proto=59)),
    ),
    delivers(
        _carrying(IPv6(src=VIRTUAL6_PEER, dst=VIRTUAL6_LOCAL, nh=59)),
        delivered(IPv6(src=VIRTUAL6_PEER, dst=VIRTUAL6_LOCAL, nh=59)),
    ),
)
