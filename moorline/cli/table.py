# SPDX-License-Identifier: Apache-2.0
"""``moorline table``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import grpc
import typer

from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1.moorline_pb2_grpc import AgentStub, NodesStub
from moorline.cli.client import CALL_SECONDS, controller_channel, explained, node_channel
from moorline.cli.options import Options
from moorline.cli.output import Column, Output, OutputOption, Row, show_json, show_table
from moorline.errors import MoorlineError
from moorline.names import NodeName

if TYPE_CHECKING:
    from grpc.aio import Channel

    from dataplane.contract.p4info import P4Info

app = typer.Typer(help="What is in the data plane of this machine.", no_args_is_help=True)

COLUMNS = (
    Column("TABLE", "table"),
    Column("PRIORITY", "priority", right=True),
    Column("MATCH", lambda row: _fields_text(row["match"])),
    Column("ACTION", lambda row: f"{row['action']}({_fields_text(row['params'])})"),
    Column("PACKETS", "packets", right=True),
    Column("BYTES", "bytes", right=True),
)


def _fields_text(fields: Row) -> str:
    return ", ".join(f"{name}={value}" for name, value in fields.items())


@app.callback()
def tables() -> None:
    """Look into the data plane of this machine."""


@app.command("dump")
def dump(
    ctx: typer.Context,
    table: Annotated[str | None, typer.Argument(metavar="[TABLE]", help="Only this table.")] = None,
    switch: Annotated[
        str, typer.Option("--switch", metavar="NAME", help="Of this switch, instead of this machine.")
    ] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Read all entries out of the data plane, decoded by its contract."""
    asyncio.run(_dump(Options.of(ctx), table, NodeName.parse(switch) if switch else "", output))


async def _dump(options: Options, table: str | None, switch: str, output: Output) -> None:
    from moorline.cli.contract import (
        AGENTS_DEVICE_ID,
        read_contract,
        read_entries,
    )  # late: P4Runtime's stubs are slow to import

    node = await _switch(options, switch) if switch else None
    device_id = node.switch.device_id if node is not None else AGENTS_DEVICE_ID
    async with _switch_channel(node) if node else node_channel(options.settings().node.socket) as channel:
        contract = await read_contract(channel, device_id)
        rows = [row async for row in read_entries(channel, device_id, contract, table)]
        if output is Output.JSON:
            show_json(rows)
            return
        ports = node.ports if node is not None else await _agents_ports(channel)
        _show(contract, rows, {port.number: port.interface for port in ports if port.interface})


async def _switch(options: Options, name: str) -> api.Node:
    async with controller_channel(options) as channel:
        request = api.GetNodeRequest(name=name)
        node: api.Node = await NodesStub(channel).GetNode(request, timeout=CALL_SECONDS)
    if not node.HasField("switch"):
        raise MoorlineError(f"node {name} is a host: use 'moorline table dump' there")
    return node


@asynccontextmanager
async def _switch_channel(node: api.Node) -> AsyncIterator[Channel]:
    """A channel to the switch itself: everybody who reaches it may read."""
    target = node.switch.p4runtime
    channel = grpc.aio.insecure_channel(target, options=[("grpc.max_receive_message_length", 256 << 20)])
    async with explained(channel, f"switch {node.name} at {target}", "see that it can be reached from here"):
        yield channel


async def _agents_ports(channel: Channel) -> Sequence[api.Port]:
    status = await AgentStub(channel).GetAgentStatus(api.GetAgentStatusRequest(), timeout=CALL_SECONDS)
    ports: Sequence[api.Port] = status.ports
    return ports


def _show(contract: P4Info, rows: list[dict[str, Any]], ports: dict[int, str]) -> None:
    from moorline.cli.contract import with_interfaces

    if rows:
        show_table([with_interfaces(contract, row, ports) for row in rows], COLUMNS)
    else:
        typer.echo("The data plane holds no such entries.", err=True)
