# SPDX-License-Identifier: Apache-2.0
"""To feature peers and back: headers of every kind, who may return what, where the path goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from scapy.compat import raw
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, GRE, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from moorline.wire import Event, PeerCheck, PeerHeader

from ..build import counts, drops, passes, sends
from ..entries import connection, connection_key, local, scid
from ..graph_entries import (
    SPI,
    START,
    hop,
    mac_number,
    peer,
    resume,
    resume_class,
    route_port,
    rule,
    rule_to,
    shortcut,
    to_node,
    to_peer,
)
from ..graph_packets import from_peer_frame, headed, to_peer_frame
from ..model import Entry, Step
from ..packets import delivered, inner4, inner6, tunnelled
from ..world import (
    BEHIND,
    FAR_NODE,
    GONE,
    INTERNET,
    PEER_NODE,
    PEERS,
    SCID,
    SECOND,
    TENANT,
    UNDERLAY,
    USERS,
    VIRTUAL4_LOCAL,
    VIRTUAL4_PEER,
)
from .graph import MALFORMED, NEAR4, concern, graph, on_path, on_path6, server4, user4, user6

CASES = concern("peer")
case = CASES.case

NEXT = START - 1
GRE4: Final = ("198.18.0.1", "198.18.0.2")
GRE6: Final = ("fd18::1", "fd18::2")
"""Own address and the peer's, in its GRE header."""

Labels = tuple[int, int]
KINDS: Final[dict[str, tuple[PeerHeader, Labels, tuple[str, str]]]] = {
    "none": (PeerHeader.NONE, (0, 0), ("", "")),
    "vlan": (PeerHeader.VLAN, (100, 0), ("", "")),
    "vlan-highest": (PeerHeader.VLAN, (4094, 0), ("", "")),
    "qinq": (PeerHeader.QINQ, (100, 200), ("", "")),
    "mpls": (PeerHeader.MPLS, (0xABCDE, 0), ("", "")),
    "mpls-two": (PeerHeader.MPLS, (16, 0xFFFFF), ("", "")),
    "gre-ipv4": (PeerHeader.GRE, (0xFEDC_BA98, 0), GRE4),
    "gre-ipv6": (PeerHeader.GRE, (7, 0), GRE6),
    "gre-key-zero": (PeerHeader.GRE, (0, 0), GRE4),
    "pbb": (PeerHeader.PBB, (0xABCDEF, 0), ("", "")),
    "pbb-b-tag": (PeerHeader.PBB, (0x000100, 300), ("", "")),
}


def _onward(inner: Packet, si: int = NEXT, **fields: Any) -> bytes:
    return tunnelled(inner, SECOND, **{"scid": 0, "spi": SPI, "si": si, **fields})


def _back(frame: bytes, inner: Packet, si: int = NEXT, port: int = PEERS.number, **fields: Any) -> Step:
    """What comes from a peer goes on to the far node."""
    return sends(frame, _onward(inner, si, **fields), port, SECOND.number)


