# SPDX-License-Identifier: Apache-2.0
"""Edge ports: plain user devices and servers, led along paths by short-cuts and the classifier, or routed."""

from __future__ import annotations

from typing import Any, Final

from scapy.compat import raw
from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from moorline.wire import Event, Tunnel

from ..build import counts, drops, passes, punts, sends
from ..entries import terminate, uplink
from ..graph_entries import (
    SPI,
    START,
    edge,
    mac_number,
    route,
    route_port,
    route_tunnel,
    rule,
    rule_to,
    shortcut,
    to_node,
    to_peer,
    within,
)
from ..graph_packets import to_peer_frame, to_user
from ..model import Step, Value
from ..packets import delivered, option, sent, tunnelled
from ..world import FAR_NODE, GONE, INTERNET, PEERS, SECOND, TENANT, UNDERLAY, USERS, Gateway
from .graph import MALFORMED, NEAR6, concern, graph, server4, server6, user4, user6

CASES = concern("edge")
case = CASES.case

ANY = rule(1)
"""Everything goes along the path ``SPI``."""
ONWARD = to_node(FAR_NODE)
OTHER = SPI ^ 0x3000
ELSEWHERE = to_peer(OTHER, START)
"""Another path, which begins with a peer here."""


def _from_user(inner: Packet, vlan: int = 0) -> bytes:
    link = Ether(src=USERS.near_mac, dst=USERS.far_mac)
    return raw((link / Dot1Q(vlan=vlan) if vlan else link) / inner)


def _onward(arrived: bytes, left: Packet, port: int = USERS.number, **fields: Any) -> Step:
    made = tunnelled(left, SECOND, **{"scid": 0, "spi": SPI, "si": START, **fields})
    return sends(arrived, made, port, SECOND.number)


def _elsewhere(arrived: bytes, left: Packet, port: int = USERS.number) -> Step:
    return sends(arrived, to_peer_frame(left), port, PEERS.number)


def _routed(arrived: bytes, left: Packet, by: Gateway = INTERNET, port: int = USERS.number) -> Step:
    return sends(arrived, delivered(left, by), port, by.number)


def _drops(frame: bytes, event: Event, port: int = USERS.number) -> Step:
    return drops(frame, event, port)


case(
    "classified",
    "A user's packet loses a hop and goes along its path, without an SCID; the tables count",
    "S3",
    _onward(_from_user(user4(ttl=64)), user4(ttl=63)),
    _onward(_from_user(user6(hlim=2)), user6(hlim=1)),
    _onward(_from_user(user4(size=30, ttl=9)) + bytes(16), user4(size=30, ttl=8)),
    entries=graph(ANY, ONWARD),
    counters=[
        counts(
            entry,
            _from_user(user4(ttl=64)),
            _from_user(user6(hlim=2)),
            _from_user(user4(size=30, ttl=9)) + bytes(16),
        )
        for entry in (ANY, ONWARD, edge(USERS))
    ],
)
case(
    "classified-to-peer",
    "The path begins with a peer at this very node",
    "S7",
    _elsewhere(_from_user(user4(ttl=64)), user4(ttl=63)),
    _elsewhere(_from_user(user6(hlim=64)), user6(hlim=63)),
    entries=graph(rule_to(1, OTHER), ELSEWHERE),
)
case(
    "priority",
    "Of all rules that fit, the one of the highest priority counts, whatever their masks and their order",
    "S6",
    _onward(_from_user(user4(ttl=64)), user4(ttl=63)),
    _elsewhere(_from_user(user4(ttl=64, destination="10.88.4.6")), user4(ttl=63, destination="10.88.4.6")),
    _drops(_from_user(user4(destination="10.88.5.6")), Event.DROP_CLASSIFIER_DENIED),
    _elsewhere(_from_user(user4(destination="11.0.0.1")), user4(ttl=63, destination="11.0.0.1")),
    entries=graph(
        rule_to(10, OTHER),
        rule(20, "deny", dst=within("10.0.0.0/8")),
        rule_to(30, OTHER, START, 0xFFFF, dst=within("10.88.4.0/24")),
        rule(40, src="::ffff:10.88.6.5", dst="::ffff:10.88.4.5"),
        rule(35, "deny", dst="::ffff:10.88.4.5"),
        ONWARD,
        ELSEWHERE,
    ),
    counters=[
        counts(rule(40, src="::ffff:10.88.6.5", dst="::ffff:10.88.4.5"), _from_user(user4(ttl=64))),
        counts(rule(20, "deny", dst=within("10.0.0.0/8")), _from_user(user4(destination="10.88.5.6"))),
        counts(rule(35, "deny", dst="::ffff:10.88.4.5")),
    ],
)
_DENIED: Final[dict[str, dict[str, Value]]] = {
    "ingress-port": {"ingress_port": USERS.number},
    "tenant": {"tenant": TENANT},
    "vlan": {"vlan": 100},
    "src-mac": {"src_mac": mac_number(USERS.near_mac)},
    "src": {"src": within("10.88.6.4/31")},
    "dst": {"dst": within("10.88.4.4/31")},
    "protocol": {"protocol": 17},
    "src-port": {"src_port": 4000},
    "dst-port": {"dst_port": 5000},
    "bits": {"dst_port": "4096&61440", "src_mac": "0x020000000000&0xff0000000000"},
}
_FITS = _from_user(user4(ttl=64), vlan=100)
_OTHERWISE = {
    "ingress-port": (INTERNET.number, sent(user4(ttl=64), INTERNET)),
    "vlan": (USERS.number, _from_user(user4(ttl=64), vlan=101)),
    "src-mac": (USERS.number, raw(Ether(src="02:00:00:00:06:03", dst=USERS.far_mac) / user4(ttl=64))),
    "src": (USERS.number, _from_user(user4(ttl=64, source="10.88.6.1"))),
    "dst": (USERS.number, _from_user(user4(ttl=64, destination="10.88.4.6"))),
    "protocol": (USERS.number, _from_user(IP(src=USERS.host4, dst=INTERNET.host4, ttl=64) / TCP())),
    "src-port": (
        USERS.number,
        _from_user(IP(src=USERS.host4, dst=INTERNET.host4) / UDP(sport=1, dport=5000)),
    ),
    "dst-port": (USERS.number, _from_user(user4(ttl=64, destination_port=5001))),
    "bits": (USERS.number, _from_user(user4(ttl=64, destination_port=8192))),
}


