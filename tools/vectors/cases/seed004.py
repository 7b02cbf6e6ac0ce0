# SPDX-License-Identifier: Apache-2.0
"""The match-action tables of two network devices that seed 004 prints, row by row, in our tables.

There, port 1 leads to the user device (at device 1) or to the destination address device (at device 2),
port 2 from one network device to the other, port 3 to feature peers behind VLAN 100, told apart by their MAC
addresses a, b, c and d, and port 4 to other devices, a cache server among them. The ports have the same
numbers here.

One thing is otherwise: between the devices the packet is in a tunnel that says where on its path it is; there
its VLAN and its source MAC address b did. The places of the path: 255 TSA (a), 254 security application (b),
253 content filter (d), 252 statistics (c), 251 end.
"""

from __future__ import annotations

from typing import Any, Final

from scapy.compat import raw
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet

from moorline.wire import Event, PeerHeader

from ..build import counts, drops, sends
from ..entries import origin, terminate, underlay, uplink
from ..graph_entries import (
    edge,
    hop,
    peer,
    resume,
    route_port,
    rule_to,
    shortcut,
    to_node,
    to_peer,
)
from ..graph_packets import from_peer_frame, to_peer_frame
from ..model import Entry, Step
from ..packets import Data, inner4, tunnelled
from ..world import FAR_NODE, INTERNET, PEERS, SECOND, TENANT, UNDERLAY, Gateway
from .graph import FAR4, FAR_BY4, concern

CASES = concern("seed004")
case = CASES.case

VLAN = 100
A, B, C, D = PEERS.macs
FORWARD, TO_CACHE = 0x000401, 0x000402
"""The path through the peers, and the short one to the cache server."""
USER, SERVER, CACHE, OFC = UNDERLAY.neighbour.address4, "203.0.113.80", INTERNET.host4, "10.88.4.9"

PORT1 = Gateway(
    UNDERLAY.number,
    UNDERLAY.interface,
    UNDERLAY.neighbour.mac,
    UNDERLAY.mac,
    hops=1,
    address4=UNDERLAY.address4,
    address6=UNDERLAY.address6,
    host4=USER,
    host6=UNDERLAY.neighbour.address6,
    silent4=UNDERLAY.silent4,
)
"""Port 1, here an edge port."""
DEVICE: Final = (
    edge(PORT1),
    underlay(SECOND),
    peer(PEERS, PeerHeader.VLAN, by_mac=True),
    edge(INTERNET),
    terminate(SECOND.address4),
    uplink(SECOND),
    FAR_BY4,
    origin(FAR4, FAR_NODE),
)
"""What both devices have."""


def _to(mac: str, si: int) -> Entry:
    """OutPort 3, DMAC mac, push VLAN 100."""
    return to_peer(FORWARD, si, header=PeerHeader.VLAN, label=VLAN, mac=mac)


def _from(mac: str, si: int) -> Entry:
    """InPort 3, VLAN 100, SMAC mac: the place behind it is ``si``."""
    return resume(FORWARD, si, header=PeerHeader.VLAN, label=VLAN, mac=mac)


def _tagged(inner: Packet, mac: str) -> bytes:
    return to_peer_frame(inner, PeerHeader.VLAN, VLAN, mac=mac)


def _returned(inner: Packet, mac: str) -> bytes:
    return from_peer_frame(inner, PeerHeader.VLAN, VLAN, mac=mac)


def _plain(inner: Packet, port: Gateway = PORT1) -> bytes:
    return raw(Ether(src=port.near_mac, dst=port.far_mac) / inner)


def _out(inner: Packet, port: Gateway, vlan: int = 0) -> bytes:
    link = Ether(src=port.far_mac, dst=port.near_mac)
    return raw((link / Dot1Q(vlan=vlan) if vlan else link) / inner)


def _between(inner: Packet, si: int, **fields: Any) -> bytes:
    """Out by port 2, to the other device."""
    return tunnelled(inner, SECOND, scid=0, spi=FORWARD, si=si, **fields)


def _arrived(inner: Packet, si: int) -> bytes:
    """In by port 2, from the other device."""
    link = (SECOND.neighbour.mac, SECOND.mac)
    return Data(inner, FAR4, SECOND.address4, scid=0, spi=FORWARD, si=si, ethernet=link).frame()


def _leads(arrived: bytes, left: bytes, into: int, out: int) -> Step:
    return sends(arrived, left, into, out)


# ---- device 1: steering and security

_GET = inner4(source=USER, destination=SERVER, destination_port=80)
_SENT = inner4(source=USER, destination=SERVER, destination_port=80, ttl=63)
# Row 1: high priority, DA *: forward to OutPort 3, DMAC a, push VLAN 100.
_ROW1 = (rule_to(100, FORWARD, 255, 0xFFFF, ingress_port=1), _to(A, 255))
# Row 2: InPort 3, VLAN 100, SMAC a: forward to OutPort 3, DMAC b, push VLAN 100.
_ROW2 = (_from(A, 254), _to(B, 254))
# Row 3: InPort 3, VLAN 100, SMAC b: forward to OutPort 2, which connects to device 2.
_ROW3 = (_from(B, 253), to_node(FAR_NODE, FORWARD, 253))
case(
    "device-1",
    "From the user device to the steering application (a), from there to the security application (b), "
    "from there to the other device",
    "S9",
    _leads(_plain(_GET), _tagged(_SENT, A), 1, 3),
    _leads(_returned(_SENT, A), _tagged(_SENT, B), 3, 3),
    _leads(_returned(_SENT, B), _between(_SENT, 253), 3, 2),
    drops(_returned(_SENT, C), Event.DROP_PEER_UNKNOWN, 3),
    entries=(*DEVICE, *_ROW1, *_ROW2, *_ROW3),
    counters=[
        counts(_ROW1[0], _plain(_GET)),
        counts(_ROW1[1], _plain(_GET)),
        counts(_ROW2[0], _returned(_SENT, A)),
        counts(_ROW2[1], _returned(_SENT, A)),
        counts(_ROW3[0], _returned(_SENT, B)),
        counts(_ROW3[1], _returned(_SENT, B)),
    ],
)

