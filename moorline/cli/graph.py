# SPDX-License-Identifier: Apache-2.0
"""``moorline graph``: flows led through feature peers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from moorline.addresses import packed
from moorline.api.v1 import graphs_pb2 as api
from moorline.api.v1.graphs_pb2_grpc import GraphsStub
from moorline.cli.client import ask
from moorline.cli.files import read_text
from moorline.cli.graph_views import graph_change_row, graph_row, shortcut_row, trace_row
from moorline.cli.output import (
    Column,
    Output,
    OutputOption,
    cell,
    say,
    show_json,
    show_row,
    show_rows,
    show_table,
)
from moorline.errors import MoorlineError

app = typer.Typer(help="Service graphs: flows led through feature peers.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the graph.")]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="File of the graph, YAML.")]

MAX_FILE: Final = 256 * 1024
"""Octets of a graph's file."""

COLUMNS = (
    Column("NAME", "name"),
    Column("PRIORITY", "priority", right=True),
    Column("TENANT", "tenant", right=True),
    Column("PATHS", lambda row: len(row["paths"]), right=True),
    Column("PACKETS", lambda row: sum(path["packets"] for path in row["paths"]), right=True),
    Column("APPLIES TO", "applies"),
)
CHANGE_COLUMNS = (Column("WHAT", "what"), Column("BEFORE", "before"), Column("AFTER", "after"))
PATH_COLUMNS = (
    Column("PATH", "path"),
    Column("SPI", "spi", right=True),
    Column("MTU", "mtu", right=True),
    Column("WHEN", "conditions"),
    Column("PACKETS", "packets", right=True),
    Column("BYTES", "bytes", right=True),
    Column("SHORT-CUT", "shortcut_packets", right=True),
)
HOP_COLUMNS = (
    Column("PATH", "path"),
    Column("INDEX", "index", right=True),
    Column("PEERS", "kind"),
    Column("FAIL", "fail"),
    Column("INSTANCE", "instance"),
    Column("NODE", "node"),
    Column("STATE", "state"),
    Column("BUCKETS", "buckets", right=True),
    Column("PACKETS", "packets", right=True),
    Column("BYTES", "bytes", right=True),
)
STEP_COLUMNS = (
    Column("INDEX", "index", right=True),
    Column("NODE", "node"),
    Column("NEXT", lambda row: row["kind"] or "end"),
    Column("INSTANCE", lambda row: row["instance"] or ("passed on" if row["kind"] else None)),
    Column("MS", lambda row: f"{row['microseconds'] / 1000:.1f}", right=True),
)
SHORTCUT_COLUMNS = (
    Column("GRAPH", "graph"),
    Column("SOURCE", lambda row: _end(row, "source")),
    Column("DESTINATION", lambda row: _end(row, "destination")),
    Column("PROTOCOL", "protocol", right=True),
    Column("UNTIL", lambda row: row["until"] or "end"),
    Column("PACKETS", "packets", right=True),
    Column("BACK", "packets_back", right=True),
    Column("ASKED BY", "requester"),
)


@app.command("apply")
def apply(ctx: typer.Context, file: FileArgument, output: OutputOption = Output.TABLE) -> None:
    """Lead packets as a file says; done when they are.

    A graph of this name that is there already is changed without the loss of a packet.
    """
    answer = ask(ctx, lambda channel: GraphsStub(channel).ApplyGraph, _request(file))
    changes = [graph_change_row(change) for change in answer.changes]
    if output is Output.JSON:
        show_json({"graph": graph_row(answer.graph), "changes": changes})
        return
    show_rows(changes, CHANGE_COLUMNS, output, empty=f"Graph {answer.graph.name} is so already.")


@app.command("diff")
def diff(ctx: typer.Context, file: FileArgument, output: OutputOption = Output.TABLE) -> None:
    """Show what applying a file would change, and whether it could be."""
    answer = ask(ctx, lambda channel: GraphsStub(channel).DiffGraph, _request(file))
    changes = [graph_change_row(change) for change in answer.changes]
    show_rows(changes, CHANGE_COLUMNS, output, empty="Nothing would change.")