for _kind, (_header, (_label, _label2), (_local, _remote)) in KINDS.items():
    _leads = to_peer(
        header=_header, label=_label, label2=_label2, local=_local or "::", remote=_remote or "::"
    )
    _returns = resume(header=_header, label=_label)
    _there: dict[str, Any] = {"label": _label, "label2": _label2, "addresses": (_local, _remote)}
    _here: dict[str, Any] = {"label": _label, "label2": _label2, "addresses": (_remote, _local)}
    case(
        f"to-{_kind}",
        "From another node to the peer: Ethernet, the peer's header, the packet; its TTL stays",
        "S7",
        *(
            sends(
                arriving(inner).frame(),
                to_peer_frame(inner, _header, **_there),
                UNDERLAY.number,
                PEERS.number,
            )
            for arriving in (on_path, on_path6)
            for inner in (user4(ttl=1, tos=0xB9), user6(hlim=1, tc=0xB9))
        ),
        entries=graph(peer(PEERS, _header), _leads),
        counters=[
            counts(
                _leads,
                *(
                    arriving(inner).frame()
                    for arriving in (on_path, on_path6)
                    for inner in (user4(ttl=1, tos=0xB9), user6(hlim=1, tc=0xB9))
                ),
            )
        ],
    )
    case(
        f"from-{_kind}",
        "Back from the peer, with its header: on along the path, one place further; padding is cut off",
        "S9",
        *(
            _back(from_peer_frame(inner, _header, **_here) + bytes(padding), inner)
            for inner in (user4(ttl=1, tos=0xB9), user6(hlim=1, tc=0xB9), user4(size=30))
            for padding in (0, 17)
        ),
        entries=graph(peer(PEERS, _header), _returns, to_node(FAR_NODE, si=NEXT)),
    )
    case(
        f"unknown-{_kind}",
        "A label that no path has here, and the right one at another port",
        "S9",
        drops(from_peer_frame(user4(), _header, **_here), Event.DROP_PEER_UNKNOWN, PEERS.number),
        drops(
            from_peer_frame(user4(), _header, **_here, port=BEHIND), Event.DROP_PEER_UNKNOWN, BEHIND.number
        ),
        entries=graph(
            peer(PEERS, _header),
            peer(BEHIND, _header),
            resume(header=_header, label=_label ^ 1),
            resume(header=PeerHeader((_header + 1) % 6), label=_label),
            resume(header=_header, label=_label, mac=PEERS.macs[0]),
            to_node(FAR_NODE, si=NEXT),
        ),
    )
    case(
        f"through-{_kind}",
        "From one peer to the next at the same node, from one kind of header to another",
        "S9",
        *(
            sends(
                from_peer_frame(inner, _header, **_here),
                to_peer_frame(inner, PeerHeader.VLAN, 5, port=BEHIND),
                PEERS.number,
                BEHIND.number,
            )
            for inner in (user4(), user6())
        ),
        *(
            sends(
                from_peer_frame(inner, PeerHeader.VLAN, 5, port=BEHIND),
                to_peer_frame(inner, _header, **_there),
                BEHIND.number,
                PEERS.number,
            )
            for inner in (user4(), user6())
        ),
        entries=graph(
            peer(PEERS, _header),
            peer(BEHIND, PeerHeader.VLAN),
            _returns,
            resume(port=BEHIND, header=PeerHeader.VLAN, label=5, si=9),
            to_peer(si=NEXT, port=BEHIND, header=PeerHeader.VLAN, label=5),
            to_peer(
                si=9,
                header=_header,
                label=_label,
                label2=_label2,
                local=_local or "::",
                remote=_remote or "::",
            ),
        ),
    )

# ---- headers that are none


def _bad(header: PeerHeader, name: str, description: str, frames: Iterable[bytes]) -> None:
    label = 0 if header is PeerHeader.NONE else 100
    case(
        name,
        description,
        "S9",
        *(drops(frame, Event.DROP_PEER_HEADER, PEERS.number) for frame in frames),
        entries=graph(
            peer(PEERS, header),
            *{
                str(entry): entry for entry in (resume(header=header, label=label), resume(header=header))
            }.values(),
            to_node(FAR_NODE, si=NEXT),
        ),
    )


def _link(ethertype: int | None = None) -> Packet:
    link = Ether(src=PEERS.macs[0], dst=PEERS.mac)
    if ethertype is not None:
        link.type = ethertype
    return link


_WHOLE: Final = {
    header: headed(user4(), (PEERS.macs[0], PEERS.mac), header, 100, 200, (GRE4[1], GRE4[0]))
    for header in PeerHeader
}
_BOUNDARIES: Final = {
    PeerHeader.QINQ: (20, 21),
    PeerHeader.MPLS: (15, 17, 18, 21),
    PeerHeader.GRE: (15, 33, 34, 37, 38, 41),
    PeerHeader.PBB: (20, 21, 22, 27, 33, 35),
}
"""Lengths at which a frame ends inside the header; what ends inside its first tag never reaches a switch."""

for _header in PeerHeader:
    _bad(
        _header,
        f"other-than-{_header.name.lower()}",
        "Another kind of header than the port's peers have",
        (
            frame
            for other, frame in _WHOLE.items()
            if other is not _header and (_header, other) != (PeerHeader.NONE, PeerHeader.GRE)
        ),
    )
