# SPDX-License-Identifier: Apache-2.0
"""Lookups by one long-lived stream to the controller: many at once, answers in any order."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any, Final

import grpc
import structlog

from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import moorline_pb2_grpc as rpc
from moorline.errors import MoorlineError

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS: Final = 3.0
AGAIN_SECONDS: Final = 0.2
"""Until another stream is tried after one has ended."""

QUEUE: Final = 4096
"""Lookups that may wait to be sent."""


class ControllerAwayError(MoorlineError):
    """The controller does not answer."""


class LookupFailedError(MoorlineError):
    """The controller refused one lookup; ``code`` is a gRPC status code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Lookups:
    """Lookups over the channel that stands at present."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[api.LookupResponse]] = {}
        self._queue: asyncio.Queue[api.LookupRequest] = asyncio.Queue(QUEUE)
        self._task: asyncio.Task[None] | None = None

    def use(self, channel: grpc.aio.Channel | None) -> None:
        """Take a new channel, or learn that there is none; what waits for the former one fails."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._fail_all()
        if channel is not None:
            self._task = asyncio.create_task(self._run(channel), name="lookups")

    async def lookup(self, client: str, server: str) -> api.LookupResponse:
        """The connection between two services, found or made.

        Raises:
            LookupFailedError: there is no such service, or a rule forbids it.
            ControllerAwayError: no answer.
        """
        if self._task is None or self._task.done() or self._queue.full():
            raise ControllerAwayError(f"service {server} is not looked up: the controller is away, try later")
        request = api.LookupRequest(request_id=next(self._ids), client=client, server=server)
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[request.request_id] = waiting
        self._queue.put_nowait(request)
        try:
            response: api.LookupResponse = await asyncio.wait_for(waiting, TIMEOUT_SECONDS)
        except TimeoutError:
            raise ControllerAwayError(f"no answer for service {server}: try again later") from None
        finally:
            self._waiting.pop(request.request_id, None)
        if response.HasField("failure"):
            raise LookupFailedError(response.failure.code, response.failure.message)
        return response

    async def _run(self, channel: grpc.aio.Channel) -> None:
        """One stream after another, for as long as the channel is the one to use."""
        while True:
            try:
                await self._answers(rpc.NamingStub(channel).LookupStream())
                log.info("lookups_interrupted", code="none")
            except grpc.aio.AioRpcError as error:
                log.info("lookups_interrupted", code=error.code().name)
            finally:
                self._fail_all()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _answers(self, call: Any) -> None:
        sender = asyncio.create_task(self._send(call), name="lookups-send")
        try:
            async for response in call:
                waiting = self._waiting.get(response.request_id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(response)
        finally:
            sender.cancel()

    async def _send(self, call: Any) -> None:
        # When the stream ends, whoever reads it learns why.
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while True:
                await call.write(await self._queue.get())

    def _fail_all(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ControllerAwayError("the controller went away: try again later"))
        self._waiting.clear()
