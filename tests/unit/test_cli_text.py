# SPDX-License-Identifier: Apache-2.0
"""Values as operators read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorline.cli.output import Column, cell
from moorline.cli.text import address_text, parse_scid, scaled, scid_text, time_text


@given(st.integers(0, 2**64 - 1))
def test_scids_are_read_back(scid: int) -> None:
    assert parse_scid(scid_text(scid)) == scid
    assert parse_scid(f" 0x{scid:016X} ") == scid


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1_234_567, "1.23 MB"),
        (2 * 10**9, "2 GB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_scaled(value: int, expected: str) -> None:
    assert scaled(value, "B") == expected


def test_times() -> None:
    assert time_text(0) is None
    assert time_text(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123Z"


def test_addresses() -> None:
    assert address_text(b"") is None
    assert address_text(bytes([10, 0, 0, 1])) == "10.0.0.1"
    assert address_text(bytes(15) + b"\x01") == "::1"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "-"), ("", "-"), ([], "-"), (True, "yes"), (False, "no"), (["a", 1], "a, 1"), (0, "0")],
)
def test_cells(value: object, expected: str) -> None:
    assert cell(value) == expected
    assert Column("X", "x").text({"x": value}) == expected
