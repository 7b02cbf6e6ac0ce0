# SPDX-License-Identifier: Apache-2.0
"""Hosts without a data plane, behind an access port: delivered to them, and between two access ports."""

from __future__ import annotations

from typing import Any

from scapy.packet import Packet

from moorline.wire import Event, Tunnel

from ..build import Concern, counts, delivers, drops, passes, punts, sends
from ..entries import LOCATOR4, RECEIVING, changed, gateway, local, terminate
from ..packets import Data, arriving4, arriving6, delivered, inner4, inner6, sent
from ..world import ACCESS, GATEWAY, GONE, UNDERLAY, VIRTUAL4_LOCAL, VIRTUAL6_LOCAL

CASES = Concern("gateway", changed(gateway()))
case = CASES.case
OVER4 = (UNDERLAY.neighbour.address4, UNDERLAY.address4)
OVER6 = (UNDERLAY.neighbour.address6, UNDERLAY.address6)


def _arriving4(**fields: Any) -> Packet:
    return arriving4(destination=GATEWAY.host4, **fields)


def _arriving6(**fields: Any) -> Packet:
    return arriving6(destination=GATEWAY.host6, **fields)


def _delivers(arrived: Packet, left: Packet, outer: tuple[str, str] = OVER4, tos: int = 0) -> Any:
    source, destination = outer
    frame = Data(arrived, source, destination, tos=tos).frame()
    return delivers(frame, delivered(left, GATEWAY), egress=GATEWAY.number)


for _name, _outer in (("delivered-over-ipv4", OVER4), ("delivered-over-ipv6", OVER6)):
    case(
        _name,
        "To a host behind the port: the TTL is one less, the frame goes to the host's MAC address",
        "U12",
        _delivers(_arriving4(ttl=64), _arriving4(ttl=63), _outer),
        _delivers(_arriving6(hlim=64), _arriving6(hlim=63), _outer),
        _delivers(_arriving4(ttl=2), _arriving4(ttl=1), _outer),
        _delivers(_arriving6(hlim=2), _arriving6(hlim=1), _outer),
        entries=(*(entry for entry in RECEIVING if entry.table != "scid"), gateway()),
    )
case(
    "delivered-marked",
    "Congestion on the way is told to the inner packet whose TTL is lowered too (RFC 6040)",
    "U12",
    _delivers(_arriving4(tos=2), _arriving4(tos=3, ttl=63), tos=3),
    _delivers(_arriving6(tc=2), _arriving6(tc=3, hlim=63), tos=3),
    _delivers(_arriving6(tc=0xB9), _arriving6(tc=0xB9, hlim=63), tos=1),
)
case(
    "delivered-hops",
    "A port further away takes more off the TTL",
    "U12",
    _delivers(_arriving4(ttl=10), _arriving4(ttl=3)),
    _delivers(_arriving6(hlim=10), _arriving6(hlim=3)),
    punts(Data(_arriving4(ttl=7)).frame(), Event.PUNT_TTL_EXPIRED, port=UNDERLAY.number),
    entries=changed(gateway(hops=7)),
)
case(
    "delivered-expired",
    "A TTL that does not last to the host: to the controller as it arrived, counted on the way",
    "U11",
    *(
        punts(Data(inner, tos=3).frame(), Event.PUNT_TTL_EXPIRED, port=UNDERLAY.number)
        for inner in (_arriving4(ttl=1, tos=2), _arriving4(ttl=0, tos=2), _arriving6(hlim=1))
    ),
    counters=[
        counts(
            entry,
            *(
                Data(inner, tos=3).frame()
                for inner in (_arriving4(ttl=1, tos=2), _arriving4(ttl=0, tos=2), _arriving6(hlim=1))
            ),
        )
        for entry in (gateway(), LOCATOR4)
    ],
)
case(
    "delivered-expired-unmarked",
    "An expired packet is the sender's to hear of before its congestion marks are looked at",
    "U11",
    punts(Data(_arriving4(ttl=1), tos=3).frame(), Event.PUNT_TTL_EXPIRED, port=UNDERLAY.number),
    drops(Data(_arriving4(ttl=2), tos=3).frame(), Event.DROP_INNER_ECN),
)

_THERE = (
    local(VIRTUAL4_LOCAL, GATEWAY.host4, GATEWAY.number),
    local(VIRTUAL6_LOCAL, GATEWAY.host6, GATEWAY.number),
)
_BACK = (
    local(GATEWAY.host4, VIRTUAL4_LOCAL, ACCESS.number),
    local(GATEWAY.host6, VIRTUAL6_LOCAL, ACCESS.number),
)


def _to_lan4(**fields: Any) -> Packet:
    return inner4(destination=GATEWAY.host4, **fields)


def _to_lan6(**fields: Any) -> Packet:
    return inner6(destination=GATEWAY.host6, **fields)


def _to_host4(**fields: Any) -> Packet:
    return inner4(source=GATEWAY.host4, destination=VIRTUAL4_LOCAL, **fields)


def _to_host6(**fields: Any) -> Packet:
    return inner6(source=GATEWAY.host6, destination=VIRTUAL6_LOCAL, **fields)


