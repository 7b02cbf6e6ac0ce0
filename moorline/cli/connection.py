# SPDX-License-Identifier: Apache-2.0
"""``moorline connection``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import typer

from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1.moorline_pb2_grpc import ConnectionsStub
from moorline.cli.client import ask, controller_channel
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
from moorline.cli.text import parse_scid, scaled, time_text
from moorline.cli.views import connection_row
from moorline.names import NodeName, ServiceName

app = typer.Typer(help="Service connections and their data channels.", no_args_is_help=True)

ScidArgument = Annotated[str, typer.Argument(metavar="SCID", help="The connection: 16 hexadecimal digits.")]

KINDS = {
    api.ConnectionEvent.KIND_PRESENT: "present",
    api.ConnectionEvent.KIND_ADDED: "added",
    api.ConnectionEvent.KIND_CHANGED: "changed",
    api.ConnectionEvent.KIND_REMOVED: "removed",
}

COLUMNS = (
    Column("SCID", "scid"),
    Column("STATUS", "status"),
    Column("CLIENT", lambda row: _end_text(row["client"])),
    Column("SERVER", lambda row: _end_text(row["server"])),
    Column("VIA", lambda row: [leg["server_side"] for leg in row["legs"][:-1]]),
    Column("TO SERVER", lambda row: _usage_text(row["client_to_server"]), right=True),
    Column("TO CLIENT", lambda row: _usage_text(row["server_to_client"]), right=True),
)


LEG_COLUMNS = (
    Column("LEG", lambda row: f"{row['client_side']} - {row['server_side']}"),
    Column("SCID", "scid"),
)


def _end_text(end: Row) -> str:
    return f"{end['service']} on {end['node']} at {', '.join(end['locators']) or 'no address'}"


def _usage_text(usage: Row) -> str:
    return f"{scaled(usage['bytes'], 'B')}, {scaled(usage['bits_per_second'], 'bit/s')}"


@app.command("list")
def list_(
    ctx: typer.Context,
    service: Annotated[str, typer.Option("--service", help="Only those of this service.")] = "",
    node: Annotated[str, typer.Option("--node", help="Only those of this node.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """List connections with what each end sent."""
    request = api.ListConnectionsRequest(
        service=ServiceName.parse(service) if service else "", node=NodeName.parse(node) if node else ""
    )
    answer = ask(ctx, lambda channel: ConnectionsStub(channel).ListConnections, request)
    rows = sorted(
        map(connection_row, answer.connections),
        key=lambda row: (row["client"]["service"], row["server"]["service"]),
    )
    show_rows(
        rows, COLUMNS, output, empty="No connections: they are made by the first packet or 'moorline lookup'."
    )


@app.command("show")
def show(ctx: typer.Context, scid: ScidArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one connection."""
    request = api.GetConnectionRequest(scid=parse_scid(scid))
    _show_one(
        connection_row(ask(ctx, lambda channel: ConnectionsStub(channel).GetConnection, request)), output
    )


def _show_one(row: Row, output: Output) -> None:
    if output is Output.JSON:
        show_json(row)
        return
    ends = {f"{end}_{field}": value for end in ("client", "server") for field, value in row[end].items()}
    usage = {name: _traffic_text(row[name]) for name in ("client_to_server", "server_to_client")}
    others = {k: v for k, v in row.items() if k not in ("client", "server")}
    show_row({**others, **ends, **usage}, output, hidden=["legs"])
    if row["legs"]:
        show_table(row["legs"], LEG_COLUMNS)


def _traffic_text(usage: Row) -> str:
    return f"{usage['packets']} packets, {usage['bytes']} bytes, {scaled(usage['bits_per_second'], 'bit/s')}"


@app.command("watch")
def watch(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Show the connections that exist, then every change as it happens, until interrupted.

    With --output json each line is one JSON object.
    """
    asyncio.run(_watch(Options.of(ctx), output))


async def _watch(options: Options, output: Output) -> None:
    async for row in _changes(options):
        if output is Output.JSON:
            show_json(row, line=True)
        else:
            say(_change_text(row))


async def _changes(options: Options) -> AsyncIterator[dict[str, Any]]:
    async with controller_channel(options) as channel:
        async for event in ConnectionsStub(channel).WatchConnections(api.WatchConnectionsRequest()):
            yield {
                "time": time_text(event.time_ns),
                "kind": KINDS.get(event.kind, "unknown"),
                "connection": connection_row(event.connection),
            }


def _change_text(row: Row) -> str:
    connection = row["connection"]
    relays = [leg["server_side"] for leg in connection["legs"][:-1]]
    return (
        f"{row['time'] or '-'}  {row['kind']:<7}  {connection['scid']}  {connection['status']:<5}  "
        f"{' -> '.join([_end_text(connection['client']), *relays, _end_text(connection['server'])])}"
    )


@app.command("close")
def close(ctx: typer.Context, scid: ScidArgument) -> None:
    """Forget a connection; its SCID is never used again."""
    request = api.CloseConnectionRequest(scid=parse_scid(scid))
    ask(ctx, lambda channel: ConnectionsStub(channel).CloseConnection, request)


@app.command("suspend")
def suspend(ctx: typer.Context, scid: ScidArgument, output: OutputOption = Output.TABLE) -> None:
    """Take a data channel down to free resources; it comes back when either program sends."""
    request = api.SuspendConnectionRequest(scid=parse_scid(scid))
    _show_one(
        connection_row(ask(ctx, lambda channel: ConnectionsStub(channel).SuspendConnection, request)), output
    )


@app.command("rotate")
def rotate(ctx: typer.Context, scid: ScidArgument, output: OutputOption = Output.TABLE) -> None:
    """Give a connection new SCIDs, along the relays that are set now; no packet is lost.

    Packets with the former SCIDs are accepted for the grace time.
    """
    request = api.RotateConnectionRequest(scid=parse_scid(scid))
    _show_one(
        connection_row(ask(ctx, lambda channel: ConnectionsStub(channel).RotateConnection, request)), output
    )
