# SPDX-License-Identifier: Apache-2.0
"""What the programs tell: of unknown SCIDs, once a millisecond at most, and of probes on their paths."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from dataplane.bpf import sys as bpf
from dataplane.bpf.hook import Hook
from dataplane.contract.p4info import load_p4info
from moorline.wire import Event
from tests.conformance.rings import reader
from tools.vectors import files
from tools.vectors.bpf_target import P4INFO, BpfTarget
from tools.vectors.model import Step

IDS = {d.name: d.id.to_bytes(4, sys.byteorder) for d in load_p4info(P4INFO).digests.values()}
MAPPED = bytes(10) + b"\xff\xff"
FLOOD = 100_000
DELIVERED = {  # SCID and outer source in the frame
    "delivery/ipv4-over-ipv4": lambda frame: (frame[54:62], MAPPED + frame[26:30]),
    "delivery/ipv4-over-ipv6": lambda frame: (frame[74:82], frame[22:38]),
}


@pytest.fixture
def told(target: BpfTarget) -> Iterator[Callable[[], list[bytes]]]:
    """Reads what the programs have told since the last call."""
    with reader(target.bench.pipeline.digests_fd) as read:
        yield read


def without_connection(name: str, target: BpfTarget) -> Step:
    vector = files.read(name)
    target.load([entry for entry in vector.entries if entry.table != "scid"])
    return vector.steps[0]


@pytest.mark.parametrize("name", DELIVERED)
def test_an_unknown_scid_is_told(name: str, target: BpfTarget, told: Callable[[], list[bytes]]) -> None:
    step = without_connection(name, target)
    records: list[bytes] = []
    while not records:  # another packet may have been told of less than a millisecond ago
        assert target.send(step.port, step.frame).event is Event.DROP_SCID_UNKNOWN
        records = told()
    scid, source = DELIVERED[name](step.frame)
    expected = IDS["scid_unknown"] + step.port.to_bytes(2) + scid + source
    assert records == [expected]


def test_a_flood_is_told_once_a_millisecond(target: BpfTarget, told: Callable[[], list[bytes]]) -> None:
    step = without_connection("delivery/ipv4-over-ipv4", target)
    begin = time.monotonic()
    target.program.nanoseconds(step.frame, target.bench.ifindexes[step.port], FLOOD)
    milliseconds = (time.monotonic() - begin) * 1000
    most = len(os.sched_getaffinity(0)) * (1 + milliseconds)
    assert most < FLOOD, "the machine is too slow for this to be a flood"
    assert 1 <= len(told()) <= most


def test_a_known_scid_is_not_told(target: BpfTarget, told: Callable[[], list[bytes]]) -> None:
    vector = files.read("delivery/ipv4-over-ipv4")
    target.load(vector.entries)
    assert target.send(vector.steps[0].port, vector.steps[0].frame).event is Event.TX
    assert told() == []


def test_a_probe_that_is_let_in_is_told_and_goes_on(targets: dict[Hook, BpfTarget]) -> None:
    target = targets[Hook.XDP]
    vector = files.read("probe/along-the-path")
    step = vector.steps[0]
    target.load(vector.entries)
    before = target.port_events().get((step.port, Event.TX), (0, 0))
    with reader(target.bench.pipeline.digests_fd) as told:
        bpf.let_in(target.program.fd, target.bench.ifindexes[step.port], step.frame)
        records = told()
    assert target.port_events()[step.port, Event.TX][0] == before[0] + 1
    path = step.frame[62:66]  # SPI and SI
    probe = step.frame[86:88]  # UDP source port of the inner packet
    assert records == [IDS["path_trace"] + step.port.to_bytes(2) + path + bytes(2) + probe]
