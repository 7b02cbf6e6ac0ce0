# SPDX-License-Identifier: Apache-2.0
"""``moorline customer``: whose devices are where, and what they have subscribed to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from moorline.addresses import packed
from moorline.api.v1 import subscribers_pb2 as api
from moorline.api.v1.subscribers_pb2_grpc import SubscribersStub
from moorline.cli.client import ask
from moorline.cli.files import read_text
from moorline.cli.graph_views import customer_row, endpoint_row, radius_row
from moorline.cli.output import Column, Output, OutputOption, show_json, show_row, show_rows, show_table

app = typer.Typer(help="Customers: their devices, and what they have subscribed to.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the customer.")]

MAX_FILE: Final = 16 * 1024 * 1024
"""Octets of a file of customers."""

COLUMNS = (
    Column("NAME", "name"),
    Column("TENANT", "tenant", right=True),
    Column("PROFILES", "profiles"),
    Column("DEVICES", lambda row: len(row["devices"]), right=True),
    Column("SESSIONS", "sessions", right=True),
    Column("FROM", "bytes_from", right=True),
    Column("TO", "bytes_to", right=True),
)
DEVICE_COLUMNS = (
    Column("DEVICE", "name"),
    Column("ADDRESSES", "prefixes"),
    Column("NODE", "node"),
    Column("PORT", "port"),
    Column("TUNNEL", lambda row: _tunnel_text(row["tunnel"])),
    Column("PROFILES", "profiles"),
    Column("LOCATION", "location"),
    Column("SINCE", lambda row: row["session"] and row["session"]["started"]),
)
RADIUS_COLUMNS = (
    Column("CLIENT", "client"),
    Column("OUTCOME", "outcome"),
    Column("PACKETS", "packets", right=True),
)
ENDPOINT_COLUMNS = (
    Column("NODE", "node"),
    Column("ADDRESS", "address"),
    Column("TUNNEL", "tunnel"),
    Column("COST", "cost", right=True),
    Column("DEVICES", "devices", right=True),
    Column("PRICE", lambda row: f"{row['price']:.1f}", right=True),
)


@app.command("apply")
def apply(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of customers, YAML.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Take over the customers of a file, each in the place of the one of its name."""
    text = read_text(file, "file of customers", MAX_FILE)
    request = api.ApplyCustomersRequest(text=text, source=str(file))
    answer = ask(ctx, lambda channel: SubscribersStub(channel).ApplyCustomers, request)
    show_rows(list(map(customer_row, answer.customers)), COLUMNS, output, empty="No customers.")


@app.command("list")
def list_(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the customers of the site."""
    answer = ask(ctx, lambda channel: SubscribersStub(channel).ListCustomers, api.ListCustomersRequest())
    rows = list(map(customer_row, answer.customers))
    show_rows(rows, COLUMNS, output, empty="No customers yet: apply a file with 'moorline customer apply'.")


@app.command("show")
def show(ctx: typer.Context, name: NameArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one customer with its devices."""
    request = api.GetCustomerRequest(name=name)
    row = customer_row(ask(ctx, lambda channel: SubscribersStub(channel).GetCustomer, request))
    if output is Output.JSON:
        show_json(row)
        return
    show_row(row, output, hidden=("devices",))
    show_table(row["devices"], DEVICE_COLUMNS)


@app.command("remove")
def remove(ctx: typer.Context, name: NameArgument) -> None:
    """Forget what a file said of a customer, and what its sessions have carried."""
    request = api.DeleteCustomerRequest(name=name)
    ask(ctx, lambda channel: SubscribersStub(channel).DeleteCustomer, request)


@app.command("radius")
def radius(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Show what RADIUS clients have sent since the controller started, and what was dropped."""
    request = api.ListRadiusCountersRequest()
    answer = ask(ctx, lambda channel: SubscribersStub(channel).ListRadiusCounters, request)
    rows = list(map(radius_row, answer.counters))
    show_rows(rows, RADIUS_COLUMNS, output, empty="No RADIUS packets yet.")


@app.command("endpoint")
def endpoint(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Of the device in its access network.")],
    tunnel: Annotated[
        Literal["vxlan", "gre", "ipip"], typer.Option("--tunnel", help="Kind of tunnel.")
    ] = "vxlan",
    output: OutputOption = Output.TABLE,
) -> None:
    """Show by which endpoints a device's tunnel is best opened, the best one first."""
    request = api.FindEndpointsRequest(address=packed(address), tunnel=tunnel)
    answer = ask(ctx, lambda channel: SubscribersStub(channel).FindEndpoints, request)
    rows = list(map(endpoint_row, answer.endpoints))
    if output is Output.JSON:
        show_json({"location": answer.location or None, "endpoints": rows})
        return
    empty = f"No endpoint for {tunnel} of its family: set tunnels at an underlay port of a node."
    show_rows(rows, ENDPOINT_COLUMNS, output, empty=empty)


def _tunnel_text(tunnel: dict[str, Any] | None) -> str | None:
    if tunnel is None:
        return None
    return " ".join(
        filter(None, [tunnel["kind"], tunnel["remote"], tunnel["key"] and f"key {tunnel['key']}"])
    )
