# SPDX-License-Identifier: Apache-2.0
"""The outer IP header: versions, lengths, checksums, fragments, options, truncation."""

from __future__ import annotations

from scapy.compat import raw
from scapy.layers.inet import UDP, IPOption_NOP, IPOption_RR
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from moorline.wire import Event

from ..build import Concern, delivers, drops, passes
from ..entries import RECEIVING
from ..packets import ETHERNET, IPV4_HEADER, IPV6_HEADER, VLAN_TAG, Data, arriving4, delivered
from ..world import ANY4, UNDERLAY

CASES = Concern("outer", RECEIVING)
case = CASES.case
SOURCE6, DESTINATION6 = UNDERLAY.neighbour.address6, UNDERLAY.address6


def _over4(**ip: object) -> bytes:
    return Data(arriving4(), ip=ip).frame()


def _over6(**ip: object) -> bytes:
    return Data(arriving4(), source=SOURCE6, destination=DESTINATION6, ip=ip).frame()


def _patched(frame: bytes, offset: int, value: int) -> bytes:
    return frame[:offset] + bytes([value]) + frame[offset + 1 :]


def _behind(extension: Packet) -> bytes:
    """A data packet over IPv6 with an extension header before its UDP header."""
    packet = Data(arriving4(), source=SOURCE6, destination=DESTINATION6).packet()
    link = Ether(src=packet.src, dst=packet.dst)
    return raw(link / IPv6(src=SOURCE6, dst=DESTINATION6, hlim=64) / extension / packet[UDP])


INNER = arriving4()