for _header, _lengths in _BOUNDARIES.items():
    _bad(
        _header,
        f"truncated-{_header.name.lower()}",
        "Frames that end inside the header",
        (_WHOLE[_header][:length] for length in _lengths),
    )

_bad(
    PeerHeader.VLAN,
    "malformed-vlan",
    "A second tag, and one of another type",
    (
        raw(_link() / Dot1Q(vlan=100) / Dot1Q(vlan=100) / user4()),
        raw(_link() / Dot1AD(vlan=100) / user4()),
    ),
)
_bad(
    PeerHeader.QINQ,
    "malformed-qinq",
    "Tags of other types, one tag, three tags",
    (
        raw(_link() / Dot1Q(vlan=100) / Dot1Q(vlan=200) / user4()),
        raw(_link() / Dot1AD(vlan=100) / Dot1AD(vlan=200) / user4()),
        raw(_link() / Dot1AD(vlan=100) / user4()),
        raw(_link() / Dot1AD(vlan=100) / Dot1Q(vlan=200) / Dot1Q(vlan=300) / user4()),
    ),
)
_bad(
    PeerHeader.MPLS,
    "malformed-mpls",
    "Three labels, labels without an end, and what is neither IPv4 nor IPv6 behind them",
    (
        raw(_link(0x8847) / MPLS(label=100, s=0) / MPLS(label=2, s=0) / MPLS(label=3, s=1) / user4()),
        raw(_link(0x8848) / MPLS(label=100, s=1) / user4())[:12]
        + b"\x88\x47"
        + raw(MPLS(label=100, s=0) / user4()),
        raw(_link(0x8847) / MPLS(label=100, s=1) / Raw(b"\x50" + raw(user4())[1:])),
        raw(_link(0x8847) / MPLS(label=100, s=1)),
    ),
)


def _gre(packet: Packet, **fields: Any) -> bytes:
    """A GRE packet from the peer with other fields in its outer header."""
    return raw(_link() / IP(**{"src": GRE4[1], "dst": GRE4[0], "proto": 47, **fields}) / packet)


def _gre6(packet: Packet, **fields: Any) -> bytes:
    return raw(_link() / IPv6(**{"src": GRE6[1], "dst": GRE6[0], "nh": 47, **fields}) / packet)


_KEYED = GRE(proto=0x0800, key_present=1, key=100)
_bad(
    PeerHeader.GRE,
    "malformed-gre",
    "Checksum, routing or sequence, another version, something else than IP inside",
    (
        _gre(GRE(proto=0x0800, key_present=1, key=100, chksum_present=1) / user4()),
        _gre(GRE(proto=0x0800, key_present=1, key=100, seqnum_present=1) / user4()),
        _gre(GRE(proto=0x0800, key_present=1, key=100, version=1) / user4()),
        _gre(Raw(b"\x60\x00\x08\x00" + bytes(8)) / user4()),
        _gre(GRE(proto=0x6558, key_present=1, key=100) / _link() / user4()),
        _gre6(GRE(proto=0x0806, key_present=1, key=100) / user4()),
        _gre(Raw(b"\x20\x00\x08\x00\x00\x00")),
        _gre(Raw(b"\x20\x00")),
    ),
)
_bad(
    PeerHeader.GRE,
    "malformed-gre-outer",
    "An outer IP header that is malformed, has options, is a fragment's, or is not GRE's",
    (
        _gre(_KEYED / user4(), chksum=1),
        _gre(_KEYED / user4(), ihl=6),
        _gre(_KEYED / user4(), ihl=4),
        _gre(_KEYED / user4(), len=20),
        _gre(_KEYED / user4(), len=2000),
        _gre(_KEYED / user4(), flags="MF"),
        _gre(_KEYED / user4(), frag=1),
        _gre(_KEYED / user4(), version=6),
        _gre6(_KEYED / user4(), plen=2000),
        _gre6(_KEYED / user4(), version=4),
        raw(_link() / user4()),
        raw(_link() / user6()),
    ),
)
_bad(
    PeerHeader.PBB,
    "malformed-pbb",
    "A B-TAG without an I-TAG, other tags before it",
    (
        raw(_link() / Dot1AD(vlan=100) / user4()),
        raw(_link() / Dot1Q(vlan=100, type=0x88E7)) + _WHOLE[PeerHeader.PBB][18:],
        raw(_link() / Dot1AD(vlan=100) / Dot1AD(vlan=100, type=0x88E7)) + _WHOLE[PeerHeader.PBB][18:],
    ),
)
_MARKED = {
    PeerHeader.VLAN: raw(_link() / Dot1Q(vlan=100, prio=7, id=1) / user4()),
    PeerHeader.QINQ: raw(_link() / Dot1AD(vlan=100, prio=7, id=1) / Dot1Q(vlan=9, prio=3) / user4()),
    PeerHeader.MPLS: raw(_link(0x8847) / MPLS(label=100, s=1, ttl=0, cos=7) / user4()),
    PeerHeader.GRE: _gre(_KEYED / user4(), ttl=1, tos=3, src="203.0.113.99"),
    PeerHeader.PBB: raw(_link() / Dot1AD(vlan=9, prio=7, type=0x88E7))
    + b"\xf8"
    + _WHOLE[PeerHeader.PBB][19:],
}
for _header, _frame in _MARKED.items():
    case(
        f"ignored-{_header.name.lower()}",
        "Priorities, TTL, DSCP and ECN in the header mean nothing, nor does a second label or an address",
        "S9",
        _back(_frame, user4()),
        entries=graph(peer(PEERS, _header), resume(header=_header, label=100), to_node(FAR_NODE, si=NEXT)),
    )
