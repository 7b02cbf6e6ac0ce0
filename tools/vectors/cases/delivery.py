# SPDX-License-Identifier: Apache-2.0
"""From the underlay to the virtual endpoint: all families, all kinds of payload."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.ipsec import ESP
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.packet import Packet, Raw

from ..build import Concern, counts, delivers
from ..entries import LOCATOR4, LOCATOR6, SCID, changed, terminate
from ..packets import Data, arriving4, arriving6, delivered
from ..world import UNDERLAY, VIRTUAL4_LOCAL, VIRTUAL4_PEER, VIRTUAL6_LOCAL, VIRTUAL6_PEER

CASES = Concern("delivery")
case = CASES.case
OVER4 = (UNDERLAY.neighbour.address4, UNDERLAY.address4)
OVER6 = (UNDERLAY.neighbour.address6, UNDERLAY.address6)


def _four(payload: Packet) -> Packet:
    return IP(src=VIRTUAL4_PEER, dst=VIRTUAL4_LOCAL) / payload


def _six(payload: Packet) -> Packet:
    return IPv6(src=VIRTUAL6_PEER, dst=VIRTUAL6_LOCAL) / payload


for _name, _inner, _outer in (
    ("ipv4-over-ipv4", arriving4(), OVER4),
    ("ipv4-over-ipv6", arriving4(), OVER6),
    ("ipv6-over-ipv4", arriving6(), OVER4),
    ("ipv6-over-ipv6", arriving6(), OVER6),
):
    _frame = Data(_inner, *_outer).frame()
    case(
        _name,
        "The outer header goes, the inner packet stays, and every table on the way counts the frame",
        "U12",
        delivers(_frame, delivered(_inner)),
        entries=changed(LOCATOR6 if _outer is OVER6 else LOCATOR4),
        counters=[
            counts(SCID, _frame),
            counts(terminate(_outer[1]), _frame),
            counts(LOCATOR6 if _outer is OVER6 else LOCATOR4, _frame),
        ],
    )

for _name, _payload4, _payload6 in (
    ("tcp", TCP(sport=80, dport=4000, flags="SA") / Raw(b"x" * 33), TCP(sport=80, dport=4000, flags="A")),
    ("icmp", ICMP(type=8, id=7) / Raw(b"x" * 56), ICMPv6EchoRequest(id=7, data=b"x" * 56)),
    ("esp", ESP(spi=5, seq=1, data=b"x" * 64), ESP(spi=5, seq=1, data=b"x" * 64)),
    ("sctp", SCTP(sport=1, dport=2) / SCTPChunkInit(), SCTP(sport=1, dport=2) / SCTPChunkInit()),
):
    case(
        _name,
        f"{_name.upper()} inside IPv4 and IPv6: what the virtual endpoints speak is theirs",
        "U12",
        *(
            delivers(Data(inner, *OVER4).frame(), delivered(inner))
            for inner in (_four(_payload4), _six(_payload6))
        ),
    )

case(
    "inner-ttl",
    "Delivery to the host's own endpoint is no hop: the inner TTL stays, 1 and 0 too",
    "U12",
    *(delivers(Data(arriving4(ttl=ttl)).frame(), delivered(arriving4(ttl=ttl))) for ttl in (255, 1, 0)),
    delivers(Data(arriving6(hlim=1)).frame(), delivered(arriving6(hlim=1))),
)
case(
    "largest",
    "The largest inner packet that 1500 octets hold",
    "U12",
    delivers(Data(arriving4(size=1448)).frame(), delivered(arriving4(size=1448))),
    delivers(Data(arriving6(size=1448)).frame(), delivered(arriving6(size=1448))),
)
