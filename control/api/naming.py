# SPDX-License-Identifier: Apache-2.0
"""``moorline.v1.Naming``: services and lookups."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import grpc
import structlog

from control import answers, messages
from control.api.access import is_operator, require_host, require_node
from control.api.binding import FAULT, status_of
from control.api.parts import in_parts
from control.connection_records import Connection
from control.connections import Connections
from control.errors import InvalidRequestError
from control.naming import Naming
from control.state import State
from moorline.api.v1 import moorline_pb2 as pb
from moorline.errors import MoorlineError
from moorline.names import NodeName, ServiceName
from moorline.tls import Identity

log = structlog.get_logger(__name__)

MAX_OPEN_LOOKUPS: Final = 4096
"""Lookups of one stream that may be under way; its reader waits when there are more."""


class NamingServicer:
    """See the proto file for what each method does."""

    def __init__(self, state: State, naming: Naming, connections: Connections) -> None:
        self._state = state
        self._naming = naming
        self._connections = connections

    async def RegisterService(self, request: pb.RegisterServiceRequest, caller: Identity) -> pb.Service:  # noqa: N802, D102
        node = str(NodeName.parse(request.node)) if request.node else ""
        if not node and not is_operator(caller):
            node = caller.name
        if not node:
            raise InvalidRequestError(f"service {request.name!r} is to be on no node: name its node")
        require_node(caller, node)
        return messages.service(
            await self._naming.register(request.name, node, request.ttl_seconds, request.addresses)
        )

    async def RenewService(self, request: pb.RenewServiceRequest, caller: Identity) -> pb.Service:  # noqa: N802, D102
        require_host(caller, self._state.service(ServiceName.parse(request.name)))
        return messages.service(await self._naming.renew(request.name))

    async def UnregisterService(  # noqa: N802, D102
        self, request: pb.UnregisterServiceRequest, caller: Identity
    ) -> pb.UnregisterServiceResponse:
        require_host(caller, self._state.service(ServiceName.parse(request.name)))
        await self._naming.unregister(request.name)
        return pb.UnregisterServiceResponse()

    async def GetService(self, request: pb.GetServiceRequest, _caller: Identity) -> pb.Service:  # noqa: N802, D102
        return messages.service(self._state.service(ServiceName.parse(request.name)))

    async def ListServices(  # noqa: N802, D102
        self, _request: pb.ListServicesRequest, _caller: Identity
    ) -> pb.ListServicesResponse:
        response = pb.ListServicesResponse()
        async for some in in_parts([service for _, service in sorted(self._state.services.items())]):
            response.services.extend(map(messages.service, some))
        return response

    async def Lookup(self, request: pb.LookupRequest, caller: Identity) -> bytes:  # noqa: N802, D102
        answer = self._standing(request, caller)
        return answer if answer is not None else await self._lookup(request, caller)

    async def LookupStream(self, context: Any, caller: Identity) -> None:  # noqa: N802, D102
        stream = _Answers()
        reader = asyncio.create_task(self._read(context, caller, stream))
        try:
            await stream.write_to(context)
        finally:
            reader.cancel()

    async def _read(self, context: Any, caller: Identity, stream: _Answers) -> None:
        try:
            while (request := await context.read()) is not grpc.aio.EOF:
                try:
                    answer = self._standing(request, caller)
                    if answer is None:
                        self._begin(request, caller, stream)
                except MoorlineError as error:
                    answer = _failure(request, error)
                if answer is not None:
                    stream.add(answer)
                if stream.full:
                    await stream.room()
        finally:
            stream.no_more_requests()

    def _begin(self, request: pb.LookupRequest, caller: Identity, stream: _Answers) -> None:
        client, server = self._names(request, caller)

        def answer(connection: Connection) -> bytes:
            return self._reply(connection, client, request.request_id, caller)

        stream.wait_for(self._connections.begin_lookup(client, server), request, answer)

    def _standing(self, request: pb.LookupRequest, caller: Identity) -> bytes | None:
        """The answer when nothing has to be done for it: names already canonical, the connection standing."""
        connection = self._connections.standing(request.client, request.server)
        if connection is None:
            return None
        return self._reply(connection, request.client, request.request_id, caller)

    async def _lookup(self, request: pb.LookupRequest, caller: Identity) -> bytes:
        client, server = self._names(request, caller)
        connection = await self._connections.lookup(client, server)
        return self._reply(connection, client, request.request_id, caller)

    def _names(self, request: pb.LookupRequest, caller: Identity) -> tuple[str, str]:
        """Canonical names, checked before anything is made for them."""
        client = str(ServiceName.parse(request.client))
        # Whoever may not act for the client learns nothing of the server.
        require_host(caller, self._state.service(client))
        return client, str(ServiceName.parse(request.server))

    @staticmethod
    def _reply(connection: Connection, client: str, request_id: int, caller: Identity) -> bytes:
        asking = connection.client if connection.client.name == client else connection.server
        require_host(caller, asking)
        return answers.answer(connection, client, with_key=not is_operator(caller), request_id=request_id)


class _Answers:
    """Answers in the order in which they become known, until there are no requests left."""

    def __init__(self) -> None:
        self._ready: deque[bytes] = deque()
        self._open = 0
        self._wake = asyncio.Event()
        self._less = asyncio.Event()
        self._ended = False

    @property
    def full(self) -> bool:
        """Whether the reader has to wait."""
        return self._open + len(self._ready) >= MAX_OPEN_LOOKUPS

    def add(self, answer: bytes) -> None:
        self._ready.append(answer)
        self._wake.set()

    def wait_for(
        self,
        lookup: asyncio.Task[Connection],
        request: pb.LookupRequest,
        answer: Callable[[Connection], bytes],
    ) -> None:
        """Add the answer to ``request`` when its lookup, which others may share, is done."""

        def done(_: asyncio.Task[Connection]) -> None:
            self._open -= 1
            try:
                self._ready.append(answer(lookup.result()))
            except MoorlineError as error:
                self._ready.append(_failure(request, error))
            except Exception:
                log.exception("lookup_failed")
                self._ready.append(answers.failure(request, grpc.StatusCode.INTERNAL.value[0], FAULT))
            finally:
                self._less.set()
                self._wake.set()

        self._open += 1
        lookup.add_done_callback(done)

    async def room(self) -> None:
        while self.full:
            self._less.clear()
            await self._less.wait()

    def no_more_requests(self) -> None:
        self._ended = True
        self._wake.set()

    async def write_to(self, context: Any) -> None:
        while True:
            while self._ready:
                await context.write(self._ready.popleft())
                self._less.set()
            if self._ended and not self._open:
                return
            self._wake.clear()
            await self._wake.wait()


def _failure(request: pb.LookupRequest, error: MoorlineError) -> bytes:
    return answers.failure(request, status_of(error).value[0], str(error))
