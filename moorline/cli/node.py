# SPDX-License-Identifier: Apache-2.0
"""``moorline node``: the agent of this machine, and the nodes of the site."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1.moorline_pb2_grpc import NodesStub
from moorline.cli import daemon
from moorline.cli.client import ask
from moorline.cli.options import Options
from moorline.cli.output import (
    Column,
    Output,
    OutputOption,
    Row,
    say,
    show_json,
    show_row,
    show_rows,
    show_table,
)
from moorline.cli.text import MAX_UINT32, time_text
from moorline.cli.views import node_row
from moorline.names import NodeName

app = typer.Typer(help="Run the agent here, or see to the nodes.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the node.")]

COLUMNS = (
    Column("NAME", "name"),
    Column("KIND", "kind"),
    Column("CONNECTED", "connected"),
    Column("CONVERGED", "converged"),
    Column("LOCATORS", lambda row: [locator["address"] for locator in row["locators"]]),
    Column("SERVICES", "services", right=True),
    Column("CONNECTIONS", "connections", right=True),
    Column("UNKNOWN SCIDS", "unknown_scids", right=True),
    Column("VERSION", "version"),
    Column("PROBLEM", "problem"),
)
PORT_COLUMNS = (
    Column("PORT", "number", right=True),
    Column("INTERFACE", "interface"),
    Column("ROLE", "role"),
    Column("HOOK", "hook"),
    Column("UP", "up"),
    Column("MTU", "mtu", right=True),
)
LOCATOR_COLUMNS = (
    Column("LOCATOR", "address"),
    Column("PORT", "port", right=True),
    Column("INTERFACE", "interface"),
    Column("MTU", "mtu", right=True),
)


@app.callback(invoke_without_command=True)
def run(ctx: typer.Context) -> None:
    """Run the agent of this machine in the foreground; or see to the nodes of the site with a command."""
    if ctx.invoked_subcommand is None:
        daemon.node(ctx)


@app.command("list")
def list_(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the nodes of the site."""
    answer = ask(ctx, lambda channel: NodesStub(channel).ListNodes, api.ListNodesRequest())
    rows = sorted(map(node_row, answer.nodes), key=lambda row: row["name"])
    show_rows(rows, COLUMNS, output, empty="No nodes yet: let one join with 'moorline node token'.")


@app.command("show")
def show(ctx: typer.Context, name: NameArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one node with its ports and locators."""
    request = api.GetNodeRequest(name=NodeName.parse(name))
    _show_one(node_row(ask(ctx, lambda channel: NodesStub(channel).GetNode, request)), output)


def _show_one(row: Row, output: Output) -> None:
    if output is Output.JSON:
        show_json(row)
        return
    show_row({k: v for k, v in row.items() if k not in ("ports", "locators")}, output)
    show_table(row["ports"], PORT_COLUMNS)
    show_table(row["locators"], LOCATOR_COLUMNS)


@app.command("set")
def set_(
    ctx: typer.Context,
    name: NameArgument,
    via: Annotated[
        str, typer.Option("--via", metavar="RELAY", help="All its connections go through this node.")
    ] = "",
    direct: Annotated[bool, typer.Option("--direct", help="Its connections go through no relay.")] = False,
    border: Annotated[
        bool | None,
        typer.Option("--border/--no-border", help="Connections change their SCID when they pass it, or not."),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Set by which way a node is reached.

    Holds for connections that are made, or rotated, from then on.
    """
    if via and direct:
        raise typer.BadParameter("give --via or --direct, not both", ctx)
    if not via and not direct and border is None:
        raise typer.BadParameter("say what to set: --via, --direct, --border or --no-border", ctx)
    request = api.SetNodeRequest(name=NodeName.parse(name), border=border)
    if via or direct:
        request.via = NodeName.parse(via) if via else ""
    _show_one(node_row(ask(ctx, lambda channel: NodesStub(channel).SetNode, request)), output)


@app.command("token")
def token(
    ctx: typer.Context,
    name: NameArgument,
    ttl: Annotated[
        int,
        typer.Option(
            "--ttl",
            min=0,
            max=MAX_UINT32,
            help="Seconds for which the token is good; 0: as the controller says.",
        ),
    ] = 0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a token with which a node may join once."""
    request = api.CreateJoinTokenRequest(node=NodeName.parse(name), ttl_seconds=ttl)
    answer = ask(ctx, lambda channel: NodesStub(channel).CreateJoinToken, request)
    if output is Output.JSON:
        show_json({"node": answer.node, "token": answer.token, "expires": time_text(answer.expires_ns)})
    else:
        say(answer.token)


@app.command("join")
def join(
    ctx: typer.Context,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="What 'moorline node token' wrote.")],
) -> None:
    """Make this machine a node, with a join token."""
    settings = Options.of(ctx).settings()
    from dataplane.agent.join import join as join_with

    name = asyncio.run(join_with(token, settings.node))
    say(f"This machine is now the node {name}: start it with 'moorline node'.")


@app.command("remove")
def remove(ctx: typer.Context, name: NameArgument) -> None:
    """Make the controller forget a node.

    Its services have to be unregistered before; its certificate is no longer accepted.
    """
    request = api.RemoveNodeRequest(name=NodeName.parse(name))
    ask(ctx, lambda channel: NodesStub(channel).RemoveNode, request)


@app.command("leave")
def leave(ctx: typer.Context) -> None:
    """Take Moorline's data plane off this machine.

    Detaches the programs and removes pins, virtual interfaces, credentials and state. Stop the agent before.
    """
    settings = daemon.logging_settings(ctx)
    from dataplane.agent.removal import remove_node_state

    asyncio.run(remove_node_state(settings.node))
