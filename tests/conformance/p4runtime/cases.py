# SPDX-License-Identifier: Apache-2.0
"""The cases by name, and the table of deviations that stands in the documentation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from tests.conformance.p4runtime.session import Session

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "p4runtime.md"
HEADER: Final = ["request", "specification", "agent", "BMv2", "why"]
AS_SPECIFIED: Final = "="
"""In a cell: the server does as the specification says."""


class Case(NamedTuple):
    """A request, or a few, told as one text; ``specified`` is the text that the specification wants.

    ``ruins``: a switch has to be started anew afterwards; ``docs/p4runtime.md`` says why.
    """

    name: str
    specified: str
    ask: Callable[[Session], str]
    ruins: bool


class Deviation(NamedTuple):
    """A row of the table: what each server answers."""

    specified: str
    agent: str
    bmv2: str


CASES: Final[dict[str, Case]] = {}


def case(
    name: str, specified: str, ruins: bool = False
) -> Callable[[Callable[[Session], str]], Callable[[Session], str]]:
    """Adds a case to the suite."""

    def add(ask: Callable[[Session], str]) -> Callable[[Session], str]:
        assert name not in CASES, f"two cases are named {name}"
        CASES[name] = Case(name, specified, ask, ruins)
        return ask

    return add


def deviations() -> dict[str, Deviation]:
    """The rows of the table in the documentation, by the case's name."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith("|")
    ]
    tables = [number for number, row in enumerate(rows) if row == HEADER]
    assert len(tables) == 1, f"{DOCUMENT} must have one table with the columns {HEADER}"
    found = {}
    for name, specified, agent, bmv2, why in rows[tables[0] + 2 :]:
        assert why, f"{DOCUMENT}: the row {name} does not say why"
        assert name not in found, f"{DOCUMENT} has two rows {name}"
        found[name] = Deviation(*(cell.strip("`") for cell in (specified, agent, bmv2)))
    return found
