# SPDX-License-Identifier: Apache-2.0
"""``moorline status``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1.moorline_pb2_grpc import AgentStub, NodesStub
from moorline.cli import node as node_commands
from moorline.cli.client import CALL_SECONDS, controller_channel, node_channel
from moorline.cli.files import is_absent
from moorline.cli.options import Options
from moorline.cli.output import Column, Output, OutputOption, say, show_json, show_row, show_table
from moorline.cli.views import agent_row, controller_row, node_row
from moorline.errors import MoorlineError

if TYPE_CHECKING:
    from moorline.cli.settings import Settings

ENDPOINT_COLUMNS = (Column("ENDPOINT", "service"), Column("IPV4", "ipv4"), Column("IPV6", "ipv6"))


def status(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Show how controller and node on this machine are.

    Fails when neither answers, and when one that runs is not well: a node without its controller, or one
    whose data plane does not agree with the store.
    """
    controller, node = asyncio.run(_gather(Options.of(ctx)))
    if output is Output.JSON:
        show_json({"controller": _json(controller), "node": _json(node)})
    else:
        _show_controller(controller)
        say()
        _show_node(node)
    if not _is_well(controller, node):
        raise typer.Exit(1)


State = Mapping[str, Any] | MoorlineError
"""What a part says of itself, or why it cannot be asked."""


async def _gather(options: Options) -> tuple[State, State]:
    settings = options.settings()
    return await asyncio.gather(_answer(_controller(options, settings)), _answer(_node(settings.node.socket)))


async def _answer(question: Any) -> State:
    try:
        answer: Mapping[str, Any] = await question
    except MoorlineError as error:
        return error
    return answer


async def _controller(options: Options, settings: Settings) -> Mapping[str, Any]:
    if not (options.controller or settings.client.controller):
        _expect_socket("controller", settings.controller.socket)
    async with controller_channel(options) as channel:
        stub = NodesStub(channel)
        status = await stub.GetControllerStatus(api.GetControllerStatusRequest(), timeout=CALL_SECONDS)
        nodes = await stub.ListNodes(api.ListNodesRequest(), timeout=CALL_SECONDS)
    return {
        **controller_row(status),
        "node_list": sorted(map(node_row, nodes.nodes), key=lambda n: n["name"]),
    }


async def _node(socket: Path) -> Mapping[str, Any]:
    _expect_socket("node", socket)
    async with node_channel(socket) as channel:
        return agent_row(
            await AgentStub(channel).GetAgentStatus(api.GetAgentStatusRequest(), timeout=CALL_SECONDS)
        )


def _expect_socket(part: str, socket: Path) -> None:
    """A machine rarely runs both parts: one that was never started is no trouble."""
    if is_absent(socket):
        raise MoorlineError(f"no {part} runs on this machine: there is no socket {socket}")


def _json(state: State) -> Mapping[str, Any]:
    return {"error": str(state)} if isinstance(state, MoorlineError) else state


def _is_well(controller: State, node: State) -> bool:
    if isinstance(controller, MoorlineError) and isinstance(node, MoorlineError):
        return False
    if not isinstance(controller, MoorlineError) and controller["nodes_converged"] < controller["nodes"]:
        return False
    return isinstance(node, MoorlineError) or bool(node["controller_connected"])


def _show_controller(state: State) -> None:
    if isinstance(state, MoorlineError):
        say(state)
        return
    say("controller")
    show_row(state, Output.TABLE, hidden=("node_list",))
    if state["node_list"]:
        show_table(state["node_list"], node_commands.COLUMNS)


def _show_node(state: State) -> None:
    if isinstance(state, MoorlineError):
        say(state)
        return
    say("node")
    show_row(state, Output.TABLE, hidden=("ports", "locators", "endpoints"))
    show_table(state["ports"], node_commands.PORT_COLUMNS)
    show_table(state["locators"], node_commands.LOCATOR_COLUMNS)
    if state["endpoints"]:
        show_table(state["endpoints"], ENDPOINT_COLUMNS)