case(
    "truncated-ipv4",
    "A frame that ends inside the outer IPv4 header shows nothing of ours: the kernel's",
    "U2",
    *(passes(_over4()[: ETHERNET + length]) for length in (1, 10, IPV4_HEADER - 1)),
)
case(
    "truncated-ipv4-behind-vlan",
    "The same behind a VLAN tag, where the header starts four octets later",
    "U2",
    passes(Data(arriving4(), tags=(100,)).frame()[: ETHERNET + VLAN_TAG + IPV4_HEADER - 1]),
)
case(
    "truncated-ipv6",
    "A frame that ends inside the outer IPv6 header shows nothing of ours: the kernel's",
    "U2",
    *(passes(_over6()[: ETHERNET + length]) for length in (1, 20, IPV6_HEADER - 1)),
)
case(
    "truncated-before-udp-ports",
    "A frame that ends before the outer UDP header has shown its ports: the kernel's",
    "U3",
    *(passes(_over4()[: ETHERNET + IPV4_HEADER + length]) for length in (0, 1, 3)),
    *(passes(_over6()[: ETHERNET + IPV6_HEADER + length]) for length in (0, 1, 3)),
)
case(
    "truncated-udp",
    "A frame that ends between the ports and the end of the outer UDP header",
    "U5",
    *(drops(_over4()[: ETHERNET + IPV4_HEADER + length], Event.DROP_OUTER_TRUNCATED) for length in (4, 7)),
    *(drops(_over6()[: ETHERNET + IPV6_HEADER + length], Event.DROP_OUTER_TRUNCATED) for length in (4, 7)),
)
case(
    "truncated-ipv4-options",
    "A frame that ends inside the IP options shows no ports: the kernel's",
    "U2",
    passes(_over4(options=[IPOption_NOP()] * 8)[: ETHERNET + IPV4_HEADER + 5]),
)
case(
    "wrong-version",
    "An IP version that contradicts the EtherType is the kernel's to refuse",
    "U2",
    passes(_patched(_over4(), ETHERNET, 0x65)),
    passes(_patched(_over4(), ETHERNET, 0x05)),
    passes(_patched(_over6(), ETHERNET, 0x40)),
)
case(
    "ipv4-header-length-short",
    "An IPv4 header shorter than 20 octets",
    "U2",
    *(drops(_patched(_over4(), ETHERNET, 0x40 | ihl), Event.DROP_OUTER_HEADER_LENGTH) for ihl in (0, 4)),
)
case(
    "ipv4-options",
    "A data packet carries no IP options",
    "U5",
    drops(_over4(options=[IPOption_NOP()] * 4), Event.DROP_OUTER_HEADER_LENGTH),
    drops(
        _over4(options=[IPOption_RR(length=39, routers=[ANY4] * 9), IPOption_NOP()]),
        Event.DROP_OUTER_HEADER_LENGTH,
    ),
)
case(
    "ipv4-options-of-something-else",
    "UDP to another port, behind IP options, is the kernel's",
    "U5",
    passes(Data(arriving4(), ip={"options": [IPOption_NOP()] * 4}, udp={"dport": 53}).frame()),
)
case(
    "ipv4-checksum",
    "A wrong header checksum",
    "U6",
    drops(_over4(chksum=0x1234), Event.DROP_OUTER_CHECKSUM),
    drops(_patched(_over4(), ETHERNET + 8, 63), Event.DROP_OUTER_CHECKSUM),
)
case(
    "ipv4-length-beyond-frame",
    "A total length greater than what arrived",
    "U6",
    drops(_over4(len=153), Event.DROP_OUTER_LENGTH),
    drops(_over4()[:-1], Event.DROP_OUTER_LENGTH),
)
case(
    "ipv4-length-short",
    "A total length that does not hold the IP and UDP headers",
    "U6",
    *(drops(_over4(len=length), Event.DROP_OUTER_LENGTH) for length in (0, 19, 27)),
)
case(
    "ipv6-length-beyond-frame",
    "A payload length greater than what arrived",
    "U6",
    drops(_over6(plen=133), Event.DROP_OUTER_LENGTH),
    drops(_over6()[:-1], Event.DROP_OUTER_LENGTH),
)
case(
    "ipv6-length-short",
    "A payload length that does not hold the UDP header, 0 (a jumbogram's) among them",
    "U6",
    *(drops(_over6(plen=length), Event.DROP_OUTER_LENGTH) for length in (0, 7)),
)
case(
    "ethernet-padding",
    "Octets behind the outer packet, as Ethernet pads short frames, are cut off",
    "U6",
    delivers(_over4() + bytes(7), delivered(INNER)),
    delivers(_over6() + b"\xff" * 3, delivered(INNER)),
)
case(
    "fragment-first",
    "A first fragment of a data packet: the outer packet is never fragmented, and not reassembled here",
    "U6",
    drops(_over4(flags="MF"), Event.DROP_OUTER_FRAGMENT),
)
case(
    "fragment-later",
    "A later fragment shows no port: it is left to the kernel, which cannot use it without the first",
    "U5",
    passes(_over4(flags=0, frag=100)),
    passes(_over4(flags="MF", frag=100)),
)
case(
    "fragment-of-something-else",
    "Fragments of other UDP datagrams reach the kernel",
    "U5",
    passes(Data(arriving4(), ip={"flags": "MF"}, udp={"dport": 53}).frame()),
)
case(
    "ipv6-fragment-first",
    "A first fragment of a data packet over IPv6; an atomic fragment (RFC 6946) is one as well",
    "U6",
    drops(_behind(IPv6ExtHdrFragment(m=1, id=7)), Event.DROP_OUTER_FRAGMENT),
    drops(_behind(IPv6ExtHdrFragment(m=0, id=7)), Event.DROP_OUTER_FRAGMENT),
)
case(
    "ipv6-fragment-first-malformed",
    "A first fragment over IPv6 that ends inside the UDP header, and ones whose payload length is wrong",
    "U6",
    drops(_behind(IPv6ExtHdrFragment(m=1, id=7))[: ETHERNET + IPV6_HEADER + 15], Event.DROP_OUTER_TRUNCATED),
    drops(_patched(_behind(IPv6ExtHdrFragment(m=1, id=7)), ETHERNET + 5, 7), Event.DROP_OUTER_FRAGMENT),
    drops(_behind(IPv6ExtHdrFragment(m=1, id=7))[:-1], Event.DROP_OUTER_FRAGMENT),
)
case(
    "ipv6-fragment-later",
    "A later fragment over IPv6 shows no port: the kernel's",
    "U3",
    passes(_behind(IPv6ExtHdrFragment(m=1, offset=1, id=7))),
    passes(_behind(IPv6ExtHdrFragment(m=0, offset=100, id=7))),
)
case(
    "ipv6-fragment-truncated",
    "A frame that ends inside the fragment header, or before the ports behind it: the kernel's",
    "U3",
    passes(_behind(IPv6ExtHdrFragment(m=1, id=7))[: ETHERNET + IPV6_HEADER + 7]),
    passes(_behind(IPv6ExtHdrFragment(m=1, id=7))[: ETHERNET + IPV6_HEADER + 11]),
)
case(
    "ipv6-extension-header",
    "Behind an IPv6 hop-by-hop header nobody looks: the packet is the kernel's",
    "U3",
    passes(_behind(IPv6ExtHdrHopByHop())),
)
case(
    "ipv4-flags-and-id",
    "Without DF, and with any identification, an unfragmented packet is good",
    "U5",
    delivers(_over4(flags=0, id=0xBEEF), delivered(INNER)),
)
case(
    "ttl-1",
    "A packet that reached its destination has arrived, whatever is left of its TTL",
    "U12",
    delivers(Data(arriving4(), hop_limit=1).frame(), delivered(INNER)),
    delivers(
        Data(arriving4(), source=SOURCE6, destination=DESTINATION6, hop_limit=1).frame(), delivered(INNER)
    ),
)
