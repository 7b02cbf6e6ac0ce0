# SPDX-License-Identifier: Apache-2.0
"""A packet that goes on from one node to another: which way, under which SCID, with which outer headers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scapy.packet import Packet, Raw

from moorline.wire import Event

from ..build import Concern, counts, drops, sends
from ..entries import NOWHERE, changed, locator, mapped, origin, relay, uplink
from ..packets import Data, arriving4, arriving6
from ..world import (
    ANY4,
    FAR_NODE,
    FORMER4,
    FORMER6,
    GONE,
    PEER_NODE,
    SCID,
    SECOND,
    TENANT,
    UNDERLAY,
    UNREACHABLE4,
    Underlay,
)

PEER4, PEER6 = UNDERLAY.neighbour.address4, UNDERLAY.neighbour.address6
FAR4, FAR6 = SECOND.neighbour.address4, SECOND.neighbour.address6
OTHER_SCID = 0x0BAD_CAFE_11_000456

ORIGINS = (
    *(origin(address, PEER_NODE) for address in (PEER4, PEER6, FORMER4, FORMER6)),
    *(origin(address, FAR_NODE) for address in (FAR4, FAR6)),
)
PEER_BY4 = locator(PEER_NODE, (UNDERLAY, PEER4))
FAR_BY4 = locator(FAR_NODE, (SECOND, FAR4))
FAR_BY6 = locator(FAR_NODE, (SECOND, FAR6))
RELAYING = changed(relay(), *ORIGINS, PEER_BY4, FAR_BY4)
"""A relay between the peer, on port 1, and the far node, on port 2."""

CASES = Concern("relay", RELAYING)
case = CASES.case

AS_IT_IS = arriving4()


def relaying(*entries: Any, without: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """The same with some entries replaced, added or left out."""
    names = {(entry.table, str(entry.key)) for entry in (*entries, *without)}
    return (*(entry for entry in RELAYING if (entry.table, str(entry.key)) not in names), *entries)


def data(inner: Packet = AS_IT_IS, **fields: Any) -> Data:
    """A data packet from the peer to us."""
    return Data(inner, **fields)


def data6(inner: Packet = AS_IT_IS, **fields: Any) -> Data:
    """The same over IPv6."""
    return Data(inner, **{"source": PEER6, "destination": UNDERLAY.address6, **fields})


def from_far(inner: Packet = AS_IT_IS, **fields: Any) -> Data:
    """A data packet from the far node to us."""
    there = (SECOND.neighbour.mac, SECOND.mac)
    return Data(inner, **{"source": FAR4, "destination": SECOND.address4, "ethernet": there, **fields})


def onward(packet: Data, port: Underlay = SECOND, to: str | None = None, **fields: Any) -> bytes:
    """The frame in which the packet goes on, by ``port`` to the locator ``to``."""
    destination = to or port.neighbour.address4
    entropy = packet.source_port & 0x3FFF
    flow = entropy << 14 | entropy
    made = replace(
        packet,
        source=port.address6 if ":" in destination else port.address4,
        destination=destination,
        hop_limit=packet.hop_limit - 1,
        source_port=0xC000 | entropy,
        ethernet=(port.mac, port.neighbour.mac),
        tags=(),
        ip={"fl": flow >> 15} if ":" in destination else {},
        udp={},
        geneve={},
    )
    return replace(made, **fields).frame()


case(
    "both-ways",
    "From either node to the other, under one SCID; the tables count",
    "U13",
    sends(data().frame(), onward(data()), port=UNDERLAY.number, egress=SECOND.number),
    sends(data6().frame(), onward(data6()), port=UNDERLAY.number, egress=SECOND.number),
    sends(from_far().frame(), onward(from_far(), UNDERLAY), port=SECOND.number, egress=UNDERLAY.number),
    counters=[
        counts(relay(), data().frame(), data6().frame(), from_far().frame()),
        counts(origin(PEER4, PEER_NODE), data().frame()),
        counts(origin(PEER6, PEER_NODE), data6().frame()),
        counts(origin(FAR4, FAR_NODE), from_far().frame()),
        counts(FAR_BY4, data().frame(), data6().frame()),
        counts(PEER_BY4, from_far().frame()),
        counts(uplink(SECOND), data().frame(), data6().frame()),
        counts(uplink(UNDERLAY), from_far().frame()),
    ],
)
case(
    "swap",
    "Each leg has an SCID of its own: one entry for each, the other way of it closed",
    "U13",
    sends(data().frame(), onward(data(), scid=OTHER_SCID), port=UNDERLAY.number, egress=SECOND.number),
    sends(
        from_far(scid=OTHER_SCID).frame(),
        onward(from_far(scid=OTHER_SCID), UNDERLAY, scid=SCID),
        port=SECOND.number,
        egress=UNDERLAY.number,
    ),
    drops(from_far().frame(), Event.DROP_SOURCE, port=SECOND.number),
    drops(data(scid=OTHER_SCID).frame(), Event.DROP_SOURCE),
    entries=relaying(relay(scid0=0, scid1=OTHER_SCID), relay(OTHER_SCID, scid0=SCID, scid1=0)),
    counters=[
        counts(relay(), data().frame(), from_far().frame()),
        counts(relay(OTHER_SCID), from_far(scid=OTHER_SCID).frame(), data(scid=OTHER_SCID).frame()),
        counts(origin(FAR4, FAR_NODE), from_far().frame(), from_far().frame()),
    ],
)
case(
    "unknown-scid",
    "An SCID that the relay does not know, or that has the same slot only",
    "U10",
    drops(data(scid=OTHER_SCID).frame(), Event.DROP_SCID_UNKNOWN),
    drops(data(scid=SCID ^ 1 << 40).frame(), Event.DROP_SCID_UNKNOWN),
)
case(
    "tenant",
    "Another tenant's VNI; origin is not asked",
    "U10",
    drops(data(geneve={"vni": TENANT + 1}).frame(), Event.DROP_TENANT),
    counters=[counts(relay(), data().frame()), counts(origin(PEER4, PEER_NODE))],
)
case(
    "stranger",
    "An outer source that is no node's",
    "U13",
    drops(data(source=UNDERLAY.routed4).frame(), Event.DROP_SOURCE),
    drops(data6(source="2001:db8:1::bad").frame(), Event.DROP_SOURCE),
)
case(
    "third-node",
    "An outer source of a node that the connection does not go through",
    "U13",
    drops(data(source=UNDERLAY.routed4).frame(), Event.DROP_SOURCE),
    entries=relaying(origin(UNDERLAY.routed4, 4)),
    counters=[counts(origin(UNDERLAY.routed4, 4), data(source=UNDERLAY.routed4).frame())],
)
case(
    "never-a-source",
    "The unspecified address and mapped ones, though an entry have them",
    "U13",
    drops(data(source=ANY4).frame(), Event.DROP_SOURCE),
    drops(data6(source="::").frame(), Event.DROP_SOURCE),
    drops(data6(source=mapped(PEER4)).frame(), Event.DROP_SOURCE),
    entries=relaying(origin(ANY4, PEER_NODE), origin(NOWHERE, PEER_NODE)),
    counters=[counts(origin(ANY4, PEER_NODE)), counts(origin(PEER4, PEER_NODE))],
)
case(
    "former-address",
    "From an address that the node had before a change",
    "U13",
    sends(
        data(source=FORMER4).frame(), onward(data(source=FORMER4)), port=UNDERLAY.number, egress=SECOND.number
    ),
    sends(
        data6(source=FORMER6).frame(),
        onward(data6(source=FORMER6)),
        port=UNDERLAY.number,
        egress=SECOND.number,
    ),
)
case(
    "same-port",
    "Both nodes behind one port, over either family",
    "U13",
    sends(data().frame(), onward(data(), UNDERLAY, PEER6), port=UNDERLAY.number),
    entries=relaying(relay(node0=4), origin(PEER4, 4), locator(FAR_NODE, (UNDERLAY, PEER6))),
)
case(
    "same-node",
    "Back to the node where it came from: node0 is looked at first",
    "U13",
    sends(data().frame(), onward(data(), UNDERLAY, scid=OTHER_SCID), port=UNDERLAY.number),
    entries=relaying(relay(node1=PEER_NODE, scid0=0, scid1=OTHER_SCID)),
)
case(
    "service-index",
    "A service index, which means nothing without a path, goes along",
    "U15",
    sends(
        data(si=254).frame(),
        onward(data(si=254)),
        port=UNDERLAY.number,
        egress=SECOND.number,
    ),
)
case(
    "ttl-ipv4",
    "The outer TTL is lowered; 1 and 0 do not go on",
    "U14",
    *(
        sends(data(hop_limit=ttl).frame(), onward(data(hop_limit=ttl)), UNDERLAY.number, SECOND.number)
        for ttl in (255, 64, 2)
    ),
    drops(data(hop_limit=1).frame(), Event.DROP_OUTER_TTL),
    drops(data(hop_limit=0).frame(), Event.DROP_OUTER_TTL),
)
case(
    "ttl-ipv6",
    "The outer hop limit is lowered; 1 and 0 do not go on",
    "U14",
    *(
        sends(
            data6(hop_limit=ttl).frame(),
            onward(data6(hop_limit=ttl), to=FAR6),
            UNDERLAY.number,
            SECOND.number,
        )
        for ttl in (255, 64, 2)
    ),
    drops(data6(hop_limit=1).frame(), Event.DROP_OUTER_TTL),
    drops(data6(hop_limit=0).frame(), Event.DROP_OUTER_TTL),
    entries=relaying(FAR_BY6),
)
case(
    "ttl-before-node",
    "A TTL that has run out comes before a node without a locator",
    "U14",
    drops(data(hop_limit=1).frame(), Event.DROP_OUTER_TTL),
    drops(data().frame(), Event.DROP_NODE_UNKNOWN),
    entries=relaying(without=(FAR_BY4,)),
)
case(
    "family-4-to-6",
    "From IPv4 to IPv6, with inner packets of both families",
    "U15",
    *(
        sends(packet.frame(), onward(packet, to=FAR6), UNDERLAY.number, SECOND.number)
        for packet in (data(), data(arriving6()), data(arriving4(size=1408)))
    ),
    entries=relaying(FAR_BY6),
)
case(
    "family-6-to-4",
    "From IPv6 to IPv4, with inner packets of both families",
    "U15",
    *(
        sends(packet.frame(), onward(packet), UNDERLAY.number, SECOND.number)
        for packet in (data6(), data6(arriving6()), data6(arriving6(size=1428)))
    ),
)
case(
    "family-6-to-6",
    "From IPv6 to IPv6",
    "U15",
    *(
        sends(packet.frame(), onward(packet, to=FAR6), UNDERLAY.number, SECOND.number)
        for packet in (data6(), data6(arriving6()))
    ),
    entries=relaying(FAR_BY6),
)
case(
    "entropy",
    "The UDP source port keeps its lowest bits; the flow label over IPv6 follows from them",
    "U15",
    *(
        sends(packet.frame(), onward(packet, to=FAR6), UNDERLAY.number, SECOND.number)
        for packet in (data(source_port=port) for port in (0, 1, 0x3FFF, 0x8123, 0xC000, 0xFFFF))
    ),
    entries=relaying(FAR_BY6),
)
case(
    "two-paths",
    "The lowest bit of the UDP source port chooses the path",
    "U15",
    sends(data(source_port=50000).frame(), onward(data(source_port=50000)), UNDERLAY.number, SECOND.number),
    sends(
        data(source_port=50001).frame(),
        onward(data(source_port=50001), UNDERLAY, PEER6),
        port=UNDERLAY.number,
        egress=UNDERLAY.number,
    ),
    entries=relaying(locator(FAR_NODE, (SECOND, FAR4), (UNDERLAY, PEER6))),
)
case(
    "traffic-class",
    "DSCP and ECN of the outer header go along, CE too; those inside are not looked at",
    "U15",
    *(
        sends(packet.frame(), onward(packet), UNDERLAY.number, SECOND.number)
        for packet in (data(arriving4(tos=0x2E << 2), tos=tos) for tos in (0xBB, 0x01, 0x02, 0xFC))
    ),
    sends(
        data6(arriving6(tc=0), tos=0xBB).frame(), onward(data6(arriving6(tc=0), tos=0xBB)), UNDERLAY.number,
        SECOND.number,
    ),
)  # fmt: skip
case(
    "traffic-class-ipv6",
    "The same onto IPv6",
    "U15",
    *(
        sends(packet.frame(), onward(packet, to=FAR6), UNDERLAY.number, SECOND.number)
        for packet in (data(tos=0xBB), data6(tos=0x03))
    ),
    entries=relaying(FAR_BY6),
)
case(
    "made-anew",
    "Identification, DF, flow label, UDP checksum, reserved bits: none of them goes along",
    "U15",
    *(
        sends(packet.frame(), onward(packet), UNDERLAY.number, SECOND.number)
        for packet in (
            data(ip={"id": 0x4321, "flags": 0}),
            data6(ip={"fl": 0xABCDE}),
            data(udp={"chksum": None}),
            data6(udp={"chksum": None}),
            data(geneve={"reserved": 0x2A, "reserved2": 0x77}),
        )
    ),
)
case(
    "not-looked-at",
    "What is inside goes along whatever it is: empty, one octet, no IP packet, addresses of nobody",
    "U15",
    *(
        sends(packet.frame(), onward(packet, geneve={"proto": proto}), UNDERLAY.number, SECOND.number)
        for inner, proto in (
            (Raw(b""), 0x0800),
            (Raw(b"\x45"), 0x0800),
            (Raw(b"\xff" * 60), 0x0800),
            (Raw(b"\x4f" + b"\x01" * 40), 0x0800),
            (Raw(b"\x60" + bytes(20)), 0x86DD),
            (arriving6(source="fd77::bad", size=80), 0x86DD),
            (arriving4(destination="10.77.0.200", chksum=0x1234), 0x0800),
        )
        for packet in (data(inner, geneve={"proto": proto}),)
    ),
)
case(
    "not-looked-at-family",
    "The same with a change of family",
    "U15",
    *(
        sends(packet.frame(), onward(packet, geneve={"proto": proto}), UNDERLAY.number, SECOND.number)
        for inner, proto in ((Raw(b""), 0x0800), (Raw(b"\x45"), 0x86DD), (Raw(b"\xff" * 60), 0x0800))
        for packet in (data6(inner, geneve={"proto": proto}),)
    ),
)
case(
    "still-sound",
    "What comes before rule U13 holds for a relay too",
    "U9",
    drops(data(geneve={"proto": 0x6558}).frame(), Event.DROP_GENEVE_PROTOCOL),
    drops(data(geneve={"oam": 1}).frame(), Event.DROP_GENEVE_PROTOCOL),
    drops(data(scid=0).frame(), Event.DROP_SCID_ZERO),
    drops(data(udp={"chksum": 0x1234}).frame(), Event.DROP_UDP_CHECKSUM),
)
case(
    "padding",
    "Octets behind the outer packet are cut off",
    "U15",
    *(
        sends(packet.frame() + bytes(octets), onward(packet), UNDERLAY.number, SECOND.number)
        for packet in (data(), data6())
        for octets in (1, 40)
    ),
)
case(
    "vlan-off",
    "Tags in which the packet came do not go along",
    "U15",
    *(
        sends(packet.frame(), onward(packet), UNDERLAY.number, SECOND.number)
        for packet in (data(tags=(100,)), data(tags=(100, 200)), data6(tags=(7,)))
    ),
)
case(
    "vlan-on",
    "An uplink with a VLAN: its tag, whether the packet came with one or not",
    "U15",
    *(
        sends(packet.frame(), onward(packet, tags=(300,)), UNDERLAY.number, SECOND.number)
        for packet in (data(), data(tags=(100,)), data(tags=(100, 200)), data6())
    ),
    entries=relaying(uplink(SECOND, vlan=300)),
)
case(
    "too-big",
    "A packet as long as the uplink's MTU goes on, a longer one is dropped",
    "U14",
    sends(data(arriving4(size=1348)).frame(), onward(data(arriving4(size=1348))), 1, SECOND.number),
    drops(data(arriving4(size=1349)).frame(), Event.DROP_OUTER_TOO_BIG),
    sends(data6(arriving4(size=1348)).frame(), onward(data6(arriving4(size=1348))), 1, SECOND.number),
    entries=relaying(uplink(SECOND, mtu=1400)),
)
case(
    "too-big-ipv6",
    "Over IPv6 20 octets less fit",
    "U14",
    sends(data(arriving4(size=1328)).frame(), onward(data(arriving4(size=1328)), to=FAR6), 1, SECOND.number),
    drops(data(arriving4(size=1329)).frame(), Event.DROP_OUTER_TOO_BIG),
    entries=relaying(uplink(SECOND, mtu=1400), FAR_BY6),
)
case(
    "uplink-unknown",
    "A path over a port that has no uplink",
    "U14",
    drops(data().frame(), Event.DROP_UPLINK_UNKNOWN),
    entries=relaying(without=(uplink(SECOND),)),
)
case(
    "port-gone",
    "A path over a port that has an uplink and no interface any more",
    "U14",
    drops(data().frame(), Event.DROP_NO_ROUTE),
    entries=relaying(
        replace(FAR_BY4, params={**FAR_BY4.params, "port0": GONE, "port1": GONE}),
        replace(uplink(SECOND), key={"port": GONE}),
    ),
    differs={"bmv2": Event.DROP_NO_NEIGHBOUR},
    why="a switch knows next hops alone",
)
case(
    "no-route",
    "A locator that the host has no route to",
    "U15",
    drops(data().frame(), Event.DROP_NO_ROUTE),
    entries=relaying(locator(FAR_NODE, (SECOND, UNREACHABLE4))),
    hooks=["xdp", "bmv2"],
    differs={"bmv2": Event.DROP_NO_NEIGHBOUR},
    why="on TC the kernel finds the route when the program has ended, and counts the failure itself; "
    "a switch knows next hops alone",
)
case(
    "no-neighbour",
    "A locator on the link whose MAC address nobody knows yet",
    "U15",
    drops(data().frame(), Event.DROP_NO_NEIGHBOUR),
    entries=relaying(locator(FAR_NODE, (SECOND, SECOND.silent4))),
    hooks=["xdp", "bmv2"],
    why="on TC the kernel's neighbour layer holds the packet and asks for the address itself",
)
case(
    "routed",
    "A locator behind a router: the frame goes to the router's MAC address",
    "U15",
    sends(data().frame(), onward(data(), to=SECOND.routed4), UNDERLAY.number, SECOND.number),
    entries=relaying(locator(FAR_NODE, (SECOND, SECOND.routed4))),
)
