# SPDX-License-Identifier: Apache-2.0
"""``moorline service`` and ``moorline lookup``."""

from __future__ import annotations

from typing import Annotated

import typer

from moorline.addresses import packed
from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1.moorline_pb2_grpc import NamingStub
from moorline.cli.client import ask
from moorline.cli.output import Column, Output, OutputOption, show_row, show_rows
from moorline.cli.text import MAX_UINT32
from moorline.cli.views import lookup_row, service_row
from moorline.names import NodeName, ServiceName

app = typer.Typer(help="Services: names with an address that stays.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the service, such as files.demo.")]

COLUMNS = (
    Column("NAME", "name"),
    Column("NODE", "node"),
    Column("IPV4", "ipv4"),
    Column("IPV6", "ipv6"),
    Column("EXPIRES", "expires"),
)


@app.command("register")
def register(
    ctx: typer.Context,
    name: NameArgument,
    node: Annotated[str, typer.Option("--node", help="Node that hosts the service.")],
    ttl: Annotated[
        int,
        typer.Option(
            "--ttl",
            min=0,
            max=MAX_UINT32,
            help="Seconds until the registration ends unless renewed; 0: never.",
        ),
    ] = 0,
    address: Annotated[
        list[str] | None,
        typer.Option(
            "--address",
            help="Address of a plain host behind a gateway port of the node; twice for IPv4 and IPv6.",
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give a service its address, on a node; or name a plain host that a gateway has beside it."""
    request = api.RegisterServiceRequest(
        name=ServiceName.parse(name),
        node=NodeName.parse(node),
        ttl_seconds=ttl,
        addresses=map(packed, address or ()),
    )
    show_row(service_row(ask(ctx, lambda channel: NamingStub(channel).RegisterService, request)), output)


@app.command("renew")
def renew(ctx: typer.Context, name: NameArgument, output: OutputOption = Output.TABLE) -> None:
    """Start the time to live of a registration anew."""
    request = api.RenewServiceRequest(name=ServiceName.parse(name))
    show_row(service_row(ask(ctx, lambda channel: NamingStub(channel).RenewService, request)), output)


@app.command("list")
def list_(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List all services."""
    answer = ask(ctx, lambda channel: NamingStub(channel).ListServices, api.ListServicesRequest())
    rows = sorted(map(service_row, answer.services), key=lambda row: row["name"])
    show_rows(rows, COLUMNS, output, empty="No services yet: register one with 'moorline service register'.")


@app.command("show")
def show(ctx: typer.Context, name: NameArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one service."""
    request = api.GetServiceRequest(name=ServiceName.parse(name))
    show_row(service_row(ask(ctx, lambda channel: NamingStub(channel).GetService, request)), output)


@app.command("unregister")
def unregister(ctx: typer.Context, name: NameArgument) -> None:
    """Take a registration back; its connections are closed."""
    request = api.UnregisterServiceRequest(name=ServiceName.parse(name))
    ask(ctx, lambda channel: NamingStub(channel).UnregisterService, request)


def lookup(
    ctx: typer.Context,
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="Service that connects.")],
    server: Annotated[str, typer.Argument(metavar="SERVER", help="Service that is connected to.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Find the connection between two services, or make it."""
    request = api.LookupRequest(client=ServiceName.parse(client), server=ServiceName.parse(server))
    show_row(lookup_row(ask(ctx, lambda channel: NamingStub(channel).Lookup, request)), output)
