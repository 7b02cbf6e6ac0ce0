# SPDX-License-Identifier: Apache-2.0
"""The conformance tests test something: they notice a wrong data plane, and none is left out quietly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dataplane.bpf.hook import Hook
from moorline.wire import Event
from tools.vectors import files
from tools.vectors.bpf_target import BpfTarget
from tools.vectors.model import DirectCounter, Outcome, Vector
from tools.vectors.runner import run

ONE_HOOK_ONLY = dict.fromkeys(
    (
        *("gateway/no-neighbour", "path/no-neighbour", "path/no-route"),
        *("relay/no-neighbour", "relay/no-route"),
    ),
    ("xdp",),
)
"""The whole list of vectors that do not hold for both hooks; docs/wire-format.md says why."""


def test_vectors_hold_for_both_hooks_but_for_a_short_list() -> None:
    vectors = map(files.read, files.names())
    assert {vector.path: vector.hooks for vector in vectors if vector.hooks} == ONE_HOOK_ONLY


def _with_step(vector: Vector, expected: Outcome) -> Vector:
    return replace(vector, steps=(replace(vector.steps[0], expected=expected), *vector.steps[1:]))


def test_a_wrong_event_is_noticed(target: BpfTarget) -> None:
    vector = _with_step(files.read("connection/scid-zero"), Outcome(Event.DROP_SCID_UNKNOWN))
    assert run(vector, target) == ["step 1: DROP_SCID_ZERO instead of DROP_SCID_UNKNOWN"]


@pytest.mark.parametrize("name", ["access/ipv4-over-ipv4", "delivery/ipv6-over-ipv4"])
def test_a_wrong_octet_is_noticed(name: str, target: BpfTarget) -> None:
    vector = files.read(name)
    expected = vector.steps[0].expected
    assert expected.packet is not None
    wrong = replace(expected, packet=expected.packet[:-1] + bytes([expected.packet[-1] ^ 1]))
    (difference,) = run(_with_step(vector, wrong), target)
    assert difference.startswith("step 1: packet ")


def test_a_wrong_port_is_noticed(target: BpfTarget) -> None:
    vector = files.read("access/ipv4-over-ipv4")
    wrong = replace(vector.steps[0].expected, egress=2)
    assert run(_with_step(vector, wrong), target) == ["step 1: left by port 1 instead of 2"]


def test_a_wrong_counter_is_noticed(target: BpfTarget) -> None:
    vector = files.read("connection/scid-unknown")
    (counter,) = vector.counters
    wrong = replace(vector, counters=(DirectCounter(counter.table, counter.key, 1, 166),))
    (difference,) = run(wrong, target)
    assert difference.endswith("(0, 0) instead of (1, 166)")


def test_each_hook_has_its_own_program(targets: dict[Hook, BpfTarget]) -> None:
    frame = files.read("access/ipv4-over-ipv4").steps[0].frame
    verdicts = set()
    for target in targets.values():
        target.load(files.read("access/ipv4-over-ipv4").entries)
        verdicts.add(target.program.run(frame, target.bench.ifindexes[10])[0])
    assert len(verdicts) == 2
