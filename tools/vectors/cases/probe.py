# SPDX-License-Identifier: Apache-2.0
"""Probes that trace a path: they go as any packet does, and end where the path does."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.packet import Raw

from moorline.wire import OAM_PORT, Event

from ..build import counts, drops, sends
from ..entries import connection
from ..graph_entries import SPI, START, hop, resume, route_port, rule, to_node, to_peer
from ..graph_packets import from_peer_frame, to_peer_frame
from ..packets import inner4, sent
from ..world import FAR_NODE, INTERNET, PEERS, SCID, SECOND, UNDERLAY, USERS, VIRTUAL4_LOCAL, VIRTUAL4_PEER
from .graph import concern, graph, on_path, on_path6, user4, user6
from .service import onward

CASES = concern("probe")
case = CASES.case

PROBE4, PROBE6 = user4(destination_port=OAM_PORT), user6(destination_port=OAM_PORT)

case(
    "along-the-path",
    "From node to node, to a peer, back from it",
    "S5",
    sends(on_path(PROBE4).frame(), onward(PROBE4), UNDERLAY.number, SECOND.number),
    sends(on_path6(PROBE6).frame(), onward(PROBE6), UNDERLAY.number, SECOND.number),
    sends(on_path(PROBE4, si=9).frame(), to_peer_frame(PROBE4), UNDERLAY.number, PEERS.number),
    sends(from_peer_frame(PROBE4), onward(PROBE4, si=8, hop_limit=64), PEERS.number, SECOND.number),
    entries=graph(to_node(FAR_NODE), to_peer(si=9), resume(si=8), to_node(FAR_NODE, si=8)),
)
case(
    "at-the-end",
    "At the path's end a probe is dropped, of a connection or not, come from a node or from a peer",
    "S5",
    drops(on_path(PROBE4, si=1).frame(), Event.DROP_PROBE_END),
    drops(on_path(PROBE6, si=1).frame(), Event.DROP_PROBE_END),
    drops(on_path(PROBE4, si=1, scid=SCID).frame(), Event.DROP_PROBE_END),
    drops(from_peer_frame(PROBE4), Event.DROP_PROBE_END, PEERS.number),
    entries=graph(
        hop("end", si=1),
        resume(si=1),
        route_port("10.88.4.0/24", INTERNET.number),
    ),
    counters=[counts(route_port("10.88.4.0/24", INTERNET.number))],
)
case(
    "not-from-users",
    "At an edge port, and on a connection's path, a probe is dropped: users make none",
    "S3",
    drops(sent(inner4(destination_port=OAM_PORT)), Event.DROP_PROBE_END, 10),
    drops(sent(PROBE4, USERS), Event.DROP_PROBE_END, USERS.number),
    drops(sent(PROBE6, USERS), Event.DROP_PROBE_END, USERS.number),
    entries=graph(rule(1), to_node(FAR_NODE), connection(VIRTUAL4_LOCAL, VIRTUAL4_PEER, spi=SPI, si=START)),
    counters=[counts(rule(1))],
)
_TCP = IP(src=USERS.host4, dst=INTERNET.host4) / TCP(sport=1, dport=OAM_PORT) / Raw(bytes(20))
case(
    "no-probe",
    "The port of another protocol, and a fragment that has none, are no probes'",
    "S5",
    *(
        sends(on_path(inner).frame(), onward(inner), UNDERLAY.number, SECOND.number)
        for inner in (
            _TCP,
            user4(destination_port=OAM_PORT, frag=1),
            user4(destination_port=OAM_PORT, flags="MF"),
        )
    ),
    *(
        drops(on_path(inner, si=1).frame(), Event.DROP_NO_ROUTE)
        for inner in (
            _TCP,
            user4(destination_port=OAM_PORT, flags="MF"),
            user4(destination_port=OAM_PORT + 1),
        )
    ),
    entries=graph(to_node(FAR_NODE), hop("end", si=1)),
)
