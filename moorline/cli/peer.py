# SPDX-License-Identifier: Apache-2.0
"""``moorline peer``: the feature peers of the site."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from moorline.api.v1 import peers_pb2 as api
from moorline.api.v1.peers_pb2_grpc import FeaturePeersStub
from moorline.cli.client import ask
from moorline.cli.graph_views import peer_row
from moorline.cli.output import Column, Output, OutputOption, show_json, show_row, show_rows, show_table
from moorline.names import NodeName

app = typer.Typer(
    help="Feature peers: firewalls, caches and the like that paths lead through.", no_args_is_help=True
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the peer.")]

COLUMNS = (
    Column("NAME", "name"),
    Column("KIND", "kind"),
    Column("NODE", "node"),
    Column("STATE", "state"),
    Column("SPARE", "spare"),
    Column("PORTS", lambda row: [port["interface"] or port["number"] for port in row["ports"]]),
    Column("HEADER", "header"),
    Column("PROBLEM", "problem"),
)
PORT_COLUMNS = (
    Column("PORT", "number", right=True),
    Column("INTERFACE", "interface"),
    Column("MAC", "mac"),
    Column("PORT MAC", "port_mac"),
)


@app.command("list")
def list_(
    ctx: typer.Context,
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="Only peers of this kind.")] = "",
    node: Annotated[str, typer.Option("--node", metavar="NODE", help="Only peers at this node.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """List the feature peers of the site."""
    request = api.ListFeaturePeersRequest(kind=kind, node=NodeName.parse(node) if node else "")
    answer = ask(ctx, lambda channel: FeaturePeersStub(channel).ListFeaturePeers, request)
    rows = [peer_row(peer) for peer in answer.peers]
    show_rows(rows, COLUMNS, output, empty="No feature peers: add some as [[node.peer]] to a node's file.")


@app.command("show")
def show(ctx: typer.Context, name: NameArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one feature peer with its ports."""
    request = api.GetFeaturePeerRequest(name=name)
    _show(ask(ctx, lambda channel: FeaturePeersStub(channel).GetFeaturePeer, request), output)


@app.command("drain")
def drain(
    ctx: typer.Context,
    name: NameArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Let it have traffic again.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Move the traffic of a feature peer to others of its kind, before it is stopped, say."""
    request = api.DrainFeaturePeerRequest(name=name, drain=not undo)
    _show(ask(ctx, lambda channel: FeaturePeersStub(channel).DrainFeaturePeer, request), output)


def _show(status: api.FeaturePeerStatus, output: Output) -> None:
    row: dict[str, Any] = peer_row(status)
    if output is Output.JSON:
        show_json(row)
        return
    show_row(row, output, hidden=("ports",))
    show_table(row["ports"], PORT_COLUMNS)