case(
    "gre-without-key",
    "GRE without a key has the key 0",
    "S9",
    _back(_gre(GRE(proto=0x0800) / user4()), user4()),
    _back(_gre6(GRE(proto=0x86DD) / user6()), user6()),
    entries=graph(peer(PEERS, PeerHeader.GRE), resume(header=PeerHeader.GRE), to_node(FAR_NODE, si=NEXT)),
)

# ---- what is no packet of the path

ASKS: Final = ARP(hwsrc=PEERS.macs[0], psrc="10.0.0.2", pdst="10.0.0.1")
for _header, _before in (
    (PeerHeader.NONE, lambda kind: raw(_link(kind))),
    (PeerHeader.VLAN, lambda kind: raw(_link() / Dot1Q(vlan=100, type=kind))),
    (PeerHeader.QINQ, lambda kind: raw(_link() / Dot1AD(vlan=100) / Dot1Q(vlan=1, type=kind))),
    (
        PeerHeader.PBB,
        lambda kind: raw(_link(0x88E7) / Raw(b"\0\0\0\x64" + bytes(12))) + kind.to_bytes(2, "big"),
    ),
):
    case(
        f"inner-malformed-{_header.name.lower()}",
        "The packet that a peer returns is checked before its path is looked for",
        "S9",
        *(drops(_before(kind) + octets, event, PEERS.number) for octets, kind, event in MALFORMED),
        entries=graph(peer(PEERS, _header)),
    )
    case(
        f"not-ip-{_header.name.lower()}",
        "What a peer says to its link is the kernel's",
        "S9",
        passes(_before(0x0806) + raw(ASKS), PEERS.number),
        passes(_before(0x88CC) + bytes(46), PEERS.number),
        *(
            passes(_before(kind) + bytes(46), PEERS.number)
            for kind in (0x8847, 0x88E7)
            if _header is not PeerHeader.NONE
        ),
        passes(
            _before(0x86DD) + raw(IPv6(src="fe80::1", dst="ff02::1:ff00:1") / ICMPv6ND_NS()), PEERS.number
        ),
        passes(_before(0x86DD) + raw(user6(destination="fe80::2")), PEERS.number),
        passes(_before(0x0800) + raw(user4(destination="224.0.0.1")), PEERS.number),
        passes(_before(0x0800) + raw(user4(destination="169.254.1.1")), PEERS.number),
        entries=graph(peer(PEERS, _header), resume(header=_header, label=100), resume(header=_header)),
    )
_FORGED = IP(src=NEAR4, dst=UNDERLAY.address4, id=0) / UDP(sport=50000, dport=6081) / Raw(bytes(40))
case(
    "forged-tunnel",
    "A peer's packet that looks like one from another node is a packet like any",
    "S9",
    _back(from_peer_frame(_FORGED), _FORGED),
    entries=graph(resume(), to_node(FAR_NODE, si=NEXT)),
)

