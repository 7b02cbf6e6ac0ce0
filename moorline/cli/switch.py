# SPDX-License-Identifier: Apache-2.0
"""``moorline switch``: P4 switches of the site, which have no agent."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1.moorline_pb2_grpc import NodesStub
from moorline.cli import daemon
from moorline.cli.client import CALL_SECONDS, ask, controller_channel
from moorline.cli.options import Options
from moorline.cli.output import Column, Output, OutputOption, show_json, show_row, show_rows, show_table
from moorline.cli.switch_file import add_request, read_file
from moorline.cli.text import MAX_UINT64
from moorline.cli.views import switch_row
from moorline.errors import MoorlineError
from moorline.names import NodeName

app = typer.Typer(help="Switches: P4 switches as nodes of the site.", no_args_is_help=True)

SETTLE_SECONDS: Final = 5.0
"""How long a command waits for the switch to be programmed, or for what stands against it."""

_ASK_EVERY: Final = 0.1

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the switch.")]
FileOption = Annotated[
    Path, typer.Option("--config", metavar="FILE", help="File that describes the ports of the switch.")
]

COLUMNS = (
    Column("NAME", "name"),
    Column("CONNECTED", "connected"),
    Column("CONVERGED", "converged"),
    Column("P4RUNTIME", "p4runtime"),
    Column("PIPELINE", "pipeline"),
    Column("SERVICES", "services", right=True),
    Column("CONNECTIONS", "connections", right=True),
    Column("PROBLEM", "problem"),
)
PORT_COLUMNS = (
    Column("PORT", "number", right=True),
    Column("ROLE", "role"),
    Column("ADDRESSES", "addresses"),
    Column("GATEWAYS", "gateways"),
    Column("MTU", "mtu", right=True),
    Column("VLAN", lambda row: row["vlan"] or None, right=True),
    Column("MAC", "mac"),
    Column("INTERFACE", "interface"),
)
PEER_COLUMNS = (
    Column("PEER", "name"),
    Column("KIND", "kind"),
    Column("PORTS", "ports"),
    Column("HEADER", "header"),
    Column("MACS", "macs"),
)


@app.command("add")
def add(
    ctx: typer.Context,
    name: NameArgument,
    config: FileOption,
    p4runtime: Annotated[
        str,
        typer.Option("--p4runtime", metavar="HOST:PORT", help="Its P4Runtime server, or unix:/path of one."),
    ],
    device_id: Annotated[
        int, typer.Option("--device-id", min=0, max=MAX_UINT64, help="Its number at that server.")
    ] = 1,
    output: OutputOption = Output.TABLE,
) -> None:
    """Let the controller adopt a running switch, or change what it knows of one."""
    request = add_request(name, p4runtime, device_id, read_file(config))
    _show(asyncio.run(_settled(Options.of(ctx), "AddSwitch", request)), output)


async def _settled(options: Options, method: str, request: Any) -> api.Node:
    """Put a request to the controller, and wait until it can be said what became of the switch."""
    async with controller_channel(options) as channel:
        stub = NodesStub(channel)
        node: api.Node = await getattr(stub, method)(request, timeout=CALL_SECONDS)
        deadline = time.monotonic() + SETTLE_SECONDS
        while not node.converged and not node.problem and time.monotonic() < deadline:
            await asyncio.sleep(_ASK_EVERY)
            node = await stub.GetNode(api.GetNodeRequest(name=node.name), timeout=CALL_SECONDS)
        return node


@app.command("run")
def run(
    ctx: typer.Context,
    name: NameArgument,
    config: FileOption,
    p4runtime: Annotated[
        str,
        typer.Option(
            "--p4runtime",
            metavar="HOST:PORT",
            help="Where it serves P4Runtime; by default a socket in /run/moorline.",
        ),
    ] = "",
) -> None:
    """Run a BMv2 switch on interfaces of this machine, in the foreground, as a node of the site."""
    options = Options.of(ctx)
    daemon.logging_settings(ctx)
    from moorline.cli.switch_program import run_switch  # late: it draws in P4Runtime's stubs

    daemon.run_until_told(run_switch(options, str(NodeName.parse(name)), read_file(config), p4runtime))


@app.command("list")
def list_(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the switches of the site."""
    answer = ask(ctx, lambda channel: NodesStub(channel).ListNodes, api.ListNodesRequest())
    rows = [switch_row(node) for node in answer.nodes if node.HasField("switch")]
    rows.sort(key=lambda row: row["name"])
    show_rows(rows, COLUMNS, output, empty="No switches yet: add one with 'moorline switch add'.")


@app.command("show")
def show(ctx: typer.Context, name: NameArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one switch with its ports."""
    _show(_switch(ctx, name), output)


@app.command("replace-pipeline")
def replace_pipeline(ctx: typer.Context, name: NameArgument, output: OutputOption = Output.TABLE) -> None:
    """Give a switch the controller's pipeline in place of the one that it runs.

    Its tables are empty then, and filled again at once; what it forwarded for others ends.
    """
    request = api.ReplacePipelineRequest(name=NodeName.parse(name))
    _show(asyncio.run(_settled(Options.of(ctx), "ReplacePipeline", request)), output)


@app.command("remove")
def remove(ctx: typer.Context, name: NameArgument) -> None:
    """Make the controller forget a switch, which goes on with what it has.

    Its services have to be unregistered before.
    """
    request = api.RemoveNodeRequest(name=_switch(ctx, name).name)
    ask(ctx, lambda channel: NodesStub(channel).RemoveNode, request)


def _switch(ctx: typer.Context, name: str) -> api.Node:
    request = api.GetNodeRequest(name=NodeName.parse(name))
    node: api.Node = ask(ctx, lambda channel: NodesStub(channel).GetNode, request)
    if not node.HasField("switch"):
        raise MoorlineError(f"node {node.name} is a host, no switch: see 'moorline node show {node.name}'")
    return node


def _show(node: api.Node, output: Output) -> None:
    row: dict[str, Any] = switch_row(node)
    if output is Output.JSON:
        show_json(row)
        return
    show_row(row, output, hidden=("ports", "locators", "peers"))
    show_table(row["ports"], PORT_COLUMNS)
    if row["peers"]:
        show_table(row["peers"], PEER_COLUMNS)