def _less(frame: bytes) -> Packet:
    """The frame's packet with a hop less."""
    inner: Packet = Ether(frame)[IP].copy()
    inner.ttl -= 1
    del inner.chksum
    return inner


for _field, _key in _DENIED.items():
    case(
        f"field-{_field}",
        f"A rule of {_field} alone, what it fits, and what not",
        "S6",
        _drops(_FITS, Event.DROP_CLASSIFIER_DENIED),
        *(
            _onward(frame, _less(frame), port)
            for field, (port, frame) in _OTHERWISE.items()
            if field == _field
        ),
        entries=graph(rule(9, "deny", **_key), ANY, ONWARD),
    )
case(
    "tenants",
    "A rule of one tenant's does not touch another's",
    "S6",
    _drops(_from_user(user4()), Event.DROP_CLASSIFIER_DENIED),
    sends(
        sent(server4(ttl=9), INTERNET),
        tunnelled(server4(ttl=8), SECOND, scid=0, spi=SPI, si=START, geneve={"vni": TENANT + 1}),
        INTERNET.number,
        SECOND.number,
    ),
    entries=graph(
        edge(INTERNET, TENANT + 1), rule(9, "deny", tenant=TENANT), rule(8, tenant=TENANT + 1), ONWARD
    ),
)
_FRAGMENT4 = user4(flags="MF")
_FRAGMENT6 = IPv6(src=USERS.host6, dst=INTERNET.host6) / IPv6ExtHdrFragment(m=1) / UDP(sport=4000, dport=5000)
_ECHO4 = IP(src=USERS.host4, dst=INTERNET.host4) / ICMP() / Raw(b"i" * 40)
_ECHO6 = IPv6(src=USERS.host6, dst=INTERNET.host6) / ICMPv6EchoRequest(data=b"i" * 40)
case(
    "ports-zero",
    "Fragments, and protocols without ports, have the ports 0",
    "S6",
    *(
        _drops(_from_user(inner), Event.DROP_CLASSIFIER_DENIED)
        for inner in (_FRAGMENT4, user4(frag=7), _FRAGMENT6, _ECHO4, _ECHO6)
    ),
    _onward(_from_user(user4()), user4(ttl=63)),
    entries=graph(rule(9, "deny", src_port=0, dst_port=0), ANY, ONWARD),
)
case(
    "vlan-tag",
    "A tag is the classifier's, and does not go along",
    "S6",
    _onward(_from_user(user4(), vlan=100), user4(ttl=63)),
    _elsewhere(_from_user(user6(hlim=64), vlan=200), user6(hlim=63)),
    _drops(_from_user(user4()), Event.DROP_CLASSIFIER_DENIED),
    _drops(_from_user(user4(), vlan=4095), Event.DROP_CLASSIFIER_DENIED),
    _onward(
        raw(Ether(src=USERS.near_mac, dst=USERS.far_mac) / Dot1Q(vlan=100, prio=7, id=1) / user4()),
        user4(ttl=63),
    ),
    entries=graph(
        rule(9, vlan=100),
        rule_to(9, OTHER, START, 0xFFFF, vlan=200),
        rule(1, "deny", vlan=0),
        rule(1, "deny", vlan=4095),
        ONWARD,
        ELSEWHERE,
    ),
)
case(
    "shortcut",
    "A short-cut counts before the classifier, for exactly its flow",
    "S6",
    _elsewhere(_from_user(user4()), user4(ttl=63)),
    _elsewhere(_from_user(user4(), vlan=100), user4(ttl=63)),
    _elsewhere(_from_user(user6(hlim=64)), user6(hlim=63)),
    _drops(_from_user(user4(destination_port=5001)), Event.DROP_CLASSIFIER_DENIED),
    _drops(_from_user(user4(destination="10.88.4.6")), Event.DROP_CLASSIFIER_DENIED),
    _drops(_from_user(user4(proto=6)), Event.DROP_CLASSIFIER_DENIED),
    _drops(_from_user(_FRAGMENT4), Event.DROP_CLASSIFIER_DENIED),
    _drops(sent(server4(), INTERNET), Event.DROP_CLASSIFIER_DENIED, INTERNET.number),
    entries=graph(
        shortcut(USERS.host4, INTERNET.host4, spi=OTHER),
        shortcut(USERS.host6, INTERNET.host6, spi=OTHER),
        shortcut(USERS.host4, INTERNET.host4, protocol=6, ports=(0, 0), tenant=TENANT),
        shortcut(INTERNET.host4, USERS.host4, tenant=TENANT + 1),
        rule(9, "deny"),
        ELSEWHERE,
    ),
    counters=[
        counts(shortcut(USERS.host4, INTERNET.host4), _from_user(user4()), _from_user(user4(), vlan=100)),
        counts(shortcut(USERS.host6, INTERNET.host6), _from_user(user6(hlim=64))),
    ],
)
case(
    "shortcut-without-ports",
    "A short-cut for fragments and for ICMP",
    "S6",
    _elsewhere(_from_user(_FRAGMENT4), user4(flags="MF", ttl=63)),
    _elsewhere(_from_user(_ECHO4), _less(_from_user(_ECHO4))),
    entries=graph(
        shortcut(USERS.host4, INTERNET.host4, ports=(0, 0), spi=OTHER),
        shortcut(USERS.host4, INTERNET.host4, protocol=1, ports=(0, 0), spi=OTHER),
        ELSEWHERE,
    ),
)
case(
    "expired",
    "A TTL that does not last: to the controller, before anything is looked for",
    "S3",
    *(
        punts(_from_user(inner), Event.PUNT_TTL_EXPIRED, USERS.number)
        for inner in (user4(ttl=1), user4(ttl=0), user6(hlim=1))
    ),
    _onward(_from_user(user4(ttl=2)), user4(ttl=1)),
    entries=graph(ANY, ONWARD),
    counters=[counts(ANY, _from_user(user4(ttl=2)))],
)
case(
    "hops",
    "A port further away takes more off the TTL",
    "S3",
    _onward(_from_user(user4(ttl=10)), user4(ttl=3)),
    punts(_from_user(user6(hlim=7)), Event.PUNT_TTL_EXPIRED, USERS.number),
    entries=graph(edge(USERS, hops=7), ANY, ONWARD),
)
case(
    "too-big",
    "What fits is the lower of what the path carries and what the uplink does",
    "S4",
    _onward(_from_user(user4(size=600)), user4(size=600, ttl=63)),
    punts(_from_user(user4(size=601)), Event.PUNT_TOO_BIG, USERS.number, 600),
    _onward(_from_user(user6(size=1348, hlim=64)), user6(size=1348, hlim=63)),
    punts(_from_user(user6(size=1349)), Event.PUNT_TOO_BIG, USERS.number, 1348),
    punts(_from_user(user4(size=501, destination_port=5001)), Event.PUNT_TOO_BIG, USERS.number, 500),
    entries=graph(
        rule_to(2, SPI, START, 600, src="::ffff:10.88.6.5"),
        shortcut(USERS.host4, INTERNET.host4, ports=(4000, 5001), mtu=500),
        ANY,
        ONWARD,
        uplink(SECOND, mtu=1400),
    ),
)
for _name, _entries, _description in (
    ("bypass", (rule(9, "bypass", tenant=TENANT), ANY), "What is to go along no path is routed at once"),
    ("unclassified", (), "What no rule fits is routed, too"),
):
    case(
        _name,
        _description,
        "S11",
        _routed(_from_user(user4(ttl=64)), user4(ttl=63)),
        _routed(_from_user(user6(hlim=64), vlan=9), user6(hlim=63)),
        _routed(sent(server4(ttl=64), INTERNET), server4(ttl=63), USERS, INTERNET.number),
        _routed(sent(server6(hlim=64), INTERNET), server6(hlim=63), USERS, INTERNET.number),
        _drops(_from_user(user4(destination="11.0.0.1")), Event.DROP_NO_ROUTE),
        entries=graph(
            *_entries,
            ONWARD,
            route_port("10.88.4.0/24", INTERNET.number),
            route_port("fd88:4::/64", INTERNET.number),
            route_port("10.88.6.0/24", USERS.number),
            route_port("fd88:6::/64", USERS.number),
        ),
    )
