# SPDX-License-Identifier: Apache-2.0
"""User devices that come in by tunnels of their own: VXLAN, GRE, IPIP."""

from __future__ import annotations

from typing import Any, Final

from scapy.compat import raw
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, GRE, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from moorline.wire import OAM_PORT, VXLAN_PORT, Event, Tunnel

from ..build import counts, drops, passes, sends
from ..entries import terminate
from ..graph_entries import (
    SPI,
    START,
    device,
    mac_number,
    route_port,
    route_tunnel,
    rule,
    rule_to,
    to_node,
    to_peer,
)
from ..graph_packets import VXLAN_MACS, to_peer_frame, to_user, user_tunnel
from ..model import Step
from ..packets import delivered, tunnelled
from ..world import ANY4, FAR_NODE, INTERNET, PEERS, SECOND, TENANT, UNDERLAY, USERS
from .graph import MALFORMED, NEAR4, NEAR6, concern, graph, user4, user6

CASES = concern("device")
case = CASES.case

OVER6: Final = (NEAR6, UNDERLAY.address6)
KEYS: Final = {Tunnel.VXLAN: 0xABCDEF, Tunnel.GRE: 0xFEDC_BA98, Tunnel.IPIP: 0}
OPEN: Final = tuple(
    terminate(address, tunnel)
    for address in (UNDERLAY.address4, UNDERLAY.address6)
    for tunnel in (Tunnel.VXLAN, Tunnel.GRE, Tunnel.IPIP)
)
ADMITTED: Final = tuple(
    device(source, tunnel, key, "::", length=0) for source in (NEAR4, NEAR6) for tunnel, key in KEYS.items()
)
"""The devices may speak for whom they like."""
LED: Final = (*OPEN, *ADMITTED, rule(1), to_node(FAR_NODE))


def _onward(frame: bytes, left: Packet, **fields: Any) -> Step:
    made = tunnelled(left, SECOND, **{"scid": 0, "spi": SPI, "si": START, **fields})
    return sends(frame, made, UNDERLAY.number, SECOND.number)


for _tunnel, _key in KEYS.items():
    for _family, _addresses in (("ipv4", None), ("ipv6", OVER6)):
        _arrivals = [
            (user_tunnel(arrived, _tunnel, _key, addresses=_addresses, tags=tags), left)
            for arrived, left in ((user4(ttl=1), user4(ttl=1)), (user6(hlim=2), user6(hlim=2)))
            for tags in ((), (100,))
        ]
        _admits = device(NEAR6 if _addresses else NEAR4, _tunnel, _key, "::", length=0)
        case(
            f"{_tunnel.name.lower()}-over-{_family}",
            "Out of the device's tunnel, classified, and along its path",
            "S8",
            *(_onward(frame, left) for frame, left in _arrivals),
            entries=graph(*LED),
            counters=[counts(entry, *(frame for frame, _ in _arrivals)) for entry in (_admits, rule(1))],
        )
        case(
            f"{_tunnel.name.lower()}-not-opened-{_family}",
            "At an address where no such tunnel ends, the packet is the kernel's",
            "S8",
            *(passes(frame) for frame, _ in _arrivals),
            entries=graph(
                *(
                    entry
                    for entry in LED
                    if entry.table != "terminate" or entry.key["tunnel"] != int(_tunnel)
                ),
                terminate(UNDERLAY.address4, Tunnel.NONE),
            ),
        )