def _from_host(arrived: Packet, left: Packet) -> Any:
    return sends(sent(arrived), delivered(left, GATEWAY), egress=GATEWAY.number)


def _from_lan(arrived: Packet, left: Packet) -> Any:
    return sends(sent(arrived, GATEWAY), delivered(left), port=GATEWAY.number, egress=ACCESS.number)


case(
    "local-from-the-host",
    "Both ends are here: out by the other access port, no tunnel; the host's own packets lose nothing",
    "A8",
    _from_host(_to_lan4(ttl=1), _to_lan4(ttl=1)),
    _from_host(_to_lan6(hlim=64, tc=0x2A), _to_lan6(hlim=64, tc=0x2A)),
    entries=changed(*_THERE),
    counters=[counts(_THERE[0], sent(_to_lan4(ttl=1)))],
)
case(
    "local-to-the-host",
    "The other way: the port towards other hosts lowers the TTL",
    "A8",
    _from_lan(_to_host4(ttl=64), _to_host4(ttl=63)),
    _from_lan(_to_host6(hlim=64, tc=0x2A), _to_host6(hlim=63, tc=0x2A)),
    entries=changed(*_BACK),
)
case(
    "local-expired",
    "A TTL that does not last",
    "A8",
    punts(sent(_to_host4(ttl=1), GATEWAY), Event.PUNT_TTL_EXPIRED, port=GATEWAY.number),
    punts(sent(_to_host6(hlim=0), GATEWAY), Event.PUNT_TTL_EXPIRED, port=GATEWAY.number),
    entries=changed(*_BACK),
)
case(
    "local-padding",
    "Octets behind the packet do not go on",
    "A8",
    sends(sent(_to_lan4(size=30)) + bytes(16), delivered(_to_lan4(size=30), GATEWAY), egress=GATEWAY.number),
    sends(
        sent(_to_host6(size=50), GATEWAY) + bytes(3),
        delivered(_to_host6(size=50, hlim=63)),
        port=GATEWAY.number,
        egress=ACCESS.number,
    ),
    entries=changed(*_THERE, *_BACK),
)
case(
    "local-to-the-kernel",
    "Port 0: the packet is the kernel's, whatever its TTL",
    "A8",
    passes(sent(_to_host4(ttl=1), GATEWAY), port=GATEWAY.number),
    passes(sent(_to_lan6()), port=ACCESS.number),
    entries=changed(
        local(GATEWAY.host4, VIRTUAL4_LOCAL, 0),
        local(VIRTUAL6_LOCAL, GATEWAY.host6, 0),
    ),
)
case(
    "local-port-gone",
    "The other end's access port is no port of this node",
    "A8",
    drops(sent(_to_lan4()), Event.DROP_NO_ROUTE, port=ACCESS.number),
    entries=changed(local(VIRTUAL4_LOCAL, GATEWAY.host4, GONE)),
    differs={"bmv2": Event.DROP_NO_NEIGHBOUR},
    why="a switch knows next hops alone",
)
case(
    "no-neighbour",
    "A host on the link whose MAC address nobody knows yet",
    "A8",
    drops(sent(inner4(destination=GATEWAY.silent4)), Event.DROP_NO_NEIGHBOUR, port=ACCESS.number),
    entries=changed(local(VIRTUAL4_LOCAL, GATEWAY.silent4, GATEWAY.number)),
    hooks=["xdp", "bmv2"],
    why="on TC the kernel's neighbour layer holds the packet and asks for the address itself",
)

_OWN = (terminate(GATEWAY.address4, Tunnel.NONE), terminate(GATEWAY.address6, Tunnel.NONE))
_TO_GATEWAY4 = inner4(source=GATEWAY.host4, destination=GATEWAY.address4)
_TO_GATEWAY6 = inner6(source=GATEWAY.host6, destination=GATEWAY.address6)
case(
    "to-the-gateway-itself",
    "What a host says to the gateway's own address on its link is the kernel's, unless a connection has it",
    "A3",
    passes(sent(_TO_GATEWAY4, GATEWAY), port=GATEWAY.number),
    passes(sent(_TO_GATEWAY6, GATEWAY), port=GATEWAY.number),
    punts(sent(inner4(source=GATEWAY.host4), GATEWAY), Event.PUNT_CONNECTION_MISS, port=GATEWAY.number),
    punts(sent(inner4(destination=GATEWAY.address4)), Event.PUNT_CONNECTION_MISS),
    entries=changed(*_OWN),
    counters=[
        counts(_OWN[0], sent(_TO_GATEWAY4, GATEWAY)),
        counts(_OWN[1], sent(_TO_GATEWAY6, GATEWAY)),
    ],
    hooks=["xdp", "tc"],
    why="a switch has no kernel to answer: its controller does",
)
case(
    "opened-is-not-the-nodes-own",
    "An address at which tunnels end is not therefore one for plain packets, nor the other way round",
    "A3",
    punts(
        sent(inner4(source=GATEWAY.host4, destination=UNDERLAY.address4), GATEWAY),
        Event.PUNT_CONNECTION_MISS,
        port=GATEWAY.number,
    ),
    passes(Data(_arriving4(), destination=GATEWAY.address4).frame()),
    entries=changed(*_OWN),
)
