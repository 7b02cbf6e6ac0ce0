# SPDX-License-Identifier: Apache-2.0
"""The demonstration fails when anything did not come out as it must."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tools.demo.facts import Change, DemoError, Moment, Outcome, verify
from tools.lab.web import Content

SCID = 0x5EA190BB42000123
BEFORE, AFTER = Moment(SCID, ("10.0.0.1",), ("10.0.1.1",)), Moment(SCID, ("10.0.0.1",), ("10.0.2.1",))
CHANGE = Change("the server's address is replaced", BEFORE, AFTER, at=0.0, took=0.001)
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
)


def test_a_good_outcome() -> None:
    verify(GOOD)


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
