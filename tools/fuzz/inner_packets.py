# SPDX-License-Identifier: Apache-2.0
"""Inner packets of many kinds."""

from __future__ import annotations

from collections.abc import Iterator

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment
from scapy.layers.ipsec import ESP
from scapy.packet import Packet, Raw


def packets(four: tuple[str, str], six: tuple[str, str]) -> Iterator[Packet]:
    """Packets of many kinds from the first to the second address of each family."""
    (here4, there4), (here6, there6) = four, six
    for tos in (0, 0x2E << 2 | 2):
        yield IP(src=here4, dst=there4, tos=tos) / UDP(sport=4000 + tos, dport=53) / Raw(b"u" * 41)
        yield IPv6(src=here6, dst=there6, tc=tos) / TCP(sport=4000 + tos, dport=80) / Raw(b"t" * 20)
    yield IP(src=here4, dst=there4, options=[IPOption_NOP()] * 4) / TCP(sport=4000, dport=80)
    yield IP(src=here4, dst=there4, flags="MF", tos=1) / UDP(sport=4000, dport=53) / Raw(b"f" * 64)
    yield IP(src=here4, dst=there4, tos=3) / ICMP() / Raw(b"i" * 56)
    yield IPv6(src=here6, dst=there6, tc=1) / ICMPv6EchoRequest(data=b"i" * 56)
    yield IPv6(src=here6, dst=there6) / IPv6ExtHdrFragment(m=1) / Raw(bytes(64))
    yield IPv6(src=here6, dst=there6) / ESP(spi=1, seq=1, data=b"e" * 48)
