# SPDX-License-Identifier: Apache-2.0
"""Nanoseconds a packet of the data plane's programs, without a network.

A program's time is that of BPF test runs less what they do besides: a wrapper that restores the packet. At TC
that cannot be, where one packet cannot be encapsulated twice: there, packets come in at the port one after
another, go all their way, and the kernel's clock is around the program. The floor is a program that only
returns a verdict, measured in the same rounds.
"""

from __future__ import annotations

import os
from functools import partial
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Final

from tools.bench import bpf_stats
from tools.bench.dataplane import ACCESS, UPLINK, MeasuredDataPlane
from tools.bench.frames import OUTER_DESTINATION, OUTER_SOURCE, access_template, data_frame
from tools.bench.katran import OBJECT_VARIABLE, Katran
from tools.bench.report import Row
from tools.bench.restore import Restorer, nanoseconds
from tools.bench.rounds import Samples, interleave, ratio
from tools.testrun import TestProgram

FEW = 1_000
MANY = 1_000_000
ROUNDS = 9
ARRIVALS = 50_000
"""Packets of a round of TC: enough to touch far more connections than any cache holds."""


_LINK: Final = IPv4Interface((OUTER_DESTINATION, 24))


def xdp_terminate() -> list[Row]:
    """``xdp.terminate.*``: a data packet checked, decapsulated and handed to the access port."""
    with MeasuredDataPlane.made() as plane:
        restorer = Restorer()
        few = plane.inside(partial(_xdp_round, plane, restorer, FEW))
        many = plane.inside(partial(_xdp_round, plane, restorer, MANY))
    rows = [
        Row(
            "xdp.terminate.ns_ratio_floor", few["own"].median, "ns", "XDP_TX only", ratio(few, "own", "floor")
        ),
        Row("xdp.terminate.scale_1m", many["own"].median, "ns", f"{FEW} connections", _scale(few, many)),
    ]
    return rows + _beside_katran(few, many)


def _xdp_round(plane: MeasuredDataPlane, restorer: Restorer, connections: int) -> dict[str, Samples]:
    plane.fill(connections)
    frame, header_sum = data_frame()
    arguments = ("restore_moorline", plane.xdp.fd, frame, header_sum, connections, plane.ifindex(UPLINK))
    plane.expect_redirect(restorer.code(*arguments))

    def floor() -> float:
        return nanoseconds(restorer.floor_xdp, frame)

    def own() -> float:
        # The wrapper's time holds one run of the test itself, which the program alone would pay too.
        return restorer.net(*arguments) + floor()

    katran = _katran(connections)
    subjects = {"own": own, "floor": floor, "net": lambda: restorer.net(*arguments)}
    if katran is not None:
        subjects["katran"] = partial(katran.net_ns, restorer, connections)
    samples = interleave(subjects, ROUNDS)
    if katran is not None:
        katran.close()
    return samples


def _katran(flows: int) -> Katran | None:
    path = os.environ.get(OBJECT_VARIABLE)
    return Katran(Path(path), flows) if path else None


def _beside_katran(few: dict[str, Samples], many: dict[str, Samples]) -> list[Row]:
    if "katran" not in few:
        return []
    name = "xdp.terminate.ns_ratio_katran"
    return [
        Row(name, few["net"].median, "ns", f"Katran, {FEW} flows", ratio(few, "net", "katran")),
        Row(f"{name}.1m", many["net"].median, "ns", f"Katran, {MANY} flows", ratio(many, "net", "katran")),
    ]


def _scale(few: dict[str, Samples], many: dict[str, Samples]) -> float:
    # Not measured in one round, so each in units of its own rounds' floor.
    return ratio(many, "own", "floor") / ratio(few, "own", "floor")


def tc_access() -> list[Row]:
    """``tc.access.*``: a program's packet looked up, encapsulated, sent to the kernel's neighbours."""
    with MeasuredDataPlane.made() as plane:
        plane.reach(_LINK, [OUTER_SOURCE])
        restorer = Restorer()
        few = plane.inside(partial(_tc_round, plane, restorer, FEW))
        many = plane.inside(partial(_tc_round, plane, restorer, MANY))
    return [
        Row(
            "tc.access.ns_ratio_floor", few["own"].median, "ns", "TC_ACT_OK only", ratio(few, "own", "floor")
        ),
        Row("tc.access.scale_1m", many["own"].median, "ns", f"{FEW} connections", _scale(few, many)),
    ]


def _tc_round(plane: MeasuredDataPlane, restorer: Restorer, connections: int) -> dict[str, Samples]:
    plane.fill(connections)
    frame, header_sum = access_template()
    port = plane.ifindex(ACCESS)
    plane.expect_redirect(plane.tc.run(frame, port)[0])

    def floor() -> float:
        return nanoseconds(restorer.floor_tc, frame)

    def clocked(program: TestProgram) -> float:
        plane.attach_tc(ACCESS, program.fd)
        # Only here: the clock would make the floor itself dearer.
        with bpf_stats.enabled():
            before = bpf_stats.run_time(program.fd)
            restorer.arrive(frame, header_sum, connections, port, ARRIVALS)
            return bpf_stats.run_time(program.fd).per_run_since(before)

    def own() -> float:
        # What the clock itself costs is in both of its readings.
        return clocked(plane.tc) - clocked(restorer.floor_tc) + floor()

    return interleave({"own": own, "floor": floor}, ROUNDS)
