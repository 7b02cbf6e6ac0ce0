# SPDX-License-Identifier: Apache-2.0
"""Packets on a service path: from node to node, to a group of instances, to the path's end."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from scapy.compat import raw
from scapy.packet import Packet, Raw

from moorline.wire import Event

from ..build import counts, delivers, drops, punts, sends
from ..entries import (
    RECEIVING,
    changed,
    connection,
    connection_key,
    local,
    mapped,
    origin,
    scid,
    uplink,
)
from ..entropy import bucket
from ..graph_entries import (
    GROUP,
    INSTANCE,
    SPI,
    START,
    affinity,
    hop,
    member,
    route,
    route_port,
    to_group,
    to_node,
    to_peer,
)
from ..graph_packets import to_peer_frame
from ..model import Entry
from ..packets import Data, arriving4, delivered, inner4, inner6, sent, tunnelled
from ..world import (
    ACCESS,
    ANY4,
    FAR_NODE,
    FORMER4,
    GATEWAY,
    GONE,
    INTERNET,
    PEER_NODE,
    SCID,
    SECOND,
    TENANT,
    UNDERLAY,
    USERS,
    VIRTUAL4_LOCAL,
    VIRTUAL4_PEER,
    VIRTUAL6_LOCAL,
    VIRTUAL6_PEER,
)
from .graph import (
    FAR6,
    FAR_BY4,
    FAR_BY6,
    HOOKS,
    NEAR4,
    NEAR6,
    concern,
    graph,
    on_path,
    on_path6,
    server4,
    user4,
    user6,
)

CASES = concern("service")
case = CASES.case

ONWARD = to_node(FAR_NODE)
"""The path goes on to the far node."""
THERE = route_port("10.88.4.0/24", INTERNET.number)


def onward(inner: Packet, **fields: Any) -> bytes:
    """The frame in which the packet of :func:`on_path` goes on; ``fields``: those that it has otherwise."""
    defaults = {"scid": 0, "spi": SPI, "si": START, "hop_limit": 63}
    return tunnelled(inner, SECOND, **{**defaults, **fields})


def _goes_on(arrived: Data, **fields: Any) -> Any:
    return sends(arrived.frame(), onward(arrived.inner, **fields), UNDERLAY.number, SECOND.number)


for _name, _far, _to in (("to-node-ipv4", FAR_BY4, None), ("to-node-ipv6", FAR_BY6, FAR6)):
    case(
        _name,
        "On to the next node with new outer headers, whichever family either has; the path's tables count",
        "S2",
        _goes_on(on_path(user4()), destination=_to),
        _goes_on(on_path(user6()), destination=_to),
        _goes_on(on_path6(user4()), destination=_to),
        _goes_on(on_path6(user6()), destination=_to),
        entries=graph(ONWARD, _far),
        counters=[
            counts(entry, *frames)
            for frames in [
                tuple(packet(inner).frame() for packet in (on_path, on_path6) for inner in (user4(), user6()))
            ]
            for entry in (ONWARD, _far, uplink(SECOND))
        ],
    )
case(
    "as-it-is",
    "Tenant, SCID, SPI and SI stay as they are; no connection and no classifier is asked",
    "S2",
    *(
        _goes_on(on_path(user4(), scid=value, geneve={"vni": tenant}), scid=value, geneve={"vni": tenant})
        for value in (0, SCID, SCID ^ 1 << 40, 0xFFFF_FFFF_FFFF_FFFF)
        for tenant in (TENANT, 0, 0xFFFFFF)
    ),
    entries=graph(ONWARD),
    counters=[counts(scid())],
)
case(
    "outer-anew",
    "Outer headers are made from the inner packet: DSCP and ECN, source port; tags do not go along",
    "S2",
    *(
        _goes_on(on_path(inner, tos=0x2A << 2, source_port=1, tags=tags))
        for tags in ((), (100,), (100, 200))
        for inner in (user4(tos=0x2E << 2 | 2), user6(tc=0x0A << 2 | 1))
    ),
    entries=graph(ONWARD),
)
case(
    "padding",
    "Octets behind the outer packet are cut off",
    "S2",
    sends(on_path(user4()).frame() + bytes(7), onward(user4()), UNDERLAY.number, SECOND.number),
    entries=graph(ONWARD),
)
case(
    "index-zero",
    "SI 0 is beyond a path's end, wherever the packet comes from",
    "S1",
    drops(on_path(user4(), si=0).frame(), Event.DROP_SERVICE_INDEX),
    drops(on_path(user4(), si=0, source="192.0.2.3").frame(), Event.DROP_SERVICE_INDEX),
    drops(on_path(user4(), si=0, scid=SCID).frame(), Event.DROP_SERVICE_INDEX),
    entries=graph(ONWARD, to_node(FAR_NODE, si=0)),
)
case(
    "stranger",
    "Only nodes send packets on paths: a source that is not in origin, and what is never a good source",
    "S1",
    *(
        drops(on_path(user4(), source=source).frame(), Event.DROP_SOURCE)
        for source in ("192.0.2.3", FORMER4, UNDERLAY.address4, ANY4)
    ),
    *(
        drops(on_path6(user4(), source=source).frame(), Event.DROP_SOURCE)
        for source in ("2001:db8:1::3", "::", f"::ffff:{NEAR4}")
    ),
    drops(on_path(user4(), source="192.0.2.3", hop_limit=1).frame(), Event.DROP_SOURCE),
    entries=graph(ONWARD, origin(ANY4, PEER_NODE), origin("::", PEER_NODE)),
)
case(
    "any-node",
    "Whichever node it is, and by whichever port",
    "S1",
    *(_goes_on(on_path(user4(), source=source)) for source in (NEAR4, SECOND.neighbour.address4)),
    entries=graph(ONWARD),
)
case(
    "unknown",
    "An SPI that nobody knows, and an SI at which the path has no place here",
    "S5",
    *(
        drops(on_path(user4(), spi=spi, si=si).frame(), Event.DROP_SERVICE_PATH)
        for spi, si in ((1, START), (SPI ^ 1, START), (SPI ^ 0x800000, START), (SPI, START - 1), (SPI, 1))
    ),
    entries=graph(ONWARD),
    counters=[counts(ONWARD)],
)
case(
    "outer-ttl",
    "A packet that has gone from node to node for too long",
    "S1",
    *(
        drops(packet(user4(), hop_limit=ttl).frame(), Event.DROP_OUTER_TTL)
        for packet in (on_path, on_path6)
        for ttl in (0, 1)
    ),
    _goes_on(on_path(user4(), hop_limit=2), hop_limit=1),
    _goes_on(on_path6(user4(), hop_limit=255), hop_limit=254),
    drops(on_path(user4(chksum=1), hop_limit=1).frame(), Event.DROP_OUTER_TTL),
    entries=graph(ONWARD),
)


def _malformed(octets: bytes, event: Event, ethertype: int = 0x0800) -> Any:
    return drops(on_path(Raw(octets), geneve={"proto": ethertype}).frame(), event)


case(
    "inner-malformed",
    "The inner packet is checked before the path is looked for",
    "S1",
    _malformed(b"", Event.DROP_INNER_TRUNCATED),
    _malformed(raw(user4())[:19], Event.DROP_INNER_TRUNCATED),
    _malformed(raw(user4(ihl=15))[:40], Event.DROP_INNER_TRUNCATED),
    _malformed(raw(user6())[:39], Event.DROP_INNER_TRUNCATED, 0x86DD),
    _malformed(raw(user6()), Event.DROP_INNER_VERSION),
    _malformed(raw(user4()), Event.DROP_INNER_VERSION, 0x86DD),
    _malformed(raw(user4(ihl=4)), Event.DROP_INNER_HEADER_LENGTH),
    _malformed(raw(user4(chksum=1)), Event.DROP_INNER_CHECKSUM),
    _malformed(raw(user4(len=99)), Event.DROP_INNER_LENGTH),
    _malformed(raw(user4(len=101)), Event.DROP_INNER_LENGTH),
    _malformed(raw(user6(plen=59)), Event.DROP_INNER_LENGTH, 0x86DD),
    _malformed(raw(user6(plen=61)), Event.DROP_INNER_LENGTH, 0x86DD),
    entries=graph(),
)
case(
    "inner-ttl",
    "The inner TTL means nothing between nodes",
    "S1",
    _goes_on(on_path(user4(ttl=0))),
    _goes_on(on_path(user6(hlim=0))),
    entries=graph(ONWARD),
)
case(
    "congestion",
    "Congestion on the way is told to the inner packet at each node, or it is dropped (RFC 6040)",
    "S1",
    sends(on_path(user4(tos=2), tos=3).frame(), onward(user4(tos=3)), UNDERLAY.number, SECOND.number),
    sends(on_path(user6(tc=1), tos=3).frame(), onward(user6(tc=3)), UNDERLAY.number, SECOND.number),
    sends(on_path(user4(tos=2), tos=1).frame(), onward(user4(tos=1)), UNDERLAY.number, SECOND.number),
    drops(on_path(user4(tos=0), tos=3).frame(), Event.DROP_INNER_ECN),
    drops(on_path(user4(tos=0), tos=3, spi=1).frame(), Event.DROP_INNER_ECN),
    entries=graph(ONWARD),
)
case(
    "node-unknown",
    "On to a node of which no locator is known, or by a port without uplink",
    "S2",
    drops(on_path(user4()).frame(), Event.DROP_NODE_UNKNOWN),
    drops(on_path(user4(), si=2).frame(), Event.DROP_UPLINK_UNKNOWN),
    entries=graph(to_node(77), to_node(FAR_NODE, si=2), without=[uplink(SECOND)]),
)
case(
    "port-gone",
    "On by a port that has an uplink and no interface any more",
    "S2",
    drops(on_path(user4()).frame(), Event.DROP_NO_ROUTE),
    entries=graph(
        ONWARD,
        replace(FAR_BY4, params={**FAR_BY4.params, "port0": GONE, "port1": GONE}),
        replace(uplink(SECOND), key={"port": GONE}),
    ),
    differs={"bmv2": Event.DROP_NO_NEIGHBOUR},
    why="a node with feature peers or edge ports runs all its ports at XDP; a switch knows next hops alone",
)
case(
    "too-big",
    "A packet as long as the uplink's MTU goes on, a longer one is dropped",
    "S2",
    _goes_on(on_path(user4(size=1348))),
    drops(on_path(user4(size=1349)).frame(), Event.DROP_OUTER_TOO_BIG),
    entries=graph(ONWARD, uplink(SECOND, mtu=1400)),
)
case(
    "uplink-vlan",
    "An uplink with a VLAN: its tag before the outer header",
    "S2",
    _goes_on(on_path(user4()), tags=(300,)),
    _goes_on(on_path(user6(), tags=(100,)), tags=(300,)),
    entries=graph(ONWARD, uplink(SECOND, vlan=300)),
)
case(
    "closed",
    "A place of the path that is closed, since no peer lives there",
    "S5",
    drops(on_path(user4()).frame(), Event.DROP_PEER_DOWN),
    entries=graph(hop("closed")),
    counters=[counts(hop("closed"), on_path(user4()).frame())],
)

# ---- groups

_FORWARD, _REVERSE = to_group(), to_group(si=START - 1, by_destination=True)
_CUSTOMERS = (USERS.host4, USERS.host6)
_BUCKETS = {mapped(text): bucket(ip_address(mapped(text)).packed) for text in (*_CUSTOMERS, INTERNET.host4)}
_ONE, _OTHER = to_node(FAR_NODE, instance=INSTANCE), to_peer(si=START, instance=INSTANCE + 1)
_BACK = to_node(FAR_NODE, si=START - 1, instance=INSTANCE)


def _of(customer: str) -> Entry:
    return member(_BUCKETS[mapped(customer)])


case(
    "group-member",
    "An instance is chosen by the customer's address: the source forward, the destination in reverse",
    "S5",
    _goes_on(on_path(user4())),
    _goes_on(on_path(user6())),
    _goes_on(on_path(server4(), si=START - 1), si=START - 1),
    entries=graph(_FORWARD, _REVERSE, _ONE, _BACK, *map(_of, _CUSTOMERS)),
    counters=[
        counts(_of(USERS.host4), on_path(user4()).frame(), on_path(server4(), si=START - 1).frame()),
        counts(_of(USERS.host6), on_path(user6()).frame()),
        counts(_FORWARD, on_path(user4()).frame(), on_path(user6()).frame()),
        counts(_ONE, on_path(user4()).frame(), on_path(user6()).frame()),
    ],
)
case(
    "group-affinity",
    "A customer that is pinned to an instance has that one, whoever its bucket's is",
    "S5",
    sends(on_path(user4()).frame(), to_peer_frame(user4()), UNDERLAY.number, egress=3),
    _goes_on(on_path(user6())),
    entries=graph(
        _FORWARD,
        _ONE,
        _OTHER,
        *map(_of, _CUSTOMERS),
        affinity(USERS.host4, INSTANCE + 1),
        affinity(USERS.host6, INSTANCE + 1, GROUP + 1),
        affinity(INTERNET.host6, INSTANCE + 1),
    ),
    counters=[
        counts(affinity(USERS.host4), on_path(user4()).frame()),
        counts(_of(USERS.host4)),
    ],
)
case(
    "group-affinity-of-a-proxy",
    "What comes back to an instance's own address finds it by that",
    "S5",
    _goes_on(on_path(server4(destination="10.88.99.1"), si=START - 1), si=START - 1),
    entries=graph(_REVERSE, _BACK, affinity("10.88.99.1")),
)
case(
    "group-empty",
    "Nobody has the customer's bucket",
    "S5",
    drops(on_path(user4()).frame(), Event.DROP_PEER_DOWN),
    entries=graph(
        _FORWARD,
        _ONE,
        member(_BUCKETS[mapped(USERS.host4)] ^ 1),
        member(_BUCKETS[mapped(USERS.host4)], group=GROUP + 1),
        affinity(INTERNET.host4),
    ),
)
case(
    "group-again",
    "An instance at whose place the path has nothing, or a group again",
    "S5",
    drops(on_path(user4()).frame(), Event.DROP_SERVICE_PATH),
    drops(on_path(user4(), si=9).frame(), Event.DROP_SERVICE_PATH),
    drops(on_path(user4(), si=8).frame(), Event.DROP_SERVICE_PATH),
    entries=graph(
        _FORWARD,
        _of(USERS.host4),
        to_group(si=9),
        replace(to_group(si=9), key={"spi": SPI, "si": 9, "instance": INSTANCE}),
        to_group(GROUP + 1, si=8),
        member(_BUCKETS[mapped(USERS.host4)], 0, GROUP + 1),
    ),
)
case(
    "group-closed",
    "An instance that is closed",
    "S5",
    drops(on_path(user4()).frame(), Event.DROP_PEER_DOWN),
    entries=graph(_FORWARD, _of(USERS.host4), hop("closed", instance=INSTANCE)),
)

# ---- ends

_END = hop("end", si=1)
_SERVED4, _SERVED6 = inner4(), inner6()
_TO_FAR4 = connection(VIRTUAL4_LOCAL, VIRTUAL4_PEER, node=FAR_NODE)
_TO_FAR6 = connection(VIRTUAL6_LOCAL, VIRTUAL6_PEER, node=FAR_NODE)


def _ends(inner: Packet, **fields: Any) -> Data:
    return on_path(inner, **{"si": 1, **fields})


case(
    "end-of-connection",
    "At its path's end a connection's packet goes to its node, with SPI 0",
    "S10",
    _goes_on(_ends(_SERVED4, scid=SCID), scid=SCID, spi=0, si=0),
    _goes_on(_ends(_SERVED6, scid=SCID), scid=SCID, spi=0, si=0),
    entries=graph(_END, _TO_FAR4, _TO_FAR6),
    counters=[
        counts(_TO_FAR4, _ends(_SERVED4, scid=SCID).frame()),
        counts(_END, _ends(_SERVED4, scid=SCID).frame(), _ends(_SERVED6, scid=SCID).frame()),
        counts(scid()),
    ],
)
case(
    "end-of-no-connection",
    "A packet with an SCID whose addresses are on no connection, on one of another tenant's, "
    "on one that is denied or that is the kernel's here",
    "S10",
    drops(_ends(user4(), scid=SCID).frame(), Event.DROP_PEER_UNEXPECTED),
    drops(_ends(_SERVED4, scid=SCID, geneve={"vni": TENANT + 1}).frame(), Event.DROP_PEER_UNEXPECTED),
    drops(_ends(inner4(destination="10.77.0.3"), scid=SCID).frame(), Event.DROP_PEER_UNEXPECTED),
    drops(_ends(inner4(destination="10.77.0.4"), scid=SCID).frame(), Event.DROP_PEER_UNEXPECTED),
    entries=graph(
        _END,
        _TO_FAR4,
        Entry("connection", connection_key(VIRTUAL4_LOCAL, "10.77.0.3"), "reject"),
        local(VIRTUAL4_LOCAL, "10.77.0.4", 0),
    ),
)
_HERE = local(VIRTUAL4_PEER, VIRTUAL4_LOCAL, ACCESS.number)
_BEHIND = local(VIRTUAL4_PEER, GATEWAY.host4, GATEWAY.number)
_TO_LAN = arriving4(destination=GATEWAY.host4, ttl=1)
case(
    "end-here",
    "The connection's end is at this very node: out by its access port, the TTL as it is",
    "S10",
    delivers(_ends(arriving4(ttl=1), scid=SCID).frame(), delivered(arriving4(ttl=1))),
    delivers(_ends(_TO_LAN, scid=SCID).frame(), delivered(_TO_LAN, GATEWAY), egress=GATEWAY.number),
    entries=graph(_END, _HERE, _BEHIND),
    counters=[counts(_HERE, _ends(arriving4(ttl=1), scid=SCID).frame())],
)
case(
    "end-too-big",
    "At the end what the rest of the way carries counts, too",
    "S10",
    _goes_on(_ends(inner4(size=600), scid=SCID), scid=SCID, spi=0, si=0),
    drops(_ends(inner4(size=601), scid=SCID).frame(), Event.DROP_OUTER_TOO_BIG),
    entries=graph(_END, connection(VIRTUAL4_LOCAL, VIRTUAL4_PEER, node=FAR_NODE, mtu=600)),
)
case(
    "end-plain",
    "At its path's end a plain packet is routed by its tenant and its destination",
    "S11",
    sends(_ends(user4()).frame(), delivered(user4(), INTERNET), UNDERLAY.number, INTERNET.number),
    sends(_ends(user6()).frame(), delivered(user6(), INTERNET), UNDERLAY.number, INTERNET.number),
    drops(_ends(user4(), geneve={"vni": TENANT + 1}).frame(), Event.DROP_NO_ROUTE),
    drops(_ends(server4()).frame(), Event.DROP_NO_ROUTE),
    entries=graph(_END, THERE, route_port("fd88:4::/64", INTERNET.number)),
    counters=[counts(THERE, _ends(user4()).frame())],
)
_SHORTER, _LONGER = (
    route("10.0.0.0/8", "route_node", node=FAR_NODE),
    route_port("10.88.4.5/32", INTERNET.number),
)
case(
    "end-longest-prefix",
    "The longest prefix counts; to another node the packet keeps its place on the path",
    "S11",
    sends(_ends(user4()).frame(), delivered(user4(), INTERNET), UNDERLAY.number, INTERNET.number),
    _goes_on(_ends(user4(destination="10.88.4.6")), si=1),
    _goes_on(_ends(user4(destination="10.9.9.9")), si=1),
    sends(_ends(user6()).frame(), delivered(user6(), INTERNET), UNDERLAY.number, INTERNET.number),
    drops(_ends(user4(destination="11.0.0.1")).frame(), Event.DROP_NO_ROUTE),
    entries=graph(_END, _SHORTER, _LONGER, route_port("fd88::/16", INTERNET.number)),
    counters=[
        counts(
            _SHORTER,
            _ends(user4(destination="10.88.4.6")).frame(),
            _ends(user4(destination="10.9.9.9")).frame(),
        ),
        counts(_LONGER, _ends(user4()).frame()),
    ],
)
case(
    "end-everywhere",
    "A route for everything",
    "S11",
    _goes_on(_ends(user4()), si=1),
    _goes_on(_ends(user6()), si=1),
    entries=graph(
        _END,
        Entry(
            "route",
            {"tenant": TENANT, "destination": "::/0"},
            "route_node",
            {"node": FAR_NODE},
        ),
    ),
)
case(
    "end-port-gone",
    "Out by a port that is not there",
    "S11",
    drops(_ends(user4()).frame(), Event.DROP_NO_ROUTE),
    entries=graph(_END, route_port("10.88.4.0/24", GONE)),
    differs={"bmv2": Event.DROP_NO_NEIGHBOUR},
    why="a node with feature peers or edge ports runs all its ports at XDP; a switch knows next hops alone",
)

# ---- service connections

_ENTRY = connection(VIRTUAL4_LOCAL, VIRTUAL4_PEER, spi=SPI, si=START)
_TC_KNOWS = ("tc", *HOOKS)


def _leaves(inner: Packet, **fields: Any) -> Any:
    made = tunnelled(inner, SECOND, **fields)
    return sends(sent(inner), made, egress=SECOND.number)


case(
    "connection-to-node",
    "A service connection on a path: to the node of the path's first peer, with SPI and SI",
    "S4",
    _leaves(inner4(), spi=SPI, si=START),
    entries=graph(_ENTRY, ONWARD),
    counters=[counts(_ENTRY, sent(inner4())), counts(ONWARD, sent(inner4()))],
    hooks=_TC_KNOWS,
)
case(
    "connection-to-group",
    "The same to the instance of the customer",
    "S4",
    _leaves(inner4(), spi=SPI, si=START),
    entries=graph(_ENTRY, _FORWARD, _ONE, member(bucket(ip_address(mapped(VIRTUAL4_LOCAL)).packed))),
    hooks=_TC_KNOWS,
)
case(
    "connection-end",
    "A path that has ended before it began: straight to the connection's node",
    "S10",
    sends(sent(inner4()), tunnelled(inner4())),
    entries=graph(_ENTRY, hop("end")),
    hooks=_TC_KNOWS,
)
case(
    "connection-dropped",
    "A path that is unknown here, and one that is closed",
    "S5",
    drops(sent(inner4()), Event.DROP_PEER_DOWN, port=ACCESS.number),
    drops(sent(inner6()), Event.DROP_SERVICE_PATH, port=ACCESS.number),
    entries=graph(_ENTRY, connection(VIRTUAL6_LOCAL, VIRTUAL6_PEER, spi=SPI, si=7), hop("closed")),
    hooks=_TC_KNOWS,
)
case(
    "connection-too-big",
    "What fits is the lower of what the path carries and what the uplink does",
    "S4",
    _leaves(inner4(size=600), spi=SPI, si=START),
    punts(sent(inner4(size=601)), Event.PUNT_TOO_BIG, mtu=600),
    punts(sent(inner6(size=1349)), Event.PUNT_TOO_BIG, mtu=1348),
    entries=graph(
        connection(VIRTUAL4_LOCAL, VIRTUAL4_PEER, spi=SPI, si=START, mtu=600),
        connection(VIRTUAL6_LOCAL, VIRTUAL6_PEER, spi=SPI, si=START),
        ONWARD,
        uplink(SECOND, mtu=1400),
    ),
    hooks=_TC_KNOWS,
)
case(
    "connection-to-peer",
    "To a feature peer at this very node: plain, without a tunnel; what the rest of the path does not carry "
    "is answered",
    "S7",
    sends(sent(inner4(size=600)), to_peer_frame(inner4(size=600)), egress=3),
    punts(sent(inner4(size=601)), Event.PUNT_TOO_BIG, mtu=600),
    entries=graph(connection(VIRTUAL4_LOCAL, VIRTUAL4_PEER, spi=SPI, si=START, mtu=600), to_peer()),
)
case(
    "connection-from-gateway",
    "A host behind a gateway port: a hop, then the path",
    "S2",
    sends(
        sent(inner4(ttl=9), GATEWAY),
        tunnelled(inner4(ttl=8), SECOND, spi=SPI, si=START),
        GATEWAY.number,
        SECOND.number,
    ),
    punts(sent(inner4(ttl=1), GATEWAY), Event.PUNT_TTL_EXPIRED, port=GATEWAY.number),
    entries=graph(_ENTRY, ONWARD),
    hooks=_TC_KNOWS,
)
case(
    "connection-from-gateway-to-peer",
    "A host behind a gateway port: a hop, then the peer",
    "S7",
    sends(sent(inner4(ttl=9), GATEWAY), to_peer_frame(inner4(ttl=8)), GATEWAY.number, 3),
    punts(sent(inner4(ttl=1), GATEWAY), Event.PUNT_TTL_EXPIRED, port=GATEWAY.number),
    entries=graph(_ENTRY, to_peer()),
)
case(
    "delivered-from-any-node",
    "A connection whose packets come off a path: from whichever node the last peer is at, and no stranger",
    "U10",
    *(
        delivers(Data(arriving4(), source, destination).frame(), delivered(arriving4()))
        for source, destination in (
            (NEAR4, UNDERLAY.address4),
            (NEAR6, UNDERLAY.address6),
            (SECOND.neighbour.address4, UNDERLAY.address4),
        )
    ),
    *(
        drops(Data(arriving4(), source).frame(), Event.DROP_SOURCE)
        for source in ("192.0.2.3", ANY4, UNDERLAY.address4)
    ),
    entries=graph(scid(node=0)),
    hooks=_TC_KNOWS,
)

# ---- TC

TC_WHY = "at TC there are no feature peers and no edge ports: a path goes by other nodes"
case(
    "tc-from-underlay",
    "A packet on a path that arrives at TC",
    "S1",
    drops(on_path(user4()).frame(), Event.DROP_SERVICE_PATH),
    drops(on_path(user4(), si=0).frame(), Event.DROP_SERVICE_PATH),
    drops(on_path(arriving4(), scid=SCID).frame(), Event.DROP_SERVICE_PATH),
    entries=(*RECEIVING, ONWARD),
    hooks=["tc"],
    why=TC_WHY,
)
case(
    "tc-to-peer",
    "A service connection whose path would begin with a peer at this node",
    "S7",
    drops(sent(inner4()), Event.DROP_SERVICE_PATH, port=ACCESS.number),
    entries=changed(_ENTRY, to_peer()),
    hooks=["tc"],
    why=TC_WHY,
)
