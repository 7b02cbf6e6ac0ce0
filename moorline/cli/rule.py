# SPDX-License-Identifier: Apache-2.0
"""``moorline rule``."""

from __future__ import annotations

from typing import Annotated

import typer

from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1.moorline_pb2_grpc import RulesStub
from moorline.cli.client import ask
from moorline.cli.output import Column, Output, OutputOption, say, show_json, show_row, show_rows
from moorline.cli.views import rule_row

app = typer.Typer(help="Rules of which service may connect to which.", no_args_is_help=True)

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the rule; rules are tried in name order.")
]

COLUMNS = (
    Column("NAME", "name"),
    Column("CLIENT", "client"),
    Column("SERVER", "server"),
    Column("VERDICT", lambda row: "allow" if row["allow"] else "deny"),
)


@app.command("list")
def list_(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the rules in the order in which they are tried, and the default."""
    answer = ask(ctx, lambda channel: RulesStub(channel).ListRules, api.ListRulesRequest())
    rows = sorted(map(rule_row, answer.rules), key=lambda row: row["name"])
    if output is Output.JSON:
        show_json({"rules": rows, "default_allow": answer.default_allow})
        return
    show_rows(rows, COLUMNS, output, empty="No rules: the default decides.")
    say(f"otherwise  {'allow' if answer.default_allow else 'deny'}")


@app.command("put")
def put(
    ctx: typer.Context,
    name: NameArgument,
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="A service, '*.suffix' or '*'.")],
    server: Annotated[str, typer.Argument(metavar="SERVER", help="A service, '*.suffix' or '*'.")],
    allow: Annotated[bool, typer.Option("--allow/--deny", help="The verdict.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Add a rule, or replace the one of this name."""
    request = api.Rule(name=name, client=client, server=server, allow=allow)
    show_row(rule_row(ask(ctx, lambda channel: RulesStub(channel).PutRule, request)), output)


@app.command("delete")
def delete(ctx: typer.Context, name: NameArgument) -> None:
    """Delete a rule."""
    ask(ctx, lambda channel: RulesStub(channel).DeleteRule, api.DeleteRuleRequest(name=name))
