# SPDX-License-Identifier: Apache-2.0
"""Packets for neighbours not known yet: handed up as they would go out, and no flood of them."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterator

import pytest

from dataplane.bpf.hook import Hook
from moorline.wire import Event
from tests.conformance.rings import reader
from tools.vectors import files
from tools.vectors.bpf_target import BpfTarget

FLOOD = 100_000
OF_PERIOD, PERIODS_PER_SECOND = 64, 10

SILENT = {"gateway/no-neighbour": (11, 0), "edge/route-no-neighbour": (4, 1)}
"""The port that the packet would leave by, and by how much its TTL is lowered there."""


@pytest.fixture
def target(targets: dict[Hook, BpfTarget]) -> BpfTarget:
    return targets[Hook.XDP]


@pytest.fixture
def told(target: BpfTarget) -> Iterator[Callable[[], list[bytes]]]:
    """Reads what the program has handed up since the last call."""
    with reader(target.bench.pipeline.unresolved_fd) as read:
        yield read


@pytest.mark.parametrize("name", SILENT)
def test_the_packet_is_handed_up_as_it_would_go_out(
    name: str, target: BpfTarget, told: Callable[[], list[bytes]]
) -> None:
    vector, (port, hops) = files.read(name), SILENT[name]
    step = vector.steps[0]
    target.load(vector.entries)
    records: list[bytes] = []
    while not records:  # a flood before may have taken all of this moment
        assert target.send(step.port, step.frame).event is Event.DROP_NO_NEIGHBOUR
        records = told()
    length, out = struct.unpack_from("=II", records[0])
    frame = records[0][8:]
    assert (length, out) == (len(frame), port)
    assert frame[12:22] == step.frame[12:22]  # EtherType, and the IPv4 header up to the TTL
    assert frame[22] == step.frame[22] - hops
    assert frame[26:] == step.frame[26:]  # behind the checksum of the header


def test_a_flood_is_handed_up_in_bursts(target: BpfTarget, told: Callable[[], list[bytes]]) -> None:
    vector = files.read("gateway/no-neighbour")
    step = vector.steps[0]
    target.load(vector.entries)
    begin = time.monotonic()
    target.program.nanoseconds(step.frame, target.bench.ifindexes[step.port], FLOOD)
    periods = 1 + (time.monotonic() - begin) * PERIODS_PER_SECOND
    most = len(os.sched_getaffinity(0)) * OF_PERIOD * (1 + periods)
    assert most < FLOOD, "the machine is too slow for this to be a flood"
    assert 1 <= len(told()) <= most