# ---- many peers at a port

_FOUR: Final = tuple(zip(PEERS.macs, (5, 4, 3, 2), strict=True))
case(
    "by-mac",
    "Several peers behind one port and one VLAN, told apart by their MAC addresses",
    "S9",
    *(_back(from_peer_frame(user4(), PeerHeader.VLAN, 100, mac=mac), user4(), si) for mac, si in _FOUR),
    drops(
        from_peer_frame(user4(), PeerHeader.VLAN, 100, mac="02:00:00:00:03:ff"), Event.DROP_PEER_UNKNOWN, 3
    ),
    entries=graph(
        peer(PEERS, PeerHeader.VLAN, by_mac=True),
        *(resume(si=si, header=PeerHeader.VLAN, label=100, mac=mac) for mac, si in _FOUR),
        resume(header=PeerHeader.VLAN, label=100),
        *(to_node(FAR_NODE, si=si) for _, si in _FOUR),
    ),
    counters=[
        counts(
            resume(si=5, header=PeerHeader.VLAN, label=100, mac=PEERS.macs[0]),
            from_peer_frame(user4(), PeerHeader.VLAN, 100, mac=PEERS.macs[0]),
        )
    ],
)
case(
    "not-by-mac",
    "Where one peer is behind the port, its MAC address means nothing",
    "S9",
    *(_back(from_peer_frame(user4(), mac=mac), user4()) for mac in (*PEERS.macs, "02:00:00:00:03:ff")),
    entries=graph(resume(), resume(si=9, mac=PEERS.macs[0]), to_node(FAR_NODE, si=NEXT)),
)

# ---- checks

