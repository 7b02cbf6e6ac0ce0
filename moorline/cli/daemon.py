# SPDX-License-Identifier: Apache-2.0
"""Running the controller and the node in the foreground, until they are told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import typer

from moorline.cli.options import Options


def controller(ctx: typer.Context) -> None:
    """Run the controller of a site."""
    settings = Options.of(ctx).settings()
    from control.server import run_controller  # late, as below: commands that only ask need none of it
    from moorline import logs

    logs.setup(settings.log)
    run_until_told(run_controller(settings.controller))


def node(ctx: typer.Context) -> None:
    """Run the agent of this machine."""
    settings = Options.of(ctx).settings()
    from dataplane.agent.main import run_agent

    from moorline import logs

    logs.setup(settings.log)
    run_until_told(run_agent(settings.node))


def run_until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` until it ends, or until SIGTERM cancels it, which is a success."""
    asyncio.run(_until_terminated(work))


async def _until_terminated(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    terminated = asyncio.Event()

    def terminate() -> None:
        terminated.set()
        task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    try:
        await task
    except asyncio.CancelledError:
        if not terminated.is_set():
            raise
