# SPDX-License-Identifier: Apache-2.0
"""``moorline drops``."""

from __future__ import annotations

from typing import Annotated

import typer

from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1.moorline_pb2_grpc import NodesStub
from moorline.cli.client import ask
from moorline.cli.output import Column, Output, OutputOption, show_rows
from moorline.cli.views import port_event_row
from moorline.names import NodeName

COLUMNS = (
    Column("NODE", "node"),
    Column("PORT", "port", right=True),
    Column("INTERFACE", "interface"),
    Column("EVENT", "event"),
    Column("PACKETS", "packets", right=True),
    Column("BYTES", "bytes", right=True),
)


def drops(
    ctx: typer.Context,
    node: Annotated[str, typer.Option("--node", help="Only this node.")] = "",
    every: Annotated[
        bool,
        typer.Option("--all", help="Also packets received, sent, passed on and handed to the controller."),
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """List dropped packets by node, port and reason."""
    request = api.ListPortEventsRequest(node=NodeName.parse(node) if node else "")
    answer = ask(ctx, lambda channel: NodesStub(channel).ListPortEvents, request)
    rows = [
        port_event_row(event)
        for event in sorted(answer.events, key=lambda e: (e.node, e.port))
        if event.packets and (every or event.event.startswith("drop_"))
    ]
    show_rows(rows, COLUMNS, output, empty="No packet was dropped.")