@app.command("list")
def list_(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the graphs of the site."""
    answer = ask(ctx, lambda channel: GraphsStub(channel).ListGraphs, api.ListGraphsRequest())
    rows = [graph_row(graph) for graph in answer.graphs]
    show_rows(rows, COLUMNS, output, empty="No graphs yet: apply a file with 'moorline graph apply'.")


@app.command("show")
def show(ctx: typer.Context, name: NameArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one graph: its paths, their peers, and what went there."""
    row = graph_row(ask(ctx, lambda channel: GraphsStub(channel).GetGraph, api.GetGraphRequest(name=name)))
    if output is Output.JSON:
        show_json(row)
        return
    show_row(row, output, hidden=("paths",))
    show_table(row["paths"], PATH_COLUMNS)
    show_table([hop for path in row["paths"] for hop in _hop_rows(path)], HOP_COLUMNS)


@app.command("delete")
def delete(ctx: typer.Context, name: NameArgument) -> None:
    """Delete a graph: packets go as if it had never been."""
    ask(ctx, lambda channel: GraphsStub(channel).DeleteGraph, api.DeleteGraphRequest(name=name))


@app.command("trace")
def trace(
    ctx: typer.Context,
    name: NameArgument,
    path: Annotated[
        str, typer.Option("--path", metavar="PATH", help="Only this path, as 'graph show' names it.")
    ] = "",
    customer: Annotated[
        str,
        typer.Option("--customer", metavar="ADDRESS", help="Whose packet it is; by it instances are chosen."),
    ] = "",
    server: Annotated[
        str, typer.Option("--server", metavar="ADDRESS", help="The other end of the packet.")
    ] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Send a packet along each path, and show where it was seen; fails when it does not come to the end."""
    request = api.TraceGraphRequest(
        name=name, path=path, customer=_address(customer), server=_address(server)
    )
    answer = ask(ctx, lambda channel: GraphsStub(channel).TraceGraph, request)
    rows = [trace_row(found) for found in answer.traces]
    if output is Output.JSON:
        show_json(rows)
    else:
        for row in rows:
            say(f"{row['path']}: from {cell(row['source'])} to {cell(row['destination'])}")
            if row["steps"]:
                show_table(row["steps"], STEP_COLUMNS)
    lost = [row for row in rows if not row["reached"]]
    if lost:
        raise MoorlineError(f"path {lost[0]['path']} of graph {name}: {lost[0]['problem']}")


@app.command("shortcuts")
def shortcuts(
    ctx: typer.Context,
    graph: Annotated[str, typer.Option("--graph", metavar="NAME", help="Only those of this graph.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """List the flows that pass peers by."""
    request = api.ListShortcutsRequest(graph=graph)
    answer = ask(ctx, lambda channel: GraphsStub(channel).ListShortcuts, request)
    rows = [shortcut_row(shortcut) for shortcut in answer.shortcuts]
    show_rows(rows, SHORTCUT_COLUMNS, output, empty="No short-cuts now.")


def _request(file: Path) -> api.ApplyGraphRequest:
    return api.ApplyGraphRequest(text=read_text(file, "graph", MAX_FILE), source=str(file))


def _address(text: str) -> bytes:
    return packed(text) if text else b""


def _hop_rows(path: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for hop in path["hops"]:
        shared = {"path": path["path"], "index": hop["index"], "kind": hop["kind"], "fail": hop["fail"]}
        for instance in hop["instances"] or [{}]:
            named = {"instance": instance.get("name")}
            rows.append(
                dict.fromkeys(("node", "state", "buckets", "packets", "bytes")) | instance | shared | named
            )
    return rows


def _end(row: Mapping[str, Any], which: str) -> str:
    port = row[f"{which}_port"]
    address = row[which]
    if port is None:
        return str(address)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
