# SPDX-License-Identifier: Apache-2.0
"""From the virtual endpoint to the underlay: what an access port takes, and what it makes of it."""

from __future__ import annotations

from typing import Any

from scapy.compat import raw
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, IPv6ExtHdrFragment
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.packet import Packet, Raw

from moorline.wire import Event

from ..build import Concern, counts, drops, passes, punts, sends
from ..entries import (
    CONNECTION4,
    CONNECTION6,
    LOCATOR4,
    LOCATOR6,
    changed,
    connection,
    connection_key,
    uplink,
)
from ..model import Entry
from ..packets import inner4, inner6, sent, tunnelled
from ..world import (
    ACCESS,
    GATEWAY,
    PEER_NODE,
    UNDERLAY,
    VIRTUAL4_LOCAL,
    VIRTUAL4_PEER,
    VIRTUAL4_STRANGER,
    VIRTUAL6_LOCAL,
    VIRTUAL6_PEER,
    VIRTUAL6_STRANGER,
)

CASES = Concern("access")
case = CASES.case
PEER6 = UNDERLAY.neighbour.address6
OTHER_TENANT = 0x000001


def _passes(network: Packet) -> Any:
    return passes(sent(network), port=ACCESS.number)


def _drops(octets: bytes, event: Event, ethertype: int = 0x0800) -> Any:
    frame = raw(Ether(src=ACCESS.near_mac, dst=ACCESS.far_mac, type=ethertype)) + octets
    return drops(frame, event, port=ACCESS.number)


for _name, _inner, _entry, _locator, _to in (
    ("ipv4-over-ipv4", inner4(), CONNECTION4, LOCATOR4, None),
    ("ipv4-over-ipv6", inner4(), CONNECTION4, LOCATOR6, PEER6),
    ("ipv6-over-ipv4", inner6(), CONNECTION6, LOCATOR4, None),
    ("ipv6-over-ipv6", inner6(), CONNECTION6, LOCATOR6, PEER6),
):
    case(
        _name,
        "The packet gets its outer header, and every table on the way counts the frame as it arrived",
        "A7",
        sends(sent(_inner), tunnelled(_inner, destination=_to)),
        entries=changed(_locator),
        counters=[counts(entry, sent(_inner)) for entry in (_entry, _locator, uplink(UNDERLAY))],
    )

for _name, _payload4, _payload6 in (
    ("tcp", TCP(sport=4000, dport=80, flags="S"), TCP(sport=4000, dport=80, flags="S") / Raw(b"x" * 33)),
    ("icmp", ICMP(type=8, id=7) / Raw(b"x" * 56), ICMPv6EchoRequest(id=7, data=b"x" * 56)),
    ("esp", ESP(spi=5, seq=1, data=b"x" * 64), ESP(spi=5, seq=1, data=b"x" * 64)),
    ("sctp", SCTP(sport=1, dport=2) / SCTPChunkInit(), SCTP(sport=1, dport=2) / SCTPChunkInit()),
):
    case(
        _name,
        f"{_name.upper()} inside IPv4 and IPv6",
        "A7",
        *(
            sends(sent(inner), tunnelled(inner))
            for inner in (
                IP(src=VIRTUAL4_LOCAL, dst=VIRTUAL4_PEER) / _payload4,
                IPv6(src=VIRTUAL6_LOCAL, dst=VIRTUAL6_PEER) / _payload6,
            )
        ),
    )

