# SPDX-License-Identifier: Apache-2.0
"""The commands ``make``, ``show`` and ``run`` of the vectors."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer
from scapy.layers.l2 import Ether

from dataplane.bpf.hook import Hook

from . import files
from .cases import vectors
from .model import Vector
from .runner import applies, run

app = typer.Typer(help="Conformance vectors: make, show and run them.", no_args_is_help=True)
Names = Annotated[list[str] | None, typer.Argument(help="concern/name or concern; all when left out")]


@app.command()
def make() -> None:
    """Write all vectors to pcaps/ and remove those that are no more."""
    typer.echo(f"{files.write(vectors())} vectors in {files.ROOT}")


@app.command()
def show(names: Names = None) -> None:
    """Print vectors as text, each packet decoded by scapy; without names, one line for each."""
    for name in _chosen(names):
        vector = files.read(name)
        typer.echo(f"{name}: {vector.description} (rule {vector.rule})")
        if names:
            _show_steps(vector)


@app.command("run")
def run_command(
    names: Names = None,
    hook: Annotated[Hook | None, typer.Option(help="Only this hook.")] = None,
) -> None:
    """Run vectors on this machine's BPF (as root); exit code 1 when any differs."""
    from .bpf_target import bpf_targets  # noqa: PLC0415 (needs BPF, the other commands do not)

    failed = 0
    with ExitStack() as stack:
        targets = stack.enter_context(bpf_targets([hook] if hook else list(Hook)))
        for name in _chosen(names):
            vector = files.read(name)
            for target in targets:
                if not applies(vector, target):
                    continue
                differences = run(vector, target)
                failed += bool(differences)
                typer.echo(f"{'FAIL' if differences else 'ok  '} {target.hook:3} {name}")
                for difference in differences:
                    typer.echo(f"       {difference}")
    raise typer.Exit(1 if failed else 0)


def _chosen(names: list[str] | None) -> list[str]:
    every = files.names()
    if not names:
        return every
    chosen = [name for name in every if name in names or name.partition("/")[0] in names]
    if not chosen:
        raise typer.BadParameter(
            f"no vector is named {', '.join(names)}; python -m tools.vectors show lists them"
        )
    return chosen


def _show_steps(vector: Vector) -> None:
    for entry in vector.entries:
        typer.echo(f"  {entry.table} {dict(entry.key)} -> {entry.action} {dict(entry.params)}")
    for number, step in enumerate(vector.steps, start=1):
        expected = step.expected
        typer.echo(f"  step {number}: port {step.port}, {expected.event.name}")
        typer.echo(Ether(step.frame).show(dump=True))
        if expected.packet is not None:
            typer.echo(f"  leaves by port {expected.egress}:")
            typer.echo(Ether(expected.packet).show(dump=True))
        if expected.packet_in is not None:
            typer.echo(f"  packet-in: {expected.packet_in}")


def main() -> None:
    """Run the command line."""
    app()