case(
    "route-vlan",
    "Out by an edge port with a VLAN",
    "S11",
    sends(
        _from_user(user4(ttl=64)),
        raw(Ether(src=INTERNET.far_mac, dst=INTERNET.near_mac) / Dot1Q(vlan=200) / user4(ttl=63)),
        USERS.number,
        INTERNET.number,
    ),
    sends(
        _from_user(user6(hlim=64), vlan=7),
        raw(Ether(src=INTERNET.far_mac, dst=INTERNET.near_mac) / Dot1Q(vlan=4094) / user6(hlim=63)),
        USERS.number,
        INTERNET.number,
    ),
    entries=graph(
        route_port("10.88.4.0/24", INTERNET.number, 200), route_port("fd88:4::/64", INTERNET.number, 4094)
    ),
)
case(
    "route-no-neighbour",
    "To an address on the link that nobody has",
    "S11",
    _drops(_from_user(user4(destination=INTERNET.silent4)), Event.DROP_NO_NEIGHBOUR),
    entries=graph(route_port("10.88.4.0/24", INTERNET.number)),
)
case(
    "route-port-gone",
    "Out by a port that is not there",
    "S11",
    _drops(_from_user(user4()), Event.DROP_NO_ROUTE),
    entries=graph(route_port("10.88.4.0/24", GONE)),
    differs={"bmv2": Event.DROP_NO_NEIGHBOUR},
    why="a node with feature peers or edge ports runs all its ports at XDP; a switch knows next hops alone",
)
case(
    "route-node",
    "What is on no path cannot go to another node",
    "S11",
    _drops(_from_user(user4()), Event.DROP_NO_ROUTE),
    entries=graph(route("10.88.4.0/24", "route_node", node=FAR_NODE)),
)
_TUNNELS = {
    "vxlan": (Tunnel.VXLAN, 0xABCDEF, 50),
    "gre": (Tunnel.GRE, 0, 24),
    "gre-key": (Tunnel.GRE, 0xFEDC_BA98, 28),
    "ipip": (Tunnel.IPIP, 0, 20),
}
for _name, (_tunnel, _tunnel_key, _overhead) in _TUNNELS.items():
    for _family, _remote, _more in (("ipv4", UNDERLAY.neighbour.address4, 0), ("ipv6", NEAR6, 20)):
        _room = 1500 - _overhead - _more
        case(
            f"route-{_name}-{_family}",
            "Into a user device's tunnel, with new outer headers; what does not fit is answered",
            "S12",
            *(
                sends(
                    sent(arrived, INTERNET),
                    to_user(left, _tunnel, _tunnel_key, remote=_remote),
                    INTERNET.number,
                    UNDERLAY.number,
                )
                for arrived, left in (
                    (server4(ttl=64), server4(ttl=63)),
                    (server6(hlim=64, tc=0xB9), server6(hlim=63, tc=0xB9)),
                    (server4(ttl=64, size=_room), server4(ttl=63, size=_room)),
                )
            ),
            punts(sent(server4(size=_room + 1), INTERNET), Event.PUNT_TOO_BIG, INTERNET.number, _room),
            punts(sent(server6(size=_room + 1), INTERNET), Event.PUNT_TOO_BIG, INTERNET.number, _room),
            entries=graph(
                *(
                    route_tunnel(to, UNDERLAY.number, _tunnel, _remote, _tunnel_key)
                    for to in ("10.88.6.5/32", "fd88:6::5/128")
                )
            ),
        )
