# SPDX-License-Identifier: Apache-2.0
"""Channels to the controller and to the agent, and their errors in one sentence."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import typer

from moorline import tls
from moorline.cli.options import Options
from moorline.errors import MoorlineError

if TYPE_CHECKING:
    from grpc.aio import Channel

CALL_SECONDS: Final = 30.0
"""How long a command waits for one answer."""


class RemoteError(MoorlineError):
    """A controller or an agent that cannot be reached, or that said no."""

    def __init__(self, message: str, code: grpc.StatusCode) -> None:
        super().__init__(message)
        self.code = code


_HOST_AND_PORT: Final = re.compile(r"(?:\[[^\s\[\]]+\]|[^\s\[\]:]+):([0-9]{1,5})\Z")

_OPTIONS: Final = [("grpc.max_receive_message_length", 256 << 20)]
"""In octets: a listing of all that a site has is one message."""


def ask(ctx: typer.Context, method: Callable[[Channel], Callable[..., Any]], request: Any) -> Any:
    """Put one question to the controller: ``method`` picks the stub's method on a channel."""

    async def work() -> Any:
        async with controller_channel(Options.of(ctx)) as channel:
            return await method(channel)(request, timeout=CALL_SECONDS)

    return asyncio.run(work())


@asynccontextmanager
async def controller_channel(options: Options) -> AsyncIterator[Channel]:
    """A channel to the controller: elsewhere when one is named, else on this machine."""
    settings = options.settings()
    target = options.controller or settings.client.controller
    if target:
        _require_host_and_port(target)
        credentials = tls.Credentials.read(settings.client.credentials)
        channel = grpc.aio.secure_channel(
            target, credentials.for_channel(), options=[*tls.channel_options(tls.CONTROLLER), *_OPTIONS]
        )
        mend = "start it there, or name another with --controller"
    else:
        target = f"unix:{settings.controller.socket}"
        channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        mend = "start it with 'moorline controller', or name one elsewhere with --controller"
    async with explained(channel, f"the controller at {target}", mend):
        yield channel


def _require_host_and_port(target: str) -> None:
    match = _HOST_AND_PORT.match(target)
    if match is None or not 0 < int(match[1]) < 1 << 16:
        raise MoorlineError(
            f"{target!r} is no address of a controller: write one such as controller.example:6083"
        )


@asynccontextmanager
async def node_channel(socket: Path) -> AsyncIterator[Channel]:
    """A channel to the agent on this machine."""
    channel = grpc.aio.insecure_channel(f"unix:{socket}", options=_OPTIONS)
    async with explained(channel, f"the node at unix:{socket}", "start it with 'moorline node'"):
        yield channel


@asynccontextmanager
async def explained(
    channel: Channel, what: str, mend: str, patience: float = CALL_SECONDS
) -> AsyncIterator[None]:
    """Close ``channel`` in the end; tell its errors in one sentence of ``what`` and ``mend``.

    ``patience`` is how long its calls wait, in seconds.
    """
    async with channel:
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise RemoteError(_sentence(error, what, mend, patience), error.code()) from error


def _sentence(error: grpc.aio.AioRpcError, what: str, mend: str, patience: float) -> str:
    details = (error.details() or "").partition("\n")[0].strip()
    match error.code():
        case grpc.StatusCode.UNAVAILABLE if "Permission denied" in details:
            return f"{what} may not be reached by this user: run the command as root"
        case grpc.StatusCode.UNAVAILABLE if "handshake" in details or "SSL" in details:
            return (
                f"{what} and this command do not trust one another: check the folder in [client] credentials"
            )
        case grpc.StatusCode.UNAVAILABLE:
            return f"{what} does not answer: {mend}"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"{what} took longer than {patience:.0f} s to answer: try again, or look at its log"
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"{what} does not know this request: bring it and this command to the same version"
        case code:
            return details or f"{what} failed ({code.name.lower()}): look at its log"