# ---- device 2: content filter and statistics

# Row 1: InPort 2, VLAN 100, SMAC b: forward to OutPort 3, DMAC d, push VLAN 100.
_OTHER_ROW1 = (_to(D, 253),)
# Row 2: InPort 3, SMAC d, VLAN 100: forward to OutPort 3, DMAC c, push VLAN 100.
_OTHER_ROW2 = (_from(D, 252), _to(C, 252))
# Row 3: InPort 3, SMAC c, VLAN 100: forward to OutPort 1, remove the VLAN tag, to the destination device.
_OTHER_ROW3 = (_from(C, 251), hop("end", FORWARD, 251), route_port("192.0.2.0/24", 1))
_THERE = inner4(source="203.0.113.9", destination=USER, destination_port=80)
case(
    "device-2",
    "From the other device to the content filter (d), from there to the statistics (c), from there to the "
    "destination address device",
    "S9",
    _leads(_arrived(_THERE, 253), _tagged(_THERE, D), 2, 3),
    _leads(_returned(_THERE, D), _tagged(_THERE, C), 3, 3),
    _leads(_returned(_THERE, C), _out(_THERE, PORT1), 3, 1),
    entries=(*DEVICE, *_OTHER_ROW1, *_OTHER_ROW2, *_OTHER_ROW3),
    counters=[
        counts(_OTHER_ROW1[0], _arrived(_THERE, 253)),
        counts(_OTHER_ROW2[0], _returned(_THERE, D)),
        counts(_OTHER_ROW2[1], _returned(_THERE, D)),
        counts(_OTHER_ROW3[0], _returned(_THERE, C)),
        counts(_OTHER_ROW3[2], _returned(_THERE, C)),
    ],
)

# ---- the transient flow, and the short-cut

# Row 1, device 1: DA *: forward to OutPort 3, DMAC a, push VLAN 100, as above.
# Row 2, device 1: InPort 3, DA OFC: forward to OutPort 4. Here the TSA speaks to the controller over gRPC.
# Row 3, device 2: InPort 4, DA cache: forward to OutPort 2, push VLAN 200. Here the cache is at port 4.
# Row 2, device 2: InPort 4, VLAN 200: forward to OutPort 2, remove the VLAN tag.
# Row 3, device 1: InPort 2, DA customer prefix: forward to OutPort 1.
_REQUEST = inner4(source=USER, destination=CACHE, destination_port=80)
_REQUESTED = inner4(source=USER, destination=CACHE, destination_port=80, ttl=63)
_ANSWER = inner4(source=CACHE, destination=USER, ttl=64)
_ANSWERED = inner4(source=CACHE, destination=USER, ttl=63)
_CACHE_ROUTE = route_port(f"{CACHE}/32", INTERNET.number, vlan=200)
_CUSTOMER_ROUTE = route_port("192.0.2.0/24", 1)
_STEERED = (rule_to(100, FORWARD, 255, 0xFFFF, ingress_port=1), _to(A, 255))
_RESUMED = (
    resume(FORWARD, 250, header=PeerHeader.VLAN, label=VLAN, mac=A),
    hop("end", FORWARD, 250),
)
_FROM_CACHE = raw(Ether(src=INTERNET.near_mac, dst=INTERNET.far_mac) / Dot1Q(vlan=200) / _ANSWER)
case(
    "transient",
    "While there is no short-cut, the cache's packets go by the steering application, which sends them on to "
    "the cache behind VLAN 200; the cache's answers go straight back, without the tag",
    "S11",
    _leads(_plain(_REQUEST), _tagged(_REQUESTED, A), 1, 3),
    _leads(_returned(_REQUESTED, A), _out(_REQUESTED, INTERNET, 200), 3, 4),
    _leads(_FROM_CACHE, _out(_ANSWERED, PORT1), 4, 1),
    entries=(*DEVICE, *_STEERED, *_RESUMED, _CACHE_ROUTE, _CUSTOMER_ROUTE),
)
# Row 1: InPort 1, SA customer, DA cache: forward to OutPort 2, VLAN 200 (the cache is at port 4 here).
_SHORT = shortcut(USER, CACHE, ports=(4000, 80), spi=TO_CACHE, si=255, tenant=TENANT)
case(
    "shortcut",
    "The short-cut's row: from the customer to the cache, straight behind VLAN 200; it counts its flow "
    "alone. What is not for the cache goes as before",
    "S6",
    _leads(_plain(_REQUEST), _out(_REQUESTED, INTERNET, 200), 1, 4),
    _leads(_FROM_CACHE, _out(_ANSWERED, PORT1), 4, 1),
    _leads(_plain(_GET), _tagged(_SENT, A), 1, 3),
    entries=(*DEVICE, _SHORT, *_STEERED, hop("end", TO_CACHE, 255), _CACHE_ROUTE, _CUSTOMER_ROUTE),
    counters=[
        counts(_SHORT, _plain(_REQUEST)),
        counts(_STEERED[0], _plain(_GET)),
        counts(_CACHE_ROUTE, _plain(_REQUEST)),
    ],
)