case(
    "fragments",
    "Fragments of inner packets are carried like any packet; a later one has no ports to take entropy from",
    "A7",
    *(
        sends(sent(inner), tunnelled(inner))
        for inner in (
            inner4(flags="MF"),
            inner4(flags="MF", frag=100),
            inner4(flags=0, frag=200),
            IPv6(src=VIRTUAL6_LOCAL, dst=VIRTUAL6_PEER) / IPv6ExtHdrFragment(m=1, id=9) / Raw(bytes(64)),
        )
    ),
)
case(
    "ipv4-options",
    "An inner packet with IP options; the ports lie behind them",
    "A7",
    sends(sent(inner4(options=[IPOption_NOP()] * 4)), tunnelled(inner4(options=[IPOption_NOP()] * 4))),
)
case(
    "dscp-and-ecn-copied",
    "DSCP and ECN go from the inner to the outer header, all four ECN values (RFC 6040, normal mode)",
    "A7",
    *(
        sends(sent(inner), tunnelled(inner))
        for ecn in range(4)
        for inner in (inner4(tos=0x2E << 2 | ecn), inner6(tc=0x0A << 2 | ecn))
    ),
)
case(
    "dscp-and-ecn-copied-ipv6",
    "The same to a peer with an IPv6 locator",
    "A7",
    *(
        sends(sent(inner), tunnelled(inner, destination=PEER6))
        for ecn in range(4)
        for inner in (inner4(tos=0x2E << 2 | ecn), inner6(tc=0x0A << 2 | ecn))
    ),
    entries=changed(LOCATOR6),
)
case(
    "service-index",
    "A service index without a path comes from the connection's entry, too",
    "A7",
    sends(sent(inner4()), tunnelled(inner4(), si=254)),
    entries=changed(connection(VIRTUAL4_LOCAL, VIRTUAL4_PEER, si=254)),
)
case(
    "entropy",
    "The UDP source port is the same for all packets of a flow and differs between flows",
    "A7",
    *(
        sends(sent(inner), tunnelled(inner))
        for inner in (
            inner4(size=60),
            inner4(size=600, id=9),
            *(
                IP(src=VIRTUAL4_LOCAL, dst=VIRTUAL4_PEER) / UDP(sport=port, dport=5000) / Raw(b"x")
                for port in (4001, 4002, 4003)
            ),
            IP(src=VIRTUAL4_LOCAL, dst=VIRTUAL4_PEER) / TCP(sport=4001, dport=5000),
            *(
                IPv6(src=VIRTUAL6_LOCAL, dst=VIRTUAL6_PEER, fl=label)
                / UDP(sport=port, dport=5000)
                / Raw(b"x")
                for port, label in ((4001, 0), (4002, 0), (4001, 0x12345))
            ),
        )
    ),
)
case(
    "not-ip",
    "ARP and EtherTypes other than IPv4 and IPv6 are the kernel's; so is a tagged frame",
    "A1",
    passes(
        Ether(src=ACCESS.near_mac, dst="ff:ff:ff:ff:ff:ff")
        / ARP(hwsrc=ACCESS.near_mac, psrc=VIRTUAL4_LOCAL, pdst=VIRTUAL4_PEER),
        port=ACCESS.number,
    ),
    passes(Ether(src=ACCESS.near_mac, dst=ACCESS.far_mac, type=0x88B6) / Raw(bytes(50)), port=ACCESS.number),
    passes(Ether(src=ACCESS.near_mac, dst=ACCESS.far_mac) / Dot1Q(vlan=5) / inner4(), port=ACCESS.number),
)
case(
    "multicast-and-link-local",
    "What never leaves a link is the kernel's: multicast, broadcast, link-local, neighbour discovery",
    "A3",
    *(
        _passes(inner4(destination=to))
        for to in ("224.0.0.251", "239.1.2.3", "255.255.255.255", "169.254.1.2")
    ),
    *(_passes(inner6(destination=to)) for to in ("ff02::fb", "ff05::2", "fe80::1")),
    _passes(IPv6(src="fe80::1", dst="ff02::1:ff00:2") / ICMPv6ND_NS(tgt=VIRTUAL6_PEER)),
)
case(
    "truncated",
    "A frame that ends before the end of its IP header",
    "A2",
    *(_drops(raw(inner4())[:length], Event.DROP_INNER_TRUNCATED) for length in (1, 19)),
    *(_drops(raw(inner6())[:length], Event.DROP_INNER_TRUNCATED, 0x86DD) for length in (1, 39)),
)
case(
    "malformed",
    "Wrong versions, header lengths, checksums and lengths are dropped before they get anywhere",
    "A2",
    _drops(b"\x65" + raw(inner4())[1:], Event.DROP_INNER_VERSION),
    _drops(b"\x40" + raw(inner6())[1:], Event.DROP_INNER_VERSION, 0x86DD),
    _drops(raw(inner4(ihl=4)), Event.DROP_INNER_HEADER_LENGTH),
    _drops(raw(inner4(chksum=0x1234)), Event.DROP_INNER_CHECKSUM),
    _drops(raw(inner4(len=101)), Event.DROP_INNER_LENGTH),
    _drops(raw(inner4(len=19)), Event.DROP_INNER_LENGTH),
    _drops(raw(inner6(plen=61)), Event.DROP_INNER_LENGTH, 0x86DD),
)
case(
    "ethernet-padding",
    "Octets behind the packet, as Ethernet pads short frames, are not carried",
    "A2",
    sends(sent(inner4(size=30)) + bytes(16), tunnelled(inner4(size=30))),
    sends(sent(inner6(size=50)) + bytes(3), tunnelled(inner6(size=50))),
)
_SHORT = IP(src=VIRTUAL4_LOCAL, dst=VIRTUAL4_PEER, proto=17) / Raw(b"ab")
case(
    "padding-is-no-port",
    "A UDP packet of two octets has no ports, whatever stands in the padding behind it",
    "A7",
    sends(sent(_SHORT) + b"\x77" * 24, tunnelled(_SHORT)),
    sends(sent(_SHORT) + b"\x88" * 24, tunnelled(_SHORT)),
    sends(sent(_SHORT), tunnelled(_SHORT)),
)
case(
    "connection-miss",
    "The first packet of a pair without a connection goes to the controller",
    "A3",
    punts(sent(inner4(destination=VIRTUAL4_STRANGER)), Event.PUNT_CONNECTION_MISS),
    punts(sent(inner4(source=VIRTUAL4_STRANGER)), Event.PUNT_CONNECTION_MISS),
    punts(sent(inner6(destination=VIRTUAL6_STRANGER)), Event.PUNT_CONNECTION_MISS),
    counters=[counts(CONNECTION4), counts(CONNECTION6)],
)
case(
    "connection-of-another-tenant",
    "The same addresses under another tenant are another pair",
    "A3",
    punts(sent(inner4()), Event.PUNT_CONNECTION_MISS),
    entries=changed(
        Entry("port_role", {"ingress_port": ACCESS.number}, "access", {"tenant": OTHER_TENANT, "hops": 0})
    ),
)
case(
    "connection-rejected",
    "A pair that may not connect",
    "A3",
    drops(sent(inner4()), Event.DROP_CONNECTION_DENIED, port=ACCESS.number),
    entries=changed(Entry("connection", connection_key(VIRTUAL4_LOCAL, VIRTUAL4_PEER), "reject")),
    counters=[counts(CONNECTION4, sent(inner4()))],
)
case(
    "ttl-of-own-host",
    "On a port without hops the inner TTL stays, 1 too",
    "A6",
    *(sends(sent(inner), tunnelled(inner)) for inner in (inner4(ttl=1), inner4(ttl=255), inner6(hlim=1))),
)
case(
    "ttl-of-others",
    "On a port towards other hosts the inner TTL is lowered by one",
    "A6",
    sends(sent(inner4(ttl=64), GATEWAY), tunnelled(inner4(ttl=63)), port=GATEWAY.number),
    sends(sent(inner4(ttl=2), GATEWAY), tunnelled(inner4(ttl=1)), port=GATEWAY.number),
    sends(sent(inner6(hlim=64), GATEWAY), tunnelled(inner6(hlim=63)), port=GATEWAY.number),
)
case(
    "ttl-expired",
    "On a port towards other hosts a packet whose TTL is used up goes to the controller, which answers",
    "A6",
    punts(sent(inner4(ttl=1), GATEWAY), Event.PUNT_TTL_EXPIRED, port=GATEWAY.number),
    punts(sent(inner4(ttl=0), GATEWAY), Event.PUNT_TTL_EXPIRED, port=GATEWAY.number),
    punts(sent(inner6(hlim=1), GATEWAY), Event.PUNT_TTL_EXPIRED, port=GATEWAY.number),
)
case(
    "nodes-own-node",
    "The peer's node is not the underlay port's business: an entry with another node uses that node's paths",
    "A4",
    sends(sent(inner4()), tunnelled(inner4(), destination=PEER6)),
    entries=changed(
        connection(VIRTUAL4_LOCAL, VIRTUAL4_PEER, node=PEER_NODE + 1),
        Entry("locator", {"node": PEER_NODE + 1}, "set_paths", LOCATOR6.params),
    ),
)
