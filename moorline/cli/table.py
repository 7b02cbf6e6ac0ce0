# SPDX-License-Identifier: Apache-2.0
"""``moorline table``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1.moorline_pb2_grpc import AgentStub
from moorline.cli.client import CALL_SECONDS, node_channel
from moorline.cli.options import Options
from moorline.cli.output import Column, Output, OutputOption, Row, show_json, show_table

if TYPE_CHECKING:
    from dataplane.contract.p4info import P4Info

app = typer.Typer(help="What is in the data plane of this machine.", no_args_is_help=True)

COLUMNS = (
    Column("TABLE", "table"),
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
    output: OutputOption = Output.TABLE,
) -> None:
    """Read all entries out of the data plane, decoded by its contract."""
    asyncio.run(_dump(Options.of(ctx), table, output))


async def _dump(options: Options, table: str | None, output: Output) -> None:
    from moorline.cli.contract import (
        read_contract,
        read_entries,
    )  # late: P4Runtime's stubs are slow to import

    async with node_channel(options.settings().node.socket) as channel:
        contract = await read_contract(channel)
        rows = [row async for row in read_entries(channel, contract, table)]
        if output is Output.JSON:
            show_json(rows)
        else:
            status = await AgentStub(channel).GetAgentStatus(
                api.GetAgentStatusRequest(), timeout=CALL_SECONDS
            )
            _show(contract, rows, {port.number: port.interface for port in status.ports})


def _show(contract: P4Info, rows: list[dict[str, Any]], ports: dict[int, str]) -> None:
    from moorline.cli.contract import with_interfaces

    if rows:
        show_table([with_interfaces(contract, row, ports) for row in rows], COLUMNS)
    else:
        typer.echo("The data plane holds no such entries.", err=True)
