# SPDX-License-Identifier: Apache-2.0
"""The way out: node, path, uplink, route, neighbour, VLAN."""

from __future__ import annotations

from scapy.compat import raw

from moorline.wire import Event

from ..build import Concern, drops, sends
from ..entries import LOCATOR4, changed, locator, uplink
from ..entropy import second_path
from ..model import Entry
from ..packets import inner4, inner6, sent, tunnelled
from ..world import ACCESS, GONE, PEER_NODE, SECOND, UNDERLAY, UNREACHABLE4

CASES = Concern("path")
case = CASES.case
PEER4, PEER6 = UNDERLAY.neighbour.address4, UNDERLAY.neighbour.address6

case(
    "node-unknown",
    "A node of which no locator is known",
    "A4",
    drops(sent(inner4()), Event.DROP_NODE_UNKNOWN, port=ACCESS.number),
    entries=changed(without=[LOCATOR4]),
)
case(
    "uplink-unknown",
    "A path over a port that has no uplink",
    "A4",
    drops(sent(inner4()), Event.DROP_UPLINK_UNKNOWN, port=ACCESS.number),
    entries=changed(without=[uplink(UNDERLAY)]),
)
case(
    "no-route",
    "A locator that the host has no route to",
    "A7",
    drops(sent(inner4()), Event.DROP_NO_ROUTE, port=ACCESS.number),
    entries=changed(locator(PEER_NODE, (UNDERLAY, UNREACHABLE4))),
    hooks=["xdp", "bmv2"],
    differs={"bmv2": Event.DROP_NO_NEIGHBOUR},
    why="on TC the kernel finds the route when the program has ended, and counts the failure itself; "
    "a switch knows next hops alone",
)
case(
    "port-gone",
    "A path over a port that has an uplink and no interface any more",
    "A4",
    drops(sent(inner4()), Event.DROP_NO_ROUTE, port=ACCESS.number),
    entries=changed(
        Entry("locator", LOCATOR4.key, LOCATOR4.action, {**LOCATOR4.params, "port0": GONE, "port1": GONE}),
        Entry("uplink", {"port": GONE}, "set_source", uplink(UNDERLAY).params),
    ),
    differs={"bmv2": Event.DROP_NO_NEIGHBOUR},
    why="a switch knows next hops alone",
)
case(
    "no-neighbour",
    "A locator on the link whose MAC address nobody knows yet",
    "A7",
    drops(sent(inner4()), Event.DROP_NO_NEIGHBOUR, port=ACCESS.number),
    entries=changed(locator(PEER_NODE, (UNDERLAY, UNDERLAY.silent4))),
    hooks=["xdp", "bmv2"],
    why="on TC the kernel's neighbour layer holds the packet and asks for the address itself",
)
case(
    "routed",
    "A locator behind a router: the frame goes to the router's MAC address",
    "A7",
    sends(sent(inner4()), tunnelled(inner4(), destination=UNDERLAY.routed4)),
    entries=changed(locator(PEER_NODE, (UNDERLAY, UNDERLAY.routed4))),
)
case(
    "second-port",
    "A path over the second underlay port: its source address, its neighbour",
    "A4",
    sends(sent(inner4()), tunnelled(inner4(), SECOND), egress=SECOND.number),
    sends(sent(inner6()), tunnelled(inner6(), SECOND), egress=SECOND.number),
    entries=changed(locator(PEER_NODE, (SECOND, SECOND.neighbour.address4))),
)
case(
    "two-paths",
    "Flows spread over a peer's two paths by a bit of their hash, and each flow keeps its own",
    "A4",
    *(
        sends(
            sent(inner),
            tunnelled(inner, SECOND if second_path(raw(inner)) else UNDERLAY),
            egress=(SECOND if second_path(raw(inner)) else UNDERLAY).number,
        )
        for inner in (inner4(destination_port=port) for port in range(5000, 5008))
    ),
    entries=changed(
        locator(PEER_NODE, (UNDERLAY, UNDERLAY.neighbour.address4), (SECOND, SECOND.neighbour.address4))
    ),
)
case(
    "vlan",
    "An uplink with a VLAN: a tag before the outer header, and as many octets fit as without",
    "A7",
    sends(sent(inner4()), tunnelled(inner4(), tags=(300,))),
    sends(sent(inner6(size=1448)), tunnelled(inner6(size=1448), tags=(300,))),
    entries=changed(uplink(UNDERLAY, vlan=300)),
)
case(
    "vlan-ipv6",
    "The same to a peer with an IPv6 locator",
    "A7",
    sends(sent(inner4()), tunnelled(inner4(), destination=PEER6, tags=(4094,))),
    entries=changed(locator(PEER_NODE, (UNDERLAY, PEER6)), uplink(UNDERLAY, vlan=4094)),
)
