# SPDX-License-Identifier: Apache-2.0
"""Whether the packet belongs to a connection, and comes from its other end."""

from __future__ import annotations

from typing import Any

from moorline.wire import Event

from .. import entries, world
from ..build import Concern, counts, delivers, drops
from ..entries import LOCATOR4, LOCATOR6, changed, locator
from ..packets import Data, arriving4, arriving6, delivered
from ..world import ANY4, GONE, SECOND, TENANT, UNDERLAY

CASES = Concern("connection")
case = CASES.case
INNER = arriving4()
PEER4, PEER6 = UNDERLAY.neighbour.address4, UNDERLAY.neighbour.address6


def _from(source: str = PEER4, **fields: Any) -> bytes:
    destination = UNDERLAY.address6 if ":" in source else UNDERLAY.address4
    return Data(arriving4(), source=source, destination=destination, **fields).frame()


GOOD = _from()

case(
    "known",
    "The connection's packets, counted by its entry and by the peer's",
    "U10",
    *(delivers(GOOD, delivered(INNER)) for _ in range(3)),
    counters=[counts(entries.SCID, GOOD, GOOD, GOOD)],
)
case("scid-zero", "SCID 0 names no connection", "U10", drops(_from(scid=0), Event.DROP_SCID_ZERO))
case(
    "scid-unknown",
    "An SCID whose slot is free",
    "U10",
    drops(_from(scid=world.SCID + 1), Event.DROP_SCID_UNKNOWN),
    drops(_from(scid=0xFFFF_FFFF_FFFF_FFFF), Event.DROP_SCID_UNKNOWN),
    counters=[counts(entries.SCID)],
)
case(
    "scid-same-slot",
    "An SCID in the same slot with other random bits: one bit off at either end, and all",
    "U10",
    *(
        drops(_from(scid=world.SCID ^ difference), Event.DROP_SCID_UNKNOWN)
        for difference in (1 << 63, 1 << 24, 0xFFFF_FFFF_FF00_0000)
    ),
    counters=[counts(entries.SCID)],
)
case(
    "scid-slot-beyond-table",
    "An SCID whose slot has the same lowest bits as a taken one, beyond the table's size",
    "U10",
    drops(_from(scid=world.SCID ^ (1 << 23)), Event.DROP_SCID_UNKNOWN),
)
case(
    "other-tenant",
    "A VNI that is not the connection's tenant",
    "U10",
    *(
        drops(_from(geneve={"vni": vni}), Event.DROP_TENANT)
        for vni in (0, TENANT ^ 1, TENANT ^ 0x800000, 0xFFFFFF)
    ),
)
case(
    "spoofed-source",
    "The right SCID from an address that is none of the peer's: another host's, our own, one bit off",
    "U10",
    drops(_from("192.0.2.3"), Event.DROP_SOURCE),
    drops(_from(UNDERLAY.address4), Event.DROP_SOURCE),
    drops(_from("192.0.3.2"), Event.DROP_SOURCE),
    drops(_from(PEER6), Event.DROP_SOURCE),
)
case(
    "spoofed-source-zero",
    "Sources that an empty place in the peer's entry must not match: 0.0.0.0, ::, and ::ffff:0.0.0.0",
    "U10",
    drops(_from(ANY4), Event.DROP_SOURCE),
    drops(_from("::"), Event.DROP_SOURCE),
    drops(_from("::ffff:0.0.0.0"), Event.DROP_SOURCE),
)
case(
    "spoofed-source-mapped",
    "An IPv6 packet whose source is the mapped form of the peer's IPv4 locator is not from there",
    "U10",
    drops(_from(f"::ffff:{PEER4}"), Event.DROP_SOURCE),
)
case(
    "spoofed-source-ipv6",
    "The same for a peer with IPv6 locators, one bit off at either end",
    "U10",
    drops(_from("2001:db8:1::3"), Event.DROP_SOURCE),
    drops(_from("a001:db8:1::2"), Event.DROP_SOURCE),
    delivers(_from(PEER6), delivered(INNER)),
    entries=changed(LOCATOR6),
)
case(
    "second-path",
    "The peer's second locator is as good as its first",
    "U10",
    delivers(_from(PEER4), delivered(INNER)),
    delivers(_from(SECOND.neighbour.address4), delivered(INNER)),
    entries=changed(locator(world.PEER_NODE, (UNDERLAY, PEER4), (SECOND, SECOND.neighbour.address4))),
)
case(
    "second-path-of-the-other-family",
    "A peer with an IPv4 and an IPv6 locator",
    "U10",
    delivers(_from(PEER4), delivered(INNER)),
    delivers(_from(PEER6), delivered(INNER)),
    entries=changed(locator(world.PEER_NODE, (UNDERLAY, PEER4), (UNDERLAY, PEER6))),
)
case(
    "previous-locators",
    "For a grace time after an address change, packets in flight from both former locators are good",
    "U10",
    delivers(_from(world.FORMER4), delivered(INNER)),
    delivers(_from(world.FORMER6), delivered(INNER)),
    drops(_from("192.0.2.33"), Event.DROP_SOURCE),
    entries=changed(
        locator(world.PEER_NODE, (UNDERLAY, PEER4), previous=(world.FORMER4, world.FORMER6)),
    ),
)
case(
    "previous-locators-gone",
    "After the grace time they are spoofed sources",
    "U10",
    drops(_from(world.FORMER4), Event.DROP_SOURCE),
    drops(_from(world.FORMER6), Event.DROP_SOURCE),
)
case(
    "peer-without-locators",
    "A connection to a node of which no locator is known has no good source",
    "U10",
    drops(_from(), Event.DROP_NODE_UNKNOWN),
    entries=changed(without=[LOCATOR4]),
)
case(
    "access-port-gone",
    "The connection's access port is no port of this node",
    "U12",
    drops(_from(), Event.DROP_NO_ROUTE),
    entries=changed(entries.scid(port=GONE)),
    differs={"bmv2": Event.DROP_NO_NEIGHBOUR},
    why="a switch knows next hops alone",
)
case(
    "service-index-alone",
    "Without a service path, the service index means nothing",
    "U10",
    delivers(_from(si=255), delivered(INNER)),
)
case(
    "ipv6-inside",
    "The same connection carries IPv6",
    "U10",
    delivers(Data(arriving6()).frame(), delivered(arriving6())),
)
