# SPDX-License-Identifier: Apache-2.0
"""Explicit congestion notification through the tunnel: RFC 6040, normal mode."""

from __future__ import annotations

from typing import Final

from scapy.packet import Packet

from moorline.wire import Event

from ..build import Concern, delivers, drops
from ..entries import RECEIVING
from ..model import Step
from ..packets import Data, arriving4, arriving6, delivered
from ..world import UNDERLAY

CASES = Concern("ecn", RECEIVING)
case = CASES.case

NOT_ECT, ECT1, ECT0, CE = range(4)
NAMES: Final = {NOT_ECT: "Not-ECT", ECT1: "ECT(1)", ECT0: "ECT(0)", CE: "CE"}
DSCP_INNER, DSCP_OUTER = 0x2E << 2, 0x0A << 2

COMBINED: Final[dict[tuple[int, int], int | None]] = {
    # (inner, outer): what leaves; None: dropped. RFC 6040, figure 4, row by row.
    (NOT_ECT, NOT_ECT): NOT_ECT,
    (NOT_ECT, ECT0): NOT_ECT,
    (NOT_ECT, ECT1): NOT_ECT,
    (NOT_ECT, CE): None,
    (ECT0, NOT_ECT): ECT0,
    (ECT0, ECT0): ECT0,
    (ECT0, ECT1): ECT1,
    (ECT0, CE): CE,
    (ECT1, NOT_ECT): ECT1,
    (ECT1, ECT0): ECT1,
    (ECT1, ECT1): ECT1,
    (ECT1, CE): CE,
    (CE, NOT_ECT): CE,
    (CE, ECT0): CE,
    (CE, ECT1): CE,
    (CE, CE): CE,
}


def _inner(ecn: int, ipv6: bool) -> Packet:
    return arriving6(tc=DSCP_INNER | ecn) if ipv6 else arriving4(tos=DSCP_INNER | ecn)


def _step(inner: int, outer: int, inner6: bool, outer6: bool) -> Step:
    source, destination = (
        (UNDERLAY.neighbour.address6, UNDERLAY.address6)
        if outer6
        else (UNDERLAY.neighbour.address4, UNDERLAY.address4)
    )
    frame = Data(_inner(inner, inner6), source, destination, tos=DSCP_OUTER | outer).frame()
    combined = COMBINED[inner, outer]
    if combined is None:
        return drops(frame, Event.DROP_INNER_ECN)
    return delivers(frame, delivered(_inner(combined, inner6)))


for _inner6, _outer6 in ((False, False), (False, True), (True, False), (True, True)):
    _families = f"ipv{6 if _inner6 else 4}-over-ipv{6 if _outer6 else 4}"
    case(
        f"decapsulation-{_families}",
        "The whole table of RFC 6040, figure 4, inner by outer, each in the order Not-ECT, ECT(0), ECT(1), "
        "CE; the inner DSCP stays",
        "U12",
        *(_step(inner, outer, _inner6, _outer6) for inner, outer in COMBINED),
    )
