# SPDX-License-Identifier: Apache-2.0
"""The demonstration fails when anything did not come out as it must."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tools.demo.facts import Change, Crossing, DemoError, Moment, Outcome, verify
from tools.demo.setting import DIRECT, SWITCHED, choose
from tools.lab.web import Content

SCID = 0x5EA190BB42000123
BEFORE, AFTER = Moment(SCID, ("10.0.0.1",), ("10.0.1.1",)), Moment(SCID, ("10.0.0.1",), ("10.0.2.1",))
CHANGE = Change("the server's address is replaced", False, BEFORE, AFTER, at=0.0, took=0.001)
ROTATED = replace(AFTER, scid=SCID + 1)
ROTATION = Change("the connection gets a new SCID", True, AFTER, ROTATED, at=1.0, took=0.1)
CROSSING = Crossing(
    ("10.0.9.2",), packets=30, octets=1100, senders={"laptop": {"10.0.9.2": 20}}, scids={SCID, SCID + 1}
)
GOOD = Outcome(
    content=Content(Path("big.bin"), 1000, "aa"),
    sha256="aa",
    scid=SCID,
    changes=[CHANGE],
    sockets=["198.18.0.1:40000"],
    requests=[{"requests": 1, "status": 200}],
    quiet_gap=0.0,
    drops={},
    accounted=1040,
    crossing=None,
)
GOOD_ACROSS = replace(GOOD, changes=[CHANGE, ROTATION], crossing=CROSSING)


@pytest.mark.parametrize("outcome", [GOOD, GOOD_ACROSS])
def test_a_good_outcome(outcome: Outcome) -> None:
    verify(outcome)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"sha256": "bb"}, "the file arrived changed"),
        ({"sockets": ["198.18.0.1:40000", "198.18.0.1:40001"]}, "the TCP connection was opened again"),
        ({"sockets": []}, "the TCP connection was opened again"),
        ({"requests": [{"requests": 1, "status": 206}]}, "other than one request"),
        ({"requests": [{"requests": 1, "status": 200}] * 2}, "other than one request"),
        ({"changes": [replace(CHANGE, after=replace(AFTER, scid=1))]}, "the SCID changed"),
        ({"changes": [replace(CHANGE, after=BEFORE)]}, "still shows the locators from before"),
        ({"accounted": 999}, "accounted for 999 octets of a file of 1000"),
    ],
)
def test_a_bad_outcome(changed: dict[str, Any], expected: str) -> None:
    with pytest.raises(DemoError, match=expected):
        verify(replace(GOOD, **changed))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"changes": [CHANGE, replace(ROTATION, after=AFTER)]}, "the SCID is still"),
        ({"changes": [CHANGE, ROTATION, CHANGE]}, "before .*: the SCID changed"),
        ({"crossing": replace(CROSSING, scids={SCID, 1})}, "packets of other connections: 0000000000000001"),
        ({"crossing": replace(CROSSING, octets=999)}, "the switch relayed 999 octets of a file of 1000"),
        (
            {"crossing": replace(CROSSING, senders={"laptop": {"10.0.9.2": 9, "10.0.2.1": 1}})},
            r"not all packets came to the laptop from the switch: some were from 10\.0\.2\.1",
        ),
        ({"crossing": replace(CROSSING, senders={"laptop": {}})}, "no packets came to the laptop"),
    ],
)
def test_a_bad_outcome_across_the_switch(changed: dict[str, Any], expected: str) -> None:
    with pytest.raises(DemoError, match=expected):
        verify(replace(GOOD_ACROSS, **changed))


def test_the_switch_is_used_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose() is DIRECT
    program = tmp_path / "simple_switch_grpc"
    program.touch(mode=0o755)
    assert choose() is SWITCHED
