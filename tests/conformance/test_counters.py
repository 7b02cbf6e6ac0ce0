# SPDX-License-Identifier: Apache-2.0
"""Counters add up over CPUs and rows, and a write to one moves no other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dataplane.bpf.events import EventCounters
from moorline.wire import EVENTS_PER_PORT, Event
from tools.vectors import files
from tools.vectors.bpf_target import BpfTarget
from tools.vectors.model import Vector
from tools.vectors.world import UNASSIGNED

FIRST = UNASSIGNED * EVENTS_PER_PORT
DELIVERED = files.read("delivery/ipv4-over-ipv4")
SENT = files.read("access/ipv4-over-ipv4")


@pytest.fixture
def counters(target: BpfTarget) -> Iterator[EventCounters]:
    """With a port's cells at zero before and after."""
    cells = target.bench.pipeline.port_events

    def clear() -> None:
        for event in Event:
            cells.write(FIRST + event, 0, 0)

    clear()
    yield cells
    clear()


@pytest.mark.parametrize("vector", [DELIVERED, SENT], ids=lambda vector: vector.path)
def test_packets_on_all_cpus_count_in_each_entry(vector: Vector, target: BpfTarget) -> None:
    allowed = os.sched_getaffinity(0)
    target.load(vector.entries)
    step = vector.steps[0]
    try:
        for cpu in allowed:
            os.sched_setaffinity(0, {cpu})
            target.send(step.port, step.frame)
    finally:
        os.sched_setaffinity(0, allowed)
    counted = {
        entry.table: target.direct_counter(entry.table, entry.key)
        for entry in vector.entries
        if target.direct_counter(entry.table, entry.key).packets
    }
    everywhere = (len(allowed), len(allowed) * len(step.frame))
    ways = {"port_role", "terminate", "scid", "locator"}, {"port_role", "connection", "locator", "uplink"}
    assert set(counted) in ways
    assert set(counted.values()) == {everywhere}


def test_counters_begin_at_zero_when_an_entry_is_made_anew(target: BpfTarget) -> None:
    for _ in range(2):
        target.load(DELIVERED.entries)
        for counter in (entry for entry in DELIVERED.entries if entry.table == "scid"):
            assert target.direct_counter("scid", counter.key) == (0, 0)
        target.send(DELIVERED.steps[0].port, DELIVERED.steps[0].frame)


def test_received_is_the_sum_of_all_other_events(counters: EventCounters) -> None:
    counters.write(FIRST + Event.RX, 10, 1000)
    assert counters.read(FIRST + Event.TX) == (0, 0)
    counters.write(FIRST + Event.TX, 3, 300)
    assert counters.read(FIRST + Event.RX) == (10, 1000), "a write moves no other cell"
    counters.write(FIRST + Event.RX, 3, 300)
    counters.write(FIRST + Event.TX, 1, 100)
    assert counters.read(FIRST + Event.RX) == counters.port(UNASSIGNED)[Event.RX] == (3, 300)
    assert counters.read_all()[FIRST : FIRST + 2] == [(3, 300), (1, 100)]


def test_packets_move_received_from_where_it_was_set(counters: EventCounters, target: BpfTarget) -> None:
    counters.write(FIRST + Event.RX, 7, 700)
    step = replace(DELIVERED.steps[0], port=UNASSIGNED)
    target.send(step.port, step.frame)
    assert counters.port(UNASSIGNED)[Event.RX] == (8, 700 + len(step.frame))
    assert counters.port(UNASSIGNED)[Event.PASS] == (1, len(step.frame))