case(
    "gre-without-key",
    "GRE without a key has the key 0",
    "S8",
    _onward(user_tunnel(user4(), Tunnel.GRE), user4()),
    drops(user_tunnel(user4(), Tunnel.GRE, 7), Event.DROP_DEVICE_UNKNOWN),
    entries=graph(*OPEN, device(NEAR4, Tunnel.GRE, 0, "::", length=0), rule(1), to_node(FAR_NODE)),
)
case(
    "unknown",
    "A device that nobody knows: another address, key or kind of tunnel",
    "S8",
    *(
        drops(frame, Event.DROP_DEVICE_UNKNOWN)
        for frame in (
            user_tunnel(user4(), Tunnel.VXLAN, 7, addresses=("192.0.2.3", UNDERLAY.address4)),
            user_tunnel(user4(), Tunnel.VXLAN, 8),
            user_tunnel(user4(), Tunnel.VXLAN, 0x800007),
            user_tunnel(user4(), Tunnel.GRE, 7),
            user_tunnel(user4(), Tunnel.IPIP),
            user_tunnel(user4(), Tunnel.VXLAN, 7, addresses=OVER6),
            user_tunnel(user4(chksum=1), Tunnel.VXLAN, 8),
        )
    ),
    entries=graph(*OPEN, device(NEAR4, Tunnel.VXLAN, 7, "::", length=0), rule(1), to_node(FAR_NODE)),
)
for _name, _address, _length, _good, _bad in (
    (
        "one",
        USERS.host4,
        None,
        (user4(),),
        (user4(source="10.88.6.4"), user6(), user4(source="11.88.6.5")),
    ),
    (
        "prefix",
        "10.88.6.0",
        24,
        (user4(), user4(source="10.88.6.255")),
        (user4(source="10.88.7.5"), user6()),
    ),
    (
        "prefix-ipv6",
        "fd88:6::",
        64,
        (user6(hlim=64), user6(source="fd88:6::9", hlim=64)),
        (user6(source="fd88:6:0:1::5"), user4()),
    ),
):
    case(
        f"address-{_name}",
        "A device speaks for its own addresses alone",
        "S8",
        *(drops(user_tunnel(inner, Tunnel.VXLAN, 7), Event.DROP_CLASSIFIER_DENIED) for inner in _good),
        *(drops(user_tunnel(inner, Tunnel.VXLAN, 7), Event.DROP_DEVICE_ADDRESS) for inner in _bad),
        entries=graph(*OPEN, device(NEAR4, Tunnel.VXLAN, 7, _address, length=_length), rule(1, "deny")),
    )
case(
    "tenant",
    "A device has the tenant of its entry, whatever the key of its tunnel",
    "S8",
    _onward(user_tunnel(user4(), Tunnel.VXLAN, 7), user4(), geneve={"vni": TENANT + 9}),
    entries=graph(
        *OPEN,
        device(NEAR4, Tunnel.VXLAN, 7, USERS.host4, tenant=TENANT + 9),
        rule(2, tenant=TENANT + 9),
        rule(1, "deny"),
        to_node(FAR_NODE),
    ),
)
case(
    "classifier-fields",
    "For the classifier it has the port that it came by, VLAN 0, and the MAC address in VXLAN, or 0",
    "S8",
    _onward(user_tunnel(user4(), Tunnel.VXLAN, KEYS[Tunnel.VXLAN], tags=(100,)), user4()),
    _onward(user_tunnel(user4(), Tunnel.IPIP, tags=(100,)), user4()),
    _onward(user_tunnel(user4(), Tunnel.GRE, KEYS[Tunnel.GRE], tags=(100,)), user4()),
    entries=graph(
        *OPEN,
        *ADMITTED,
        rule(3, ingress_port=UNDERLAY.number, vlan=0, src_mac=0),
        rule(3, ingress_port=UNDERLAY.number, vlan=0, src_mac=mac_number(VXLAN_MACS[0])),
        rule(1, "deny"),
        to_node(FAR_NODE),
    ),
)


def _link(**fields: Any) -> Packet:
    return Ether(src=UNDERLAY.neighbour.mac, dst=UNDERLAY.mac, **fields)


def _ip(protocol: int, **fields: Any) -> Packet:
    return IP(**{"src": NEAR4, "dst": UNDERLAY.address4, "proto": protocol, "id": 0, **fields})


def _vxlan(payload: Packet, **udp: Any) -> bytes:
    return raw(_link() / _ip(17) / UDP(**{"sport": 50000, "dport": VXLAN_PORT, "chksum": 0, **udp}) / payload)


def _gre(payload: Packet, **ip: Any) -> bytes:
    return raw(_link() / _ip(47, **ip) / payload)