_SERVED = connection(VIRTUAL4_LOCAL, VIRTUAL4_PEER, node=PEER_NODE, spi=SPI, si=START)
_BY_CONNECTION = resume(check=PeerCheck.CONNECTION)
case(
    "check-connection",
    "A peer may return what belongs to a connection on its path, or on another version of it, or that ends "
    "here; the connection's SCID goes with it again",
    "S9",
    _back(from_peer_frame(inner4()), inner4(), scid=SCID),
    _back(from_peer_frame(inner4(destination="10.77.0.5")), inner4(destination="10.77.0.5")),
    _back(from_peer_frame(inner4(destination="10.77.0.7")), inner4(destination="10.77.0.7"), scid=SCID),
    drops(from_peer_frame(inner4(destination="10.77.0.3")), Event.DROP_PEER_UNEXPECTED, 3),
    drops(from_peer_frame(inner4(destination="10.77.0.4")), Event.DROP_PEER_UNEXPECTED, 3),
    drops(from_peer_frame(inner4(destination="10.77.0.6")), Event.DROP_PEER_UNEXPECTED, 3),
    drops(from_peer_frame(inner6()), Event.DROP_PEER_UNEXPECTED, 3),
    entries=graph(
        _BY_CONNECTION,
        to_node(FAR_NODE, si=NEXT),
        _SERVED,
        connection(VIRTUAL4_LOCAL, "10.77.0.3", spi=SPI ^ 0x100, si=START),
        connection(VIRTUAL4_LOCAL, "10.77.0.7", spi=SPI ^ 0xFF, si=START),
        Entry("connection", connection_key(VIRTUAL4_LOCAL, "10.77.0.4"), "reject"),
        local(VIRTUAL4_LOCAL, "10.77.0.5", 10),
    ),
    counters=[counts(_SERVED, from_peer_frame(inner4())), counts(scid())],
)
case(
    "check-connection-tenant",
    "A connection of another tenant's is none",
    "S9",
    drops(from_peer_frame(inner4()), Event.DROP_PEER_UNEXPECTED, 3),
    entries=graph(peer(PEERS, tenant=TENANT + 1), _BY_CONNECTION, to_node(FAR_NODE, si=NEXT), _SERVED),
)
case(
    "check-connection-end",
    "Back from the path's last peer, at its end: to the connection's node, with SPI 0",
    "S10",
    sends(from_peer_frame(inner4()), tunnelled(inner4()), PEERS.number, UNDERLAY.number),
    entries=graph(_BY_CONNECTION, hop("end", si=NEXT), _SERVED),
)
case(
    "check-connection-too-big",
    "What the connection's path carries holds behind a peer, too",
    "S2",
    _back(from_peer_frame(inner4(size=600)), inner4(size=600), scid=SCID),
    drops(from_peer_frame(inner4(size=601)), Event.DROP_OUTER_TOO_BIG, 3),
    entries=graph(
        _BY_CONNECTION,
        to_node(FAR_NODE, si=NEXT),
        connection(VIRTUAL4_LOCAL, VIRTUAL4_PEER, spi=SPI, si=START, mtu=600),
    ),
)
_BY_CLASS = resume(check=PeerCheck.CLASS)
case(
    "check-class",
    "A peer may return what the classifier leads along its path, or along another version of it",
    "S9",
    _back(from_peer_frame(user4()), user4()),
    drops(from_peer_frame(user4(destination="10.88.5.5")), Event.DROP_PEER_UNEXPECTED, 3),
    drops(from_peer_frame(user4(destination="10.88.5.6")), Event.DROP_PEER_UNEXPECTED, 3),
    drops(from_peer_frame(user4(destination="10.88.5.7")), Event.DROP_CLASSIFIER_DENIED, 3),
    drops(from_peer_frame(server4()), Event.DROP_PEER_UNEXPECTED, 3),
    _back(from_peer_frame(user4(destination="10.88.5.8")), user4(destination="10.88.5.8")),
    entries=graph(
        _BY_CLASS,
        to_node(FAR_NODE, si=NEXT),
        rule(5, tenant=TENANT, dst="::ffff:10.88.4.5"),
        rule_to(5, SPI ^ 0xFF, START, 0xFFFF, tenant=TENANT, dst="::ffff:10.88.5.8"),
        rule_to(5, SPI ^ 0x100, START, 0xFFFF, tenant=TENANT, dst="::ffff:10.88.5.5"),
        rule(5, "bypass", tenant=TENANT, dst="::ffff:10.88.5.6"),
        rule(5, "deny", tenant=TENANT, dst="::ffff:10.88.5.7"),
    ),
)
case(
    "check-class-fields",
    "For what comes from a peer a rule's port, VLAN and MAC address are 0; the tenant is the port's",
    "S9",
    _back(from_peer_frame(user4()), user4()),
    drops(from_peer_frame(user4(destination="10.88.5.5")), Event.DROP_PEER_UNEXPECTED, 3),
    drops(from_peer_frame(user4(destination="10.88.5.6")), Event.DROP_PEER_UNEXPECTED, 3),
    drops(from_peer_frame(user4(destination="10.88.5.7")), Event.DROP_PEER_UNEXPECTED, 3),
    entries=graph(
        _BY_CLASS,
        to_node(FAR_NODE, si=NEXT),
        rule(5, ingress_port=0, vlan=0, src_mac=0, tenant=TENANT, dst="::ffff:10.88.4.5"),
        rule(5, ingress_port=PEERS.number, dst="::ffff:10.88.5.5"),
        rule(5, src_mac=mac_number(PEERS.macs[0]), dst="::ffff:10.88.5.6"),
        rule(5, tenant=TENANT + 1, dst="::ffff:10.88.5.7"),
    ),
)
case(
    "check-class-shortcut",
    "A short-cut counts before the classifier",
    "S9",
    _back(from_peer_frame(user4()), user4()),
    drops(from_peer_frame(user4(destination_port=5001)), Event.DROP_PEER_UNEXPECTED, 3),
    entries=graph(
        _BY_CLASS,
        to_node(FAR_NODE, si=NEXT),
        shortcut(USERS.host4, INTERNET.host4),
        shortcut(USERS.host4, INTERNET.host4, ports=(4000, 5001), spi=SPI ^ 0x100),
        rule(5, src="::ffff:10.88.6.5"),
    ),
    counters=[counts(shortcut(USERS.host4, INTERNET.host4), from_peer_frame(user4()))],
)
case(
    "check-class-too-big",
    "What the class's path carries holds behind a peer, too",
    "S2",
    _back(from_peer_frame(user4(size=600)), user4(size=600)),
    drops(from_peer_frame(user4(size=601)), Event.DROP_OUTER_TOO_BIG, 3),
    entries=graph(_BY_CLASS, to_node(FAR_NODE, si=NEXT), rule_to(5, SPI, START, 600)),
)
_REWRITTEN = user4(source="10.88.99.1")
case(
    "check-none",
    "A peer that rewrites addresses returns what nobody has sent; at the path's end it is routed",
    "S11",
    _back(from_peer_frame(_REWRITTEN), _REWRITTEN),
    sends(
        from_peer_frame(_REWRITTEN, port=BEHIND),
        delivered(_REWRITTEN, INTERNET),
        BEHIND.number,
        INTERNET.number,
    ),
    entries=graph(
        resume(),
        to_node(FAR_NODE, si=NEXT),
        resume(si=1, port=BEHIND),
        hop("end", si=1),
        route_port("10.88.4.0/24", INTERNET.number),
    ),
)

