# SPDX-License-Identifier: Apache-2.0
"""A short run of the differential fuzzer (``make fuzz-diff`` is a long one), and what it does with a find."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataplane.bpf.hook import Hook
from moorline.wire import Event
from tools.contract import P4, SWITCH
from tools.fuzz.diff.drive import Case, Driver, Judge
from tools.fuzz.diff.keep import keep
from tools.fuzz.diff.minimise import kind, minimise
from tools.vectors import files
from tools.vectors.bmv2_target import Bmv2Target, bmv2_target
from tools.vectors.bpf_target import BpfTarget
from tools.vectors.entries import BASE
from tools.vectors.runner import run

pytestmark = pytest.mark.bmv2

FRAMES = 4_000
SEED = 3
KNOWN = "userMetadata.known"
"""The header that is never on the wire."""

TTL = re.compile(r'(_departure_ttl\d*"\]}, {"type": "hexstr", "value": )"0x40"')
"""The TTL of an outer header, as the compiled program has it."""


def judge(targets: dict[Hook, BpfTarget], switch: Bmv2Target) -> Judge:
    return Judge([targets[Hook.XDP], targets[Hook.TC]], switch)


def test_all_targets_do_the_same(targets: dict[Hook, BpfTarget], bmv2: Bmv2Target) -> None:
    driver = Driver(judge(targets, bmv2), SEED)
    assert [case.difference for case in driver.run(FRAMES)] == []
    assert driver.totals.frames == FRAMES
    assert len(driver.totals.events) > 25


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Bmv2Target]:
    """A switch that sends packets with another TTL than the hosts."""
    program, places = TTL.subn(r'\1"0x3f"', (P4 / SWITCH).read_text())
    assert places
    altered = tmp_path / "altered.json"
    altered.write_text(program)
    json.loads(altered.read_text())
    with bmv2_target(altered) as target:
        yield target


def test_a_difference_is_found_and_minimised_and_kept(
    targets: dict[Hook, BpfTarget], broken: Bmv2Target, bmv2: Bmv2Target, tmp_path: Path
) -> None:
    both = judge(targets, broken)
    case = next(Driver(both, SEED).run(1_000))
    assert "packets from port" in case.difference

    small = minimise(case, both.difference)
    assert kind(small.difference) == kind(case.difference)
    assert len(small.entries) == 4, "roles, and the connection's way out"
    assert {entry.table for entry in small.entries} == {"port_role", "connection", "locator", "uplink"}
    assert len(small.frame) <= len(case.frame)

    vector = files.read(keep(small, tmp_path), tmp_path)
    assert vector.steps[0].expected.event is Event.TX
    assert run(vector, targets[Hook.XDP]) == run(vector, bmv2) == []
    assert run(vector, broken)[0].startswith("step 1: packet ")


@pytest.fixture
def noisy(tmp_path: Path) -> Iterator[Bmv2Target]:
    """A switch on which all that is not on the wire begins as noise, as if left by another packet.

    Small numbers, which are kinds, nodes and ports.
    """
    program = json.loads((P4 / SWITCH).read_text())
    types = {kind["name"]: kind["fields"] for kind in program["header_types"]}
    fields = next(types[header["header_type"]] for header in program["headers"] if header["name"] == KNOWN)
    parser = program["parsers"][0]
    begin = next(state for state in parser["parse_states"] if state["name"] == parser["init_state"])
    assert begin["parser_ops"][0]["parameters"][0]["parameters"][0]["value"] == KNOWN, "it becomes valid"
    noise = random.Random(SEED)
    begin["parser_ops"][1:1] = [
        {
            "op": "set",
            "parameters": [
                {"type": "field", "value": [KNOWN, name]},
                {"type": "hexstr", "value": hex(noise.randrange(1, 1 << min(bits, 3)))},
            ],
        }
        for name, bits, _ in fields
    ]
    altered = tmp_path / "noisy.json"
    altered.write_text(json.dumps(program))
    with bmv2_target(altered) as target:
        yield target


def test_nothing_depends_on_what_another_packet_left(
    targets: dict[Hook, BpfTarget], noisy: Bmv2Target
) -> None:
    case = next(Driver(judge(targets, noisy), SEED).run(2_000), None)
    assert case is None, case.difference


def test_counters_are_compared(
    targets: dict[Hook, BpfTarget], bmv2: Bmv2Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Bmv2Target.direct_counter

    def mistaken(self: Bmv2Target, table: str, key: dict[str, int | str], priority: int) -> object:
        count = counter(self, table, key, priority)
        return count._replace(packets=0, bytes=0) if table == "terminate" else count

    both = judge(targets, bmv2)
    sent = files.read("delivery/ipv4-over-ipv4").steps[0]
    assert both.difference(BASE, sent.port, sent.frame) == ""
    monkeypatch.setattr(Bmv2Target, "direct_counter", mistaken)
    difference = both.difference(BASE, sent.port, sent.frame)
    assert difference == f"xdp and bmv2: counter of terminate: (1, {len(sent.frame)}), (0, 0)"


def test_a_case_that_is_none_stays_as_it_is(targets: dict[Hook, BpfTarget], bmv2: Bmv2Target) -> None:
    both = judge(targets, bmv2)
    sent = files.read("delivery/ipv4-over-ipv4").steps[0]
    case = Case(BASE, sent.port, sent.frame, "only in its window: packet-ins")
    assert minimise(case, both.difference) == case
