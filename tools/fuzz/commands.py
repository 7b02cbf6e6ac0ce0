# SPDX-License-Identifier: Apache-2.0
"""The command line of the fuzzer."""

from __future__ import annotations

import multiprocessing
import os
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dataplane.bpf.hook import Hook
from moorline.wire import Event
from tools.vectors.bpf_target import bpf_targets

from .drive import Driver, MismatchError, Totals

FULL = 1_050_000
"""A million for each hook: the kernel takes one frame in fifty for no test run on TC."""


def fuzz(frames: int, seed: int) -> Totals:
    """Play this many frames to both hooks; raises :class:`MismatchError`."""
    with bpf_targets() as targets:
        driver = Driver(targets, seed)
        driver.run(frames)
        return driver.totals


def main() -> None:
    """Run the command line."""
    typer.run(_command)


def _command(
    frames: Annotated[int, typer.Option(help="Frames in all, each to both hooks.")] = FULL,
    seed: Annotated[int, typer.Option(help="Same seed, same frames.")] = 1,
    jobs: Annotated[int, typer.Option(help="Processes.")] = os.cpu_count() or 1,
) -> None:
    """Fuzz the XDP and TC programs; exit code 1 at the first frame that goes another way than the rules."""
    started = time.monotonic()
    shares = [frames // jobs + (number < frames % jobs) for number in range(jobs)]
    totals = Totals()
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        work = [pool.apply_async(fuzz, (share, seed + number)) for number, share in enumerate(shares)]
        try:
            for part in work:
                totals.add(part.get())
        except MismatchError as mismatch:
            typer.echo(str(mismatch), err=True)
            raise typer.Exit(1) from None
    _show(totals, time.monotonic() - started)


def _show(totals: Totals, seconds: float) -> None:
    table = Table("event", *(str(hook) for hook in Hook), title="What became of the frames")
    for event in Event:
        counts = [totals.events[hook, event] for hook in Hook]
        if any(counts):
            table.add_row(event.name.lower(), *(f"{count:,}" for count in counts))
    table.add_row("(no test run)", *(f"{totals.refused[hook]:,}" for hook in Hook))
    table.add_row("in all", *(f"{totals.frames[hook] + totals.refused[hook]:,}" for hook in Hook))
    console = Console()
    console.print(table)
    console.print(f"{sum(totals.frames.values()):,} test runs in {seconds:.0f} s, all as the rules say")