# ---- one peer, several graphs

_OTHER_SPI = SPI ^ 0x3000
case(
    "resume-class",
    "A peer without a header that serves several graphs: the classifier says of which a packet is",
    "S9",
    _back(from_peer_frame(user4()), user4(), START - 2),
    _back(from_peer_frame(user6()), user6(), START - 2, spi=_OTHER_SPI),
    drops(from_peer_frame(server4()), Event.DROP_PEER_UNEXPECTED, 3),
    drops(from_peer_frame(user4(destination="10.88.5.6")), Event.DROP_PEER_UNEXPECTED, 3),
    entries=graph(
        resume_class(START - 2),
        rule(5, dst="::ffff:10.88.4.5"),
        rule_to(5, _OTHER_SPI, START, 0xFFFF, dst=INTERNET.host6),
        rule(5, "bypass", dst="::ffff:10.88.5.6"),
        to_node(FAR_NODE, si=START - 2),
        to_node(FAR_NODE, _OTHER_SPI, START - 2),
    ),
)
case(
    "resume-class-shortcut",
    "The peer tells the place, also of a flow whose short-cut comes onto the path farther on",
    "S9",
    _back(from_peer_frame(user4()), user4(), START - 3),
    entries=graph(
        resume_class(START - 3),
        rule(5),
        shortcut(USERS.host4, INTERNET.host4, si=START - 2),
        to_node(FAR_NODE, si=START - 3),
    ),
)
case(
    "resume-class-too-big",
    "What fits is the lower of what the peer's entry and the class say",
    "S2",
    _back(from_peer_frame(user4(size=600)), user4(size=600), START - 2),
    drops(from_peer_frame(user4(size=601)), Event.DROP_OUTER_TOO_BIG, 3),
    drops(from_peer_frame(user6(size=501)), Event.DROP_OUTER_TOO_BIG, 3),
    entries=graph(
        resume_class(START - 2, mtu=600),
        rule(5, dst="::ffff:10.88.4.5"),
        rule_to(5, SPI, START, 500, dst=INTERNET.host6),
        to_node(FAR_NODE, si=START - 2),
    ),
)
case(
    "port-gone",
    "A peer at a port that is not there",
    "S7",
    drops(on_path(user4()).frame(), Event.DROP_NO_ROUTE),
    entries=graph(to_peer(number=GONE)),
    hooks=["xdp"],
    why="a switch asks nothing of a port to which an entry sends frames with their addresses",
)
case(
    "unknown-place",
    "Back from a peer to a place that the path does not have",
    "S9",
    drops(from_peer_frame(user4()), Event.DROP_SERVICE_PATH, 3),
    drops(from_peer_frame(user4(), port=BEHIND), Event.DROP_PEER_DOWN, BEHIND.number),
    entries=graph(resume(), resume(si=7, port=BEHIND), hop("closed", si=7)),
)
case(
    "no-path",
    "Back from a peer whose entry names the path 0, which is none",
    "S9",
    drops(from_peer_frame(user4()), Event.DROP_SERVICE_PATH, 3),
    drops(from_peer_frame(user4(), port=BEHIND), Event.DROP_SERVICE_PATH, BEHIND.number),
    entries=graph(resume(0), resume(0, port=BEHIND, check=2)),
)
