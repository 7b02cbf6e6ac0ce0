# SPDX-License-Identifier: Apache-2.0
"""The outer UDP header: length and checksum, over both families."""

from __future__ import annotations

from dataclasses import replace
from struct import Struct
from typing import Any

from moorline.wire import Event

from ..build import Concern, delivers, drops
from ..entries import RECEIVING
from ..packets import Data, arriving4, arriving6, delivered
from ..world import UNDERLAY

CASES = Concern("udp", RECEIVING)
UDP_CHECKSUM = Struct("!H")
case = CASES.case
INNER = arriving4()


def _over4(**udp: Any) -> bytes:
    return Data(arriving4(), udp=udp).frame()


def _over6(**udp: Any) -> bytes:
    return Data(
        arriving4(), source=UNDERLAY.neighbour.address6, destination=UNDERLAY.address6, udp=udp
    ).frame()


def _summing_to_zero(**fields: Any) -> bytes:
    """A packet whose source port makes the sum over all of it 0, for which 0xFFFF is written (RFC 768)."""
    data = Data(INNER, source_port=0, udp={"chksum": None}, **fields)
    checksum = UDP_CHECKSUM.unpack_from(data.frame(), data.transport + 6)[0]
    return replace(data, source_port=checksum).frame()


LENGTH = 132
"""UDP length of the good packet: 8 + 8 + 16 + 100."""

case(
    "length-wrong",
    "A UDP length other than what the IP header leaves",
    "U7",
    *(drops(_over4(len=length), Event.DROP_UDP_LENGTH) for length in (0, 7, LENGTH - 1, LENGTH + 1, 0xFFFF)),
    *(drops(_over6(len=length), Event.DROP_UDP_LENGTH) for length in (0, 7, LENGTH - 1, LENGTH + 1, 0xFFFF)),
)
case(
    "checksum-zero",
    "No checksum, over IPv4 and (RFC 6935, RFC 6936) over IPv6",
    "U7",
    delivers(_over4(chksum=0), delivered(INNER)),
    delivers(_over6(chksum=0), delivered(INNER)),
)
case(
    "checksum-right",
    "A checksum that is there and right; the second one covers an odd number of octets",
    "U7",
    delivers(_over4(chksum=None), delivered(INNER)),
    delivers(Data(arriving4(size=101), udp={"chksum": None}).frame(), delivered(arriving4(size=101))),
    delivers(_over6(chksum=None), delivered(INNER)),
)
case(
    "checksum-all-ones",
    "A right checksum whose sum is 0: 0xFFFF, since 0 would mean that there is none",
    "U7",
    delivers(_summing_to_zero(), delivered(INNER)),
    delivers(
        _summing_to_zero(source=UNDERLAY.neighbour.address6, destination=UNDERLAY.address6), delivered(INNER)
    ),
)
case(
    "checksum-right-big",
    "A right checksum over the largest packet",
    "U7",
    delivers(Data(arriving4(size=1448), udp={"chksum": None}).frame(), delivered(arriving4(size=1448))),
    delivers(
        Data(
            arriving6(size=1428),
            source=UNDERLAY.neighbour.address6,
            destination=UNDERLAY.address6,
            udp={"chksum": None},
        ).frame(),
        delivered(arriving6(size=1428)),
    ),
)
case(
    "checksum-wrong",
    "A checksum that is there and wrong",
    "U7",
    drops(_over4(chksum=0x1234), Event.DROP_UDP_CHECKSUM),
    drops(_over6(chksum=0x1234), Event.DROP_UDP_CHECKSUM),
    drops(_over4(chksum=0xFFFF), Event.DROP_UDP_CHECKSUM),
)
case(
    "corrupted-payload",
    "One changed octet, the last, under a checksum that was right",
    "U7",
    drops(_over4(chksum=None)[:-1] + b"\x00", Event.DROP_UDP_CHECKSUM),
    drops(_over6(chksum=None)[:-1] + b"\x00", Event.DROP_UDP_CHECKSUM),
)
case(
    "source-port-any",
    "The source port is entropy and nothing else: every value is good",
    "U7",
    *(delivers(_over4(sport=port), delivered(INNER)) for port in (0, 53, 6081, 65535)),
)
