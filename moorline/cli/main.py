# SPDX-License-Identifier: Apache-2.0
"""The command ``moorline``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

from moorline import __version__
from moorline.cli import (
    connection,
    customer,
    daemon,
    doctor,
    drops,
    graph,
    node,
    peer,
    rule,
    service,
    status,
    switch,
    table,
)
from moorline.cli.options import Options
from moorline.cli.output import say
from moorline.errors import MoorlineError

app = typer.Typer(
    name="moorline",
    help="Service connections that outlive address changes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: quick, and square brackets stay
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("controller")(daemon.controller)
app.add_typer(node.app, name="node")
app.add_typer(switch.app, name="switch")
app.add_typer(service.app, name="service")
app.command("lookup")(service.lookup)
app.add_typer(connection.app, name="connection")
app.add_typer(rule.app, name="rule")
app.add_typer(graph.app, name="graph")
app.add_typer(peer.app, name="peer")
app.add_typer(customer.app, name="customer")
app.add_typer(table.app, name="table")
app.command("drops")(drops.drops)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"moorline {__version__}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="PATH", help="Configuration file instead of /etc/moorline/moorline.toml."
        ),
    ] = None,
    controller: Annotated[
        str | None,
        typer.Option(
            "--controller", metavar="HOST:PORT", help="A controller elsewhere, with [client] credentials."
        ),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before every command."""
    ctx.obj = Options(config, controller)


def _as_text(words: Sequence[str]) -> Sequence[str]:
    """Refuse octets that are no text before they are a name in a message, where they cannot be."""
    for word in words:
        if any("\udc80" <= character <= "\udcff" for character in word):  # as PEP 383 has them
            raise MoorlineError(f"argument {word!r} is not UTF-8 text: write it in UTF-8")
    return words


@cache
def command() -> Callable[..., None]:
    """The command and all below it; to make it takes longer than most of them."""
    return get_command(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; every error that a user may meet is one sentence on standard error."""
    if isinstance(sys.stdout, TextIOWrapper):  # names of customers are not of one alphabet, a terminal may be
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        command()(_as_text(sys.argv[1:] if arguments is None else arguments), prog_name="moorline")
    except MoorlineError as error:
        typer.echo(f"moorline: {error}", err=True)
        sys.exit(error.exit_code)
