# SPDX-License-Identifier: Apache-2.0
"""The node's session with its controller: reports what happens here, takes what it must know beside its
tables.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

import grpc
import structlog

from moorline import tls
from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import moorline_pb2_grpc as rpc
from moorline.paths import Locator

log = structlog.get_logger(__name__)

FIRST_DELAY: Final = 0.05
LAST_DELAY: Final = 5.0
"""Seconds between attempts, doubled each time, with jitter."""

CONNECT_SECONDS: Final = 5.0
KEEPALIVE_MS: Final = 10_000
_OPTIONS: Final = [
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A TCP connection is never shared with an earlier channel: after an address change that one is dead.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
]


class Handler(Protocol):
    """Who takes what the controller says."""

    def hello(self) -> api.NodeHello:
        """What a new session begins with."""

    async def update(self, update: api.NodeUpdate) -> None:
        """One message of the controller, in order."""

    def connected(self, channel: grpc.aio.Channel | None) -> None:
        """The session stands over this channel, or (None) has broken off."""


class Session:
    """Attached for as long as it runs, over one channel after another."""

    def __init__(self, target: str, credentials: tls.Credentials, handler: Handler) -> None:
        self._target = target
        self._credentials = credentials
        self._handler = handler
        self._why_away = ""
        self._dead = asyncio.Event()
        self._retry = asyncio.Event()
        self._reports: asyncio.Queue[api.NodeReport] = asyncio.Queue()

    def report(self, report: api.NodeReport) -> None:
        """Tell the controller; without a session the next hello says it."""
        self._reports.put_nowait(report)

    def reconnect(self) -> None:
        """The TCP connection is dead (its address is gone): make a new one at once."""
        self._dead.set()
        self._retry.set()

    def retry_now(self) -> None:
        """Do not wait for the next attempt: something has changed on the way."""
        self._retry.set()

    async def run(self) -> None:
        """Attach, and attach again whenever the session breaks, until cancelled."""
        delay = FIRST_DELAY
        while True:
            self._dead.clear()
            self._retry.clear()
            stood = await self._until_dead()
            if self._dead.is_set():
                delay = FIRST_DELAY
                continue
            if stood:
                delay = FIRST_DELAY
            pause = delay * random.uniform(0.5, 1.0)  # noqa: S311 - only to spread the attempts of many nodes
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._retry.wait()
            delay = min(2 * delay, LAST_DELAY)

    async def _until_dead(self) -> bool:
        """One session, cut short when its TCP connection is known to be dead; whether it ever stood."""
        session = asyncio.create_task(self._attach(), name="session-attach")
        dead = asyncio.create_task(self._dead.wait(), name="session-dead")
        try:
            await asyncio.wait((session, dead), return_when=asyncio.FIRST_COMPLETED)
        finally:
            dead.cancel()
            session.cancel()
            # An error in the handler is a defect and ends the agent; to be cancelled is not.
            stood = await _result(session)
        return stood

    async def _attach(self) -> bool:
        options = [*_OPTIONS, *tls.channel_options(tls.CONTROLLER)]
        stood = False
        async with grpc.aio.secure_channel(self._target, self._credentials.for_channel(), options) as channel:
            sender: asyncio.Task[None] | None = None
            try:
                call = rpc.NodeSessionStub(channel).Attach()
                # Not wait_for(): until Python 3.12 it may swallow a cancellation that comes with the answer.
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._greet(call)
                stood = True
                self._why_away = ""
                log.info("controller_attached", controller=self._target)
                self._handler.connected(channel)
                sender = asyncio.create_task(self._send(call), name="session-send")
                # Not "async for": gRPC does not let one call be read both ways, and the greeting reads.
                while (update := await call.read()) is not grpc.aio.EOF:
                    await self._handler.update(update)
                log.info("controller_closed", controller=self._target)
            except TimeoutError:
                self._away("it does not answer")
            except grpc.aio.AioRpcError as error:
                self._away(f"{error.code().name}: {error.details()}")
            finally:
                if sender is not None:
                    sender.cancel()
                if stood:
                    self._handler.connected(None)
        return stood

    def _away(self, why: str) -> None:
        # Once for each reason, not for each attempt.
        if why != self._why_away:
            log.info("controller_away", controller=self._target, why=why)
        self._why_away = why

    async def _greet(self, call: Any) -> None:
        while not self._reports.empty():  # the hello says it all
            self._reports.get_nowait()
        await call.write(api.NodeReport(hello=self._handler.hello()))
        first = await call.read()
        if first is grpc.aio.EOF:
            # The status of the call says why; reading it on raises.
            await call.code()
            raise TimeoutError
        await self._handler.update(first)

    async def _send(self, call: Any) -> None:
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while True:
                await call.write(await self._reports.get())


async def _result(session: asyncio.Task[bool]) -> bool:
    try:
        return await session
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        return False


def to_api(locators: Sequence[Locator]) -> list[api.Locator]:
    """Locators as the API has them."""
    return [
        api.Locator(address=one.address, port=one.port, interface=one.interface, mtu=one.mtu)
        for one in locators
    ]


def from_api(locators: Iterable[api.Locator]) -> tuple[Locator, ...]:
    """Locators as the rest of the agent has them; those with no valid address are left out."""
    return tuple(
        Locator(one.address, one.port, one.interface, one.mtu)
        for one in locators
        if len(one.address) in (4, 16)
    )