case(
    "route-tunnel-vlan",
    "By an uplink with a VLAN",
    "S12",
    sends(
        sent(server4(ttl=64), INTERNET),
        to_user(server4(ttl=63), Tunnel.VXLAN, 9, tags=(300,)),
        INTERNET.number,
        UNDERLAY.number,
    ),
    entries=graph(
        uplink(UNDERLAY, vlan=300),
        route_tunnel("10.88.6.5/32", UNDERLAY.number, Tunnel.VXLAN, UNDERLAY.neighbour.address4, 9),
    ),
)
case(
    "route-tunnel-nowhere",
    "By a port that has no uplink",
    "S12",
    _drops(sent(server4(), INTERNET), Event.DROP_UPLINK_UNKNOWN, INTERNET.number),
    entries=graph(
        route_tunnel("10.88.6.5/32", GONE, Tunnel.GRE, UNDERLAY.neighbour.address4),
    ),
)
case(
    "malformed",
    "The packet is checked as at an access port",
    "S3",
    *(
        _drops(raw(Ether(src=USERS.near_mac, dst=USERS.far_mac, type=kind)) + octets, event)
        for octets, kind, event in MALFORMED
    ),
    _drops(_from_user(user4(chksum=1), vlan=5), Event.DROP_INNER_CHECKSUM),
    entries=graph(ANY, ONWARD),
)
_ASKS = ARP(hwsrc=USERS.near_mac, psrc=USERS.host4, pdst=USERS.address4)
case(
    "not-for-the-classifier",
    "What stays on the link, other EtherTypes, two tags: the kernel's",
    "S3",
    *(
        passes(frame, USERS.number)
        for frame in (
            raw(Ether(src=USERS.near_mac, dst=USERS.far_mac) / _ASKS),
            _from_user(_ASKS, vlan=100),
            raw(Ether(src=USERS.near_mac, dst=USERS.far_mac, type=0x88CC) / Raw(bytes(46))),
            raw(Ether(src=USERS.near_mac, dst=USERS.far_mac) / Dot1Q(vlan=1) / Dot1Q(vlan=2) / user4()),
            raw(Ether(src=USERS.near_mac, dst=USERS.far_mac) / Dot1AD(vlan=1) / user4()),
            _from_user(IPv6(src="fe80::1", dst="ff02::1:ff00:1") / ICMPv6ND_NS()),
            _from_user(user6(destination="fe80::2")),
            _from_user(user4(destination="224.0.0.251"), vlan=3),
            _from_user(user4(destination="255.255.255.255")),
            _from_user(user4(destination="169.254.0.1")),
        )
    ),
    entries=graph(ANY, ONWARD),
)
_OWN = terminate(USERS.address4, Tunnel.NONE), terminate(USERS.address6, Tunnel.NONE)
_TO_NODE4, _TO_NODE6 = user4(destination=USERS.address4), user6(destination=USERS.address6)
case(
    "to-the-node-itself",
    "What is for the node's own address on the link is the kernel's",
    "S3",
    passes(_from_user(_TO_NODE4), USERS.number),
    passes(_from_user(_TO_NODE6), USERS.number),
    passes(_from_user(user4(destination=USERS.address4, ttl=1)), USERS.number),
    _onward(_from_user(user4(destination=UNDERLAY.address4)), user4(destination=UNDERLAY.address4, ttl=63)),
    entries=graph(ANY, ONWARD, *_OWN),
    counters=[counts(_OWN[0], _from_user(_TO_NODE4), _from_user(user4(destination=USERS.address4, ttl=1)))],
    hooks=["xdp"],
    why="a switch has no kernel to answer: its controller does",
)
_FORGED = (
    IP(src=USERS.host4, dst=UNDERLAY.address4, ttl=64, id=0)
    / UDP(sport=50000, dport=6081, chksum=0)
    / GENEVE(critical=1, vni=TENANT, proto=0x0800, options=[option(0, OTHER, START)])
    / user4()
)
case(
    "forged-service-header",
    "Service headers that a user makes are payload: the packet goes its own way",
    "S3",
    _onward(_from_user(_FORGED), _less(_from_user(_FORGED))),
    entries=graph(ANY, ONWARD, ELSEWHERE),
)
case(
    "no-path",
    "A path that is unknown here",
    "S5",
    _drops(_from_user(user4()), Event.DROP_SERVICE_PATH),
    entries=graph(ANY),
    counters=[counts(ANY, _from_user(user4()))],
)
