# SPDX-License-Identifier: Apache-2.0
"""The session with the controller ends when it is told that its TCP connection is dead, at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from dataplane.agent.session import Session
from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import moorline_pb2_grpc as rpc


class Welcoming(rpc.NodeSessionServicer):
    """A controller that says welcome, and nothing more."""

    async def Attach(self, requests: AsyncIterator[api.NodeReport], _context: Any) -> AsyncIterator[Any]:
        async for _ in requests:
            yield api.NodeUpdate(welcome=api.Welcome(node_id=1))


class LocalCredentials:
    def for_channel(self) -> grpc.ChannelCredentials:
        return grpc.local_channel_credentials()


class MovesDuringTheGreeting:
    """Says that the address has changed some steps of the event loop before the first greeting ends."""

    def __init__(self, steps: int) -> None:
        self.session: Session | None = None
        self.again = asyncio.Event()
        self._steps = steps
        self._greetings = 0

    def hello(self) -> api.NodeHello:
        return api.NodeHello()

    async def update(self, update: api.NodeUpdate) -> None:
        self._greetings += 1
        if self._greetings > 1:
            self.again.set()
            return
        assert self.session is not None
        self.session.reconnect()
        for _ in range(self._steps):
            await asyncio.sleep(0)

    def connected(self, channel: grpc.aio.Channel | None) -> None:
        pass


@pytest.mark.parametrize("steps", range(6))
async def test_it_is_made_anew_also_when_the_address_changes_during_the_greeting(steps: int):
    server = grpc.aio.server()
    rpc.add_NodeSessionServicer_to_server(Welcoming(), server)
    port = server.add_secure_port("127.0.0.1:0", grpc.local_server_credentials())
    await server.start()
    handler = MovesDuringTheGreeting(steps)
    handler.session = Session(f"127.0.0.1:{port}", LocalCredentials(), handler)
    running = asyncio.create_task(handler.session.run())
    try:
        async with asyncio.timeout(10):
            await handler.again.wait()
    finally:
        running.cancel()
        await asyncio.wait([running], timeout=1)
        await server.stop(0)
