# SPDX-License-Identifier: Apache-2.0
"""Running the controller and the node in the foreground, until they are told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import typer

from moorline.cli.options import Options
from moorline.collector import paused

if TYPE_CHECKING:
    from moorline.cli.settings import Settings


def controller(ctx: typer.Context) -> None:
    """Run the controller of a site."""
    settings = logging_settings(ctx)
    with paused():
        from control.server import run_controller  # late, as below: commands that only ask need none of it

    run_until_told(run_controller(settings.controller))


def node(ctx: typer.Context) -> None:
    """Run the agent of this machine."""
    settings = logging_settings(ctx)
    with paused():
        from dataplane.agent.main import run_agent

    run_until_told(run_agent(settings.node))


def logging_settings(ctx: typer.Context) -> Settings:
    """Read the settings, and set up the log as they say."""
    settings = Options.of(ctx).settings()
    from moorline import logs  # late: structlog is slow to import

    logs.setup(settings.log)
    return settings


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
