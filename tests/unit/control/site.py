# SPDX-License-Identifier: Apache-2.0
"""A controller with fake nodes on loopback addresses, for tests."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from control.config import ControllerConfig
from control.server import Controller
from control.southbound.contract import Contract
from moorline.api.v1 import moorline_pb2 as pb
from moorline.api.v1 import moorline_pb2_grpc as pb_grpc
from tests.unit.control.fake_node import FakeNode


class Site:
    """One controller, restartable, and its nodes; ``operator`` stubs speak over the unix socket."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.config = ControllerConfig(
            state_dir=folder / "state",
            socket=folder / "c.sock",
            listen="127.0.0.1",
            port=0,
            join_port=0,
            advertise="127.0.0.1",
            **settings,
        )
        self.nodes: dict[str, FakeNode] = {}
        self._hosts = itertools.count(1)
        self._stack = AsyncExitStack()
        self.controller: Controller
        self.channel: Any

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes.values():
            await node.stop()
        await self.stop()

    async def start(self) -> None:
        self._stack = AsyncExitStack()
        self.controller = await self._stack.enter_async_context(Controller(self.config))
        # Nodes know these from their tokens: a restarted controller has to be where it was.
        self.config = self.config.model_copy(
            update={"port": self.controller.port, "join_port": self.controller.join_port}
        )
        self.channel = await self._stack.enter_async_context(
            grpc.aio.insecure_channel(
                f"unix:{self.config.socket}", options=[("grpc.use_local_subchannel_pool", 1)]
            )
        )
        self.naming: Any = pb_grpc.NamingStub(self.channel)
        self.connections: Any = pb_grpc.ConnectionsStub(self.channel)
        self.rules: Any = pb_grpc.RulesStub(self.channel)
        self.admin: Any = pb_grpc.NodesStub(self.channel)

    async def stop(self) -> None:
        await self._stack.aclose()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.controller.port}"

    async def token(self, name: str) -> dict[str, str]:
        token = await self.admin.CreateJoinToken(pb.CreateJoinTokenRequest(node=name))
        content: dict[str, str] = json.loads(base64.urlsafe_b64decode(token.token))
        return content

    async def add_node(self, name: str, *, attach: bool = True) -> FakeNode:
        node = FakeNode(name, Contract.load(self.config.p4info).p4info)
        await self.join(node)
        await node.start(f"127.77.0.{next(self._hosts)}")
        self.nodes[name] = node
        if attach:
            await node.attach(self.target)
            await self.converged(name)
        return node

    async def join(self, node: FakeNode) -> None:
        token = await self.token(node.name)
        authority = x509.load_der_x509_certificate(base64.b64decode(token["ca"]))
        pem = authority.public_bytes(serialization.Encoding.PEM)
        await node.join(token["controller"], token["secret"].encode(), pem)

    async def converged(self, *names: str) -> None:
        """Wait until the controller has programmed these nodes."""
        await self.until(lambda: all(self._programmed(name) for name in names))

    def _programmed(self, name: str) -> bool:
        plane = self.plane(name)
        return plane.converged and plane.ready and plane._client.address in plane._addresses()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of the controller's state, which nobody tells."""
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.01)

    def plane(self, name: str) -> Any:
        """What the controller has of a node's data plane."""
        return self.controller.planes.of(self.controller.state.nodes[name])

    async def register(self, name: str, node: str, ttl_seconds: int = 0) -> pb.Service:
        request = pb.RegisterServiceRequest(name=name, node=node, ttl_seconds=ttl_seconds)
        service: pb.Service = await self.naming.RegisterService(request)
        return service

    async def lookup(self, client: str, server: str) -> pb.LookupResponse:
        response: pb.LookupResponse = await self.naming.Lookup(pb.LookupRequest(client=client, server=server))
        return response

    async def connection(self, scid: int) -> pb.Connection:
        connection: pb.Connection = await self.connections.GetConnection(pb.GetConnectionRequest(scid=scid))
        return connection

    async def suspend(self, scid: int) -> pb.Connection:
        request = pb.SuspendConnectionRequest(scid=scid)
        connection: pb.Connection = await self.connections.SuspendConnection(request)
        return connection

    async def put_rule(self, name: str, client: str, server: str, *, allow: bool) -> None:
        await self.rules.PutRule(pb.Rule(name=name, client=client, server=server, allow=allow))

    async def pair(self) -> tuple[FakeNode, FakeNode]:
        """Nodes ``one`` and ``two`` with services ``laptop.demo`` and ``files.demo``."""
        one, two = await self.add_node("one"), await self.add_node("two")
        await self.register("laptop.demo", "one")
        await self.register("files.demo", "two")
        return one, two