_FRAME = Ether(src="02:00:00:00:00:09", dst="02:00:00:00:00:08")
_V = VXLAN(flags=8, vni=KEYS[Tunnel.VXLAN])
_G = GRE(proto=0x0800, key_present=1, key=KEYS[Tunnel.GRE])
case(
    "malformed-vxlan",
    "VXLAN without the I bit or with another, inside something else than IP, truncated",
    "S8",
    *(
        drops(_vxlan(payload), Event.DROP_TUNNEL_HEADER)
        for payload in (
            VXLAN(flags=0, vni=KEYS[Tunnel.VXLAN]) / _FRAME / user4(),
            VXLAN(flags=0x88, vni=KEYS[Tunnel.VXLAN]) / _FRAME / user4(),
            VXLAN(flags=0x0C, vni=KEYS[Tunnel.VXLAN]) / _FRAME / user4(),
            _V / _FRAME / ARP(hwsrc="02:00:00:00:00:09", psrc=USERS.host4, pdst=USERS.address4),
            _V / _FRAME / Dot1Q(vlan=5) / user4(),
            _V / Raw(raw(_FRAME / user4())[:13]),
            _V,
            Raw(b"\x08\0\0\0\0\0\0"),
            Raw(b""),
        )
    ),
    entries=graph(*LED),
)
case(
    "nobody",
    "Sources that are never a good one",
    "S8",
    *(
        drops(user_tunnel(user4(), Tunnel.IPIP, addresses=addresses), Event.DROP_DEVICE_UNKNOWN)
        for addresses in (
            (ANY4, UNDERLAY.address4),
            ("::", UNDERLAY.address6),
            (f"::ffff:{NEAR4}", UNDERLAY.address6),
        )
    ),
    entries=graph(
        *LED,
        device(ANY4, Tunnel.IPIP, 0, "::", length=0),
        device("::", Tunnel.IPIP, 0, "::", length=0),
    ),
)
case(
    "ignored",
    "Reserved octets of VXLAN and reserved flags of GRE mean nothing",
    "S8",
    _onward(
        _vxlan(VXLAN(flags=8, vni=KEYS[Tunnel.VXLAN], reserved1=0xFFFFFF, reserved2=9) / _FRAME / user4()),
        user4(),
    ),
    _onward(_gre(Raw(b"\x2f\xf8\x08\x00\xfe\xdc\xba\x98") / user4()), user4()),
    entries=graph(*LED),
)
case(
    "vxlan-macs",
    "The addresses in the device's own Ethernet header mean nothing",
    "S8",
    _onward(_vxlan(_V / _FRAME / user4()), user4()),
    _onward(_vxlan(_V / Ether(src=UNDERLAY.mac, dst="ff:ff:ff:ff:ff:ff") / user4()), user4()),
    entries=graph(*LED),
)
case(
    "malformed-gre",
    "GRE of another version, with checksum, routing or sequence, inside something else than IP, truncated",
    "S8",
    *(
        drops(_gre(payload), Event.DROP_TUNNEL_HEADER)
        for payload in (
            GRE(proto=0x0800, chksum_present=1) / user4(),
            GRE(proto=0x0800, seqnum_present=1) / user4(),
            GRE(proto=0x0800, version=1) / user4(),
            Raw(b"\x40\x00\x08\x00" + bytes(8)) / user4(),
            GRE(proto=0x6558, key_present=1, key=KEYS[Tunnel.GRE]) / _FRAME / user4(),
            Raw(b"\x20\x00\x08\x00\xfe\xdc\xba"),
            Raw(b"\x20\x00\x08"),
        )
    ),
    entries=graph(*LED),
)
case(
    "malformed-ipip",
    "The inner packet is of the version that the protocol says",
    "S8",
    drops(raw(_link() / _ip(4) / user6()), Event.DROP_INNER_VERSION),
    drops(raw(_link() / _ip(41) / user4()), Event.DROP_INNER_VERSION),
    drops(raw(_link() / _ip(4)), Event.DROP_INNER_TRUNCATED),
    entries=graph(*LED),
)
case(
    "malformed-outer",
    "The outer headers are checked as Geneve's are",
    "S8",
    drops(_gre(_G / user4(), chksum=1), Event.DROP_OUTER_CHECKSUM),
    drops(_gre(_G / user4(), len=2000), Event.DROP_OUTER_LENGTH),
    drops(_gre(_G / user4(), flags="MF"), Event.DROP_OUTER_FRAGMENT),
    passes(_gre(_G / user4(), frag=4)),
    drops(raw(_link() / _ip(4, ihl=6) / user4()), Event.DROP_OUTER_HEADER_LENGTH),
    drops(_vxlan(_V / _FRAME / user4(), len=50), Event.DROP_UDP_LENGTH),
    drops(_vxlan(_V / _FRAME / user4(), chksum=1), Event.DROP_UDP_CHECKSUM),
    _onward(_vxlan(_V / _FRAME / user4(), chksum=None), user4()),
    entries=graph(*LED),
)
case(
    "malformed-inner",
    "The inner packet is checked as one from a user",
    "S8",
    *(
        drops(_gre(GRE(proto=kind, key_present=1, key=KEYS[Tunnel.GRE]) / Raw(octets)), event)
        for octets, kind, event in MALFORMED
    ),
    entries=graph(*LED),
)
case(
    "padding",
    "Octets behind the outer packet, and behind the inner one, are cut off",
    "S8",
    *(_onward(user_tunnel(user4(), tunnel, key) + bytes(9), user4()) for tunnel, key in KEYS.items()),
    entries=graph(*LED),
)
_LINK_LOCAL = (
    user4(destination="224.0.0.251"),
    user4(destination="255.255.255.255"),
    user4(destination="169.254.0.1"),
    user6(destination="ff02::fb"),
    user6(destination="fe80::1"),
)
case(
    "stays-on-link",
    "There is no link behind a tunnel that a packet could stay on",
    "S8",
    *(drops(user_tunnel(inner, Tunnel.IPIP), Event.DROP_NO_ROUTE) for inner in _LINK_LOCAL),
    entries=graph(*LED),
    counters=[counts(rule(1))],
)
case(
    "congestion",
    "Congestion on the way to the device's tunnel is told to the inner packet (RFC 6040)",
    "S8",
    _onward(user_tunnel(user4(tos=2), Tunnel.VXLAN, KEYS[Tunnel.VXLAN], tos=3), user4(tos=3)),
    _onward(user_tunnel(user6(tc=2, hlim=9), Tunnel.IPIP, tos=3), user6(tc=3, hlim=9)),
    drops(user_tunnel(user4(tos=0), Tunnel.GRE, KEYS[Tunnel.GRE], tos=3), Event.DROP_INNER_ECN),
    entries=graph(*LED),
)
case(
    "too-big",
    "What does not fit is dropped: by the device's tunnel nobody can be told",
    "S4",
    _onward(user_tunnel(user4(size=600), Tunnel.IPIP), user4(size=600)),
    drops(user_tunnel(user4(size=601), Tunnel.IPIP), Event.DROP_OUTER_TOO_BIG),
    entries=graph(*OPEN, *ADMITTED, rule_to(1, SPI, START, 600), to_node(FAR_NODE)),
)
case(
    "to-peer",
    "The path begins with a peer at this very node",
    "S7",
    *(
        sends(user_tunnel(user4(), tunnel, key), to_peer_frame(user4()), UNDERLAY.number, PEERS.number)
        for tunnel, key in KEYS.items()
    ),
    entries=graph(*OPEN, *ADMITTED, rule(1), to_peer()),
)
case(
    "routed",
    "On no path: out by an edge port, or into another device's tunnel",
    "S5",
    sends(
        user_tunnel(user4(), Tunnel.IPIP),
        delivered(user4(), INTERNET),
        UNDERLAY.number,
        INTERNET.number,
    ),
    sends(
        user_tunnel(user6(hlim=64), Tunnel.IPIP),
        to_user(user6(hlim=64), Tunnel.GRE, 5, port=SECOND),
        UNDERLAY.number,
        SECOND.number,
    ),
    entries=graph(
        *OPEN,
        *ADMITTED,
        route_port("10.88.4.0/24", INTERNET.number),
        route_tunnel("fd88:4::/64", SECOND.number, Tunnel.GRE, SECOND.neighbour.address4, 5),
    ),
)
case(
    "probe",
    "A user makes no probes",
    "S8",
    drops(user_tunnel(user4(destination_port=OAM_PORT), Tunnel.IPIP), Event.DROP_PROBE_END),
    entries=graph(*LED),
)
