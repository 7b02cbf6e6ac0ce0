# SPDX-License-Identifier: Apache-2.0
"""The commands ``make``, ``show``, ``run`` and ``compare`` of the vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import indent
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from scapy.layers.l2 import Ether

from . import files
from .cases import vectors
from .compare import NOTHING, differing, observe, packets_text
from .model import Value, Vector
from .runner import applies, run
from .target import Target, TargetName

app = typer.Typer(help="Conformance vectors: make, show, run and compare them.", no_args_is_help=True)
Names = Annotated[list[str] | None, typer.Argument(help="concern/name or concern; all when left out")]
Root = Annotated[Path, typer.Option(help="Where the vectors are.")]
On = Annotated[
    list[TargetName] | None, typer.Option(help="xdp, tc or bmv2; all that this machine has when left out.")
]


@app.command()
def make() -> None:
    """Write all vectors to pcaps/ and remove those that are no more."""
    typer.echo(f"{files.write(vectors())} vectors in {files.ROOT}")


@app.command()
def show(names: Names = None, root: Root = files.ROOT) -> None:
    """Print vectors as text, each packet decoded by scapy; without names, one line for each."""
    for name in _chosen(names, root):
        vector = files.read(name, root)
        typer.echo(f"{name}: {vector.description} (rule {vector.rule})")
        if names:
            _show_vector(vector)


@app.command("run")
def run_command(names: Names = None, on: On = None, root: Root = files.ROOT) -> None:
    """Run vectors on XDP, TC and BMv2 (as root); exit code 1 when any differs from what it expects."""
    from .targets import targets  # noqa: PLC0415 (needs BPF, other commands do not)

    failed = 0
    with targets(_present(on)) as opened:
        for name in _chosen(names, root):
            vector = files.read(name, root)
            for target in opened:
                if not applies(vector, target):
                    continue
                differences = run(vector, target)
                failed += bool(differences)
                typer.echo(f"{'FAIL' if differences else 'ok  '} {target.hook:4} {name}")
                for difference in differences:
                    typer.echo(f"       {difference}")
    raise typer.Exit(1 if failed else 0)


@app.command()
def compare(names: Names = None, on: On = None, root: Root = files.ROOT) -> None:
    """Lay what XDP, TC and BMv2 do side by side (as root); exit code 1 when they differ without a reason."""
    from .targets import targets  # noqa: PLC0415 (needs BPF, other commands do not)

    unexplained = 0
    with targets(_present(on)) as opened:
        for name in _chosen(names, root):
            vector = files.read(name, root)
            unexplained += _compare(vector, [target for target in opened if applies(vector, target)])
    typer.echo(f"{unexplained} vectors without an explanation for their differences")
    raise typer.Exit(1 if unexplained else 0)


def _present(on: list[TargetName] | None) -> list[TargetName]:
    """The targets that were asked for, or those that are there; what is missing is said."""
    from .targets import why_missing  # noqa: PLC0415 (needs BPF, other commands do not)

    wanted = on or list(TargetName)
    for name in wanted:
        if why_missing(name):
            typer.echo(f"{name} is left out: {why_missing(name)}", err=True)
    return [name for name in wanted if not why_missing(name)]


def _chosen(names: list[str] | None, root: Path) -> list[str]:
    every = files.names(root)
    if not names:
        return every
    chosen = [name for name in every if name in names or name.partition("/")[0] in names]
    if not chosen:
        raise typer.BadParameter(
            f"no vector is named {', '.join(names)}; python -m tools.vectors show lists them"
        )
    return chosen


def _show_vector(vector: Vector) -> None:
    for entry in vector.entries:
        priority = f" (priority {entry.priority})" if entry.priority else ""
        says = f"{entry.action} {_values(entry.params)}".rstrip()
        typer.echo(f"  {entry.table} {_values(entry.key)}{priority} -> {says}")
    for number, step in enumerate(vector.steps, start=1):
        expected = step.expected
        typer.echo(f"  step {number}: arrives at port {step.port}, {expected.event.name}")
        typer.echo(_decoded(step.frame))
        if expected.packet is not None:
            typer.echo(f"  leaves by port {expected.egress}:")
            typer.echo(_decoded(expected.packet))
        if expected.packet_in is not None:
            typer.echo(f"  packet-in, MTU {expected.packet_in.mtu}")
    for counter in vector.counters:
        typer.echo(
            f"  counter {counter.table} {_values(counter.key)}: {counter.packets} ({counter.bytes} octets)"
        )
    if vector.hooks:
        typer.echo(f"  holds for {', '.join(vector.hooks)} alone")
    for target, event in vector.differs.items():
        typer.echo(f"  on {target}: {event.name}")
    if vector.why:
        typer.echo(f"  because {vector.why}")


def _values(values: Mapping[str, Value]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())


def _decoded(frame: bytes) -> str:
    return indent(str(Ether(frame).show(dump=True)), "    ")


def _compare(vector: Vector, targets: Sequence[Target]) -> bool:
    """Print what targets do with a vector; whether they differ and it does not say so."""
    complete = all(target.frames_complete for target in targets)
    arrivals = [(step.port, step.frame) for step in vector.steps]
    seen = [observe(target, vector.entries, arrivals, complete) for target in targets]
    names = [target.hook for target in targets]
    different = differing(seen)
    if not different:
        typer.echo(f"same      {vector.path} on {', '.join(names)}")
        return False
    typer.echo(
        f"{'explained' if vector.differs else 'DIFFERENT'} {vector.path}: {vector.why or vector.description}"
    )
    table = Table("what", *names)
    for fact in different:
        if not fact.endswith(" packet"):
            table.add_row(fact, *(facts.get(fact, NOTHING) for facts in seen))
    if table.rows:
        Console().print(table)
    for fact in different:
        if fact.endswith(" packet"):
            typer.echo(f"  {fact}")
            typer.echo(packets_text(names, [facts.get(fact, NOTHING) for facts in seen], complete))
    return not vector.differs


def main() -> None:
    """Run the command line."""
    app()
