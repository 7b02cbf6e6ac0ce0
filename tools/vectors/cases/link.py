# SPDX-License-Identifier: Apache-2.0
"""What is not ours, and VLAN tags before what is."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from ..build import Concern, delivers, passes
from ..packets import Data, arriving4, arriving6, delivered
from ..world import SECOND, UNASSIGNED, UNDERLAY

CASES = Concern("link")
case = CASES.case
NEIGHBOUR = UNDERLAY.neighbour


def _plain(network: Packet) -> Packet:
    return Ether(src=NEIGHBOUR.mac, dst=UNDERLAY.mac) / network


def _ip() -> IP:
    return IP(src=NEIGHBOUR.address4, dst=UNDERLAY.address4)


GOOD = Data(arriving4())
INNER = arriving4()

case(
    "not-ip",
    "ARP and an EtherType of nobody's are the kernel's",
    "U1",
    passes(_plain(ARP(hwsrc=NEIGHBOUR.mac, psrc=NEIGHBOUR.address4, pdst=UNDERLAY.address4))),
    passes(Ether(src=NEIGHBOUR.mac, dst=UNDERLAY.mac, type=0x88B6) / Raw(bytes(50))),
)
case(
    "tcp-udp-icmp",
    "TCP, UDP to another port, ICMP and ICMPv6 to our own addresses are the kernel's",
    "U3",
    passes(_plain(_ip() / TCP(sport=4000, dport=6081) / Raw(b"x" * 20))),
    passes(_plain(_ip() / UDP(sport=6081, dport=53) / Raw(b"x" * 20))),
    passes(_plain(_ip() / ICMP() / Raw(b"x" * 20))),
    passes(_plain(IPv6(src=NEIGHBOUR.address6, dst=UNDERLAY.address6) / ICMPv6EchoRequest(data=b"x" * 20))),
    passes(
        _plain(IPv6(src=NEIGHBOUR.address6, dst=UNDERLAY.address6) / UDP(sport=6081, dport=53) / Raw(b"x"))
    ),
)
case(
    "geneve-to-another-address",
    "Geneve packets to addresses that are not ours to open are the kernel's",
    "U4",
    passes(Data(arriving4(), destination="192.0.2.200").frame()),
    passes(Data(arriving6(), source=NEIGHBOUR.address6, destination="2001:db8:1::200").frame()),
)
case(
    "geneve-to-a-mapped-address",
    "An IPv6 packet to the mapped form of our IPv4 address is not to that address: the kernel's",
    "U4",
    passes(Data(arriving4(), source=NEIGHBOUR.address6, destination=f"::ffff:{UNDERLAY.address4}").frame()),
)
case(
    "unassigned-port",
    "On a port without a role even a good data packet is the kernel's",
    "P1",
    passes(GOOD.frame(), port=UNASSIGNED),
)
case(
    "second-underlay-port",
    "A data packet is accepted on whichever underlay port it arrives",
    "U12",
    delivers(Data(arriving4(), destination=SECOND.address4).frame(), delivered(INNER), port=SECOND.number),
    delivers(Data(arriving4(), destination=UNDERLAY.address4).frame(), delivered(INNER), port=SECOND.number),
)
case(
    "one-vlan-tag",
    "A data packet behind an 802.1Q tag is opened",
    "U1",
    delivers(Data(arriving4(), tags=(100,)).frame(), delivered(INNER)),
)
case(
    "two-vlan-tags",
    "A data packet behind two tags, 802.1ad and 802.1Q, is opened",
    "U1",
    delivers(Data(arriving4(), tags=(100, 200)).frame(), delivered(INNER)),
    delivers(
        Ether(src=NEIGHBOUR.mac, dst=UNDERLAY.mac) / Dot1AD(vlan=7) / Dot1Q(vlan=8) / GOOD.packet()[IP],
        delivered(INNER),
    ),
)
case(
    "three-vlan-tags",
    "A third tag is more than we look behind: the frame is the kernel's",
    "U1",
    passes(Data(arriving4(), tags=(1, 2, 3)).frame()),
)
case(
    "vlan-tag-of-something-else",
    "A tag before something that is not ours changes nothing",
    "U1",
    passes(
        Ether(src=NEIGHBOUR.mac, dst=UNDERLAY.mac)
        / Dot1Q(vlan=5)
        / ARP(hwsrc=NEIGHBOUR.mac, psrc=NEIGHBOUR.address4, pdst=UNDERLAY.address4)
    ),
)
case(
    "truncated-vlan-tag",
    "A frame that ends inside a tag shows nothing of ours: the kernel's",
    "U1",
    passes(Data(arriving4(), tags=(100,)).frame()[:17]),
    passes(Data(arriving4(), tags=(100, 200)).frame()[:20]),
    hooks=["xdp", "tc"],
    why="a switch gets packets from Linux, which drops a frame that ends inside its first tag",
)
