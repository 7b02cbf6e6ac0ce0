# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.bench [--only NAME]``: run the benchmarks and write ``build/bench.json``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tools.bench import catalogue
from tools.bench.report import Row, merge

OUTPUT = Path("build/bench.json")


def _selected(only: str | None) -> Sequence[tuple[Callable[[], list[Row]], tuple[str, ...]]]:
    if only is None:
        return catalogue.BENCHMARKS
    chosen = [(run, names) for run, names in catalogue.BENCHMARKS if only in names]
    if not chosen:
        known = ", ".join(name for _, names in catalogue.BENCHMARKS for name in names)
        sys.exit(f"no benchmark is named {only!r}; known are {known}")
    return chosen


def _print(console: Console, rows: Sequence[Row]) -> None:
    table = Table("name", "value", "unit", "peer", "ratio")
    for row in rows:
        table.add_row(row.name, f"{row.value:.4g}", row.unit, row.peer, f"{row.ratio:.4g}")
    console.print(table)


def main() -> None:
    """Entry of the command."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="measure only the benchmark that yields this row")
    arguments = parser.parse_args()
    console = Console()
    rows: list[Row] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for run, names in _selected(arguments.only or None):
            task = progress.add_task(", ".join(names), total=1)
            rows += run()
            merge(OUTPUT, rows)
            progress.advance(task)
    _print(console, rows)


if __name__ == "__main__":
    main()
