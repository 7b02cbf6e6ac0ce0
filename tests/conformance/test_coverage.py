# SPDX-License-Identifier: Apache-2.0
"""The conformance tests test something: they notice a wrong data plane, and none is left out quietly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dataplane.bpf.hook import Hook
from moorline.wire import Event
from tools.lab.errors import LabError
from tools.vectors import files
from tools.vectors.bmv2_target import Bmv2Target
from tools.vectors.bpf_target import BpfTarget
from tools.vectors.model import DirectCounter, Outcome, Vector
from tools.vectors.runner import run

NO_NEIGHBOUR = ("gateway/no-neighbour", "path/no-neighbour", "relay/no-neighbour")
NO_ROUTE = ("path/no-route", "relay/no-route")
NOT_ON_ALL = {
    **dict.fromkeys((*NO_NEIGHBOUR, *NO_ROUTE), ("xdp", "bmv2")),
    "gateway/to-the-gateway-itself": ("xdp", "tc"),
    "link/truncated-vlan-tag": ("xdp", "tc"),
}
"""The whole list of other vectors that do not hold for all targets; docs/wire-format.md says why."""
OF_GRAPHS = {"service", "peer", "edge", "device", "probe", "seed004"}
"""Concerns of service graphs, of which TC knows what a service connection needs."""
ONLY_ON = {
    "edge/to-the-node-itself": ("xdp",),
    "peer/port-gone": ("xdp",),
    "service/tc-from-underlay": ("tc",),
    "service/tc-to-peer": ("tc",),
}
FROM_ACCESS = {
    f"service/{name}"
    for name in (
        "connection-to-node",
        "connection-to-group",
        "connection-end",
        "connection-dropped",
        "connection-too-big",
        "connection-from-gateway",
        "delivered-from-any-node",
    )
}
"""What TC knows of them."""
PORT_GONE = ("connection/access-port-gone", "gateway/local-port-gone", "path/port-gone", "relay/port-gone")
NO_NEXT_HOP = {*NO_ROUTE, *PORT_GONE, "edge/route-port-gone", "service/port-gone", "service/end-port-gone"}
"""The whole list of those that come to another event on BMv2; docs/wire-format.md says why."""


def test_vectors_hold_for_all_targets_but_for_a_short_list() -> None:
    vectors = [*map(files.read, files.names())]
    graphs = {vector.path: vector.hooks for vector in vectors if vector.concern in OF_GRAPHS}
    expected = {
        path: ONLY_ON.get(path, ("tc", "xdp", "bmv2") if path in FROM_ACCESS else ("xdp", "bmv2"))
        for path in graphs
    }
    assert graphs == expected
    others = [vector for vector in vectors if vector.concern not in OF_GRAPHS]
    assert {vector.path: vector.hooks for vector in others if vector.hooks} == NOT_ON_ALL
    assert {vector.path for vector in vectors if vector.differs} == NO_NEXT_HOP
    for vector in vectors:
        assert set(vector.differs.items()) <= {("bmv2", Event.DROP_NO_NEIGHBOUR)}
        assert bool(vector.why) == bool(vector.hooks or vector.differs)


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


@pytest.mark.bmv2
def test_bmv2_is_judged_by_the_same_runner(bmv2: Bmv2Target) -> None:
    sent = files.read("access/ipv4-over-ipv4")
    expected = sent.steps[0].expected
    assert expected.packet is not None
    for wrong, noticed in (
        (Outcome(Event.DROP_TENANT), "TX instead of DROP_TENANT"),
        (replace(expected, packet=expected.packet[:-1] + b"?"), "packet "),
        (replace(expected, egress=2), "left by port 1 instead of 2"),
    ):
        (difference,) = run(_with_step(sent, wrong), bmv2)
        assert difference.startswith(f"step 1: {noticed}")
    missed = files.read("access/connection-miss")
    packet_in = missed.steps[0].expected.packet_in
    assert packet_in is not None
    wrong = replace(missed.steps[0].expected, packet_in=replace(packet_in, mtu=1))
    assert run(_with_step(missed, wrong), bmv2)[0].startswith("step 1: PacketIn(")
    counter = DirectCounter("scid", sent.entries[10].key, 1, 1)
    assert "counter of" in run(replace(sent, counters=(counter,)), bmv2)[0]


@pytest.mark.bmv2
def test_a_lost_packet_is_told(bmv2: Bmv2Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.vectors.bmv2_target.PATIENCE_SECONDS", 0.05)
    sent = files.read("access/ipv4-over-ipv4")
    bmv2.load(sent.entries)
    with pytest.raises(LabError, match="in vain until the switch counted 1 frames"):
        bmv2.send(10, sent.steps[0].frame[:12] + b"\x81\0\0")
