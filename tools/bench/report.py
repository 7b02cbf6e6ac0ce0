# SPDX-License-Identifier: Apache-2.0
"""What a benchmark yields, and the file that keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    ``value`` is in ``unit``; ``peer`` says beside what it was measured and ``ratio`` is the figure that a
    target speaks of, for a row without a peer the value itself.
    """

    name: str
    value: float
    unit: str
    peer: str
    ratio: float


def merge(path: Path, rows: Iterable[Row]) -> None:
    """Write ``rows`` to ``path``; rows of other names stay, so that one can be measured alone."""
    known: dict[str, dict[str, object]] = {}
    if path.exists():
        known = {row["name"]: row for row in json.loads(path.read_text())}
    known |= {row.name: asdict(row) for row in rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([known[name] for name in sorted(known)], indent=1) + "\n")
