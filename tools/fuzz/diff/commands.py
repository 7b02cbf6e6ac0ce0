# SPDX-License-Identifier: Apache-2.0
"""The command line of the differential fuzzer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from moorline.wire import Event
from tools.lab.cleanup import interruptible
from tools.lab.switch import PROGRAM, find_switch

from .drive import Driver, Totals, judging
from .keep import keep
from .minimise import kind, minimise

FRAMES = 100_000
MOST = 10
"""Kinds of differences after which a run ends."""


def main() -> None:
    """Run the command line."""
    typer.run(_command)


def _command(
    frames: Annotated[int, typer.Option(help="Frames in all, each to every target.")] = FRAMES,
    seed: Annotated[int, typer.Option(help="Same seed, same entries and frames.")] = 1,
    root: Annotated[Path, typer.Option(help="Where cases go.")] = Path("build"),
) -> None:
    """Compare XDP, TC and BMv2 (as root); exit code 1 when they differ without an explanation."""
    if find_switch() is None:
        typer.echo(f"{PROGRAM} is not on the PATH: install BMv2 to compare with it", err=True)
        raise typer.Exit(2)
    started = time.monotonic()
    kinds: set[str] = set()
    with interruptible(), judging() as judge:
        driver = Driver(judge, seed)
        for case in driver.run(frames):
            small = minimise(case, judge.difference) if kind(case.difference) not in kinds else case
            kinds |= {kind(case.difference), kind(small.difference)}
            if small is not case or "only in its window" in case.difference:
                typer.echo(f"{small.difference}\n  port {small.port}: {small.frame.hex()}")
                typer.echo(f"  kept as {keep(small, root)}: python -m tools.vectors compare --root {root}")
            if len(kinds) >= MOST:
                break
    _show(driver.totals, time.monotonic() - started)
    raise typer.Exit(1 if kinds else 0)


def _show(totals: Totals, seconds: float) -> None:
    table = Table("event", "frames", title="What became of the frames")
    for event in Event:
        if totals.events[event]:
            table.add_row(event.name.lower(), f"{totals.events[event]:,}")
    console = Console()
    console.print(table)
    rate = totals.frames / seconds
    console.print(
        f"{totals.frames:,} frames, {totals.scenes} sets of entries, {seconds:.0f} s ({rate:,.0f} a second)"
    )
