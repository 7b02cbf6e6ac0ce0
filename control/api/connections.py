# SPDX-License-Identifier: Apache-2.0
"""``moorline.v1.Connections`` and ``moorline.v1.Rules``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

from control import messages
from control.accounting import Accounting
from control.api.access import is_operator, require_end, require_operator
from control.api.parts import in_parts
from control.connection_records import Connection
from control.connections import Connections
from control.events import Events, Kind
from control.policy import Policy
from control.rotation import Rotations
from control.state import State
from moorline.api.v1 import moorline_pb2 as pb
from moorline.errors import MoorlineError
from moorline.names import NodeName, ServiceName
from moorline.tls import Identity


class ConnectionsServicer:
    """See the proto file for what each method does."""

    def __init__(
        self,
        state: State,
        connections: Connections,
        rotations: Rotations,
        accounting: Accounting,
        events: Events,
    ) -> None:
        self._state = state
        self._connections = connections
        self._rotations = rotations
        self._accounting = accounting
        self._events = events

    async def ListConnections(  # noqa: N802, D102
        self, request: pb.ListConnectionsRequest, caller: Identity
    ) -> pb.ListConnectionsResponse:
        chosen = self._chosen(request, caller)
        await self._accounting.refresh({node for c in chosen for node in c.nodes})
        response = pb.ListConnectionsResponse()
        async for some in in_parts(chosen):
            standing = (c for c in some if c.id in self._state.connections)
            response.connections.extend(map(self._message, standing))
        return response

    async def GetConnection(self, request: pb.GetConnectionRequest, caller: Identity) -> pb.Connection:  # noqa: N802, D102
        connection = self._sought(request.scid, caller)
        await self._accounting.refresh_some([connection])
        return self._message(connection)

    async def WatchConnections(  # noqa: N802, D102
        self, _request: pb.WatchConnectionsRequest, caller: Identity
    ) -> AsyncIterator[pb.ConnectionEvent]:
        events = self._events.watch()
        upcoming = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)  # from here on nothing is missed
        try:
            for connection in list(self._state.connections.values()):
                if self._visible(connection, caller):
                    yield self._event(Kind.PRESENT, connection)
            while True:
                kind, connection = await upcoming
                upcoming = asyncio.ensure_future(anext(events))
                if self._visible(connection, caller):
                    yield self._event(kind, connection)
        finally:
            upcoming.cancel()
            with suppress(asyncio.CancelledError, MoorlineError):
                await upcoming
            await events.aclose()

    async def CloseConnection(  # noqa: N802, D102
        self, request: pb.CloseConnectionRequest, caller: Identity
    ) -> pb.CloseConnectionResponse:
        await self._connections.close(self._sought(request.scid, caller))
        return pb.CloseConnectionResponse()

    async def SuspendConnection(  # noqa: N802, D102
        self, request: pb.SuspendConnectionRequest, caller: Identity
    ) -> pb.Connection:
        connection = self._sought(request.scid, caller)
        return self._message(await self._connections.suspend(connection))

    async def RotateConnection(  # noqa: N802, D102
        self, request: pb.RotateConnectionRequest, caller: Identity
    ) -> pb.Connection:
        connection = self._sought(request.scid, caller)
        return self._message(await self._rotations.rotate(connection))

    def _sought(self, scid: int, caller: Identity) -> Connection:
        connection = self._state.connection(scid)
        require_end(caller, connection)
        return connection

    def _chosen(self, request: pb.ListConnectionsRequest, caller: Identity) -> list[Connection]:
        if request.service:
            name = self._state.service(ServiceName.parse(request.service)).name
            found = list(self._state.connections_by_service.get(name, ()))
        elif request.node:
            node = self._state.node(NodeName.parse(request.node))
            found = self._state.connections_over(node)
        else:
            found = list(self._state.connections.values())
        chosen = [c for c in found if self._visible(c, caller)]
        if request.service and request.node:
            chosen = [c for c in chosen if request.node in (node.name for node in c.path.nodes)]
        return sorted(chosen, key=lambda connection: connection.created_ns)

    @staticmethod
    def _visible(connection: Connection, caller: Identity) -> bool:
        return is_operator(caller) or caller.name in (node.name for node in connection.nodes)

    def _event(self, kind: Kind, connection: Connection) -> pb.ConnectionEvent:
        return pb.ConnectionEvent(
            kind=int(kind),  # type: ignore[arg-type]
            connection=self._message(connection),
            time_ns=time.time_ns(),
        )

    def _message(self, connection: Connection) -> pb.Connection:
        return messages.connection(connection, self._accounting.flows(connection))


class RulesServicer:
    """See the proto file for what each method does."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def PutRule(self, request: pb.Rule, caller: Identity) -> pb.Rule:  # noqa: N802, D102
        require_operator(caller)
        rule = await self._policy.put(request.name, request.client, request.server, request.allow)
        return messages.rule(rule)

    async def DeleteRule(self, request: pb.DeleteRuleRequest, caller: Identity) -> pb.DeleteRuleResponse:  # noqa: N802, D102
        require_operator(caller)
        await self._policy.delete(request.name)
        return pb.DeleteRuleResponse()

    async def ListRules(self, _request: pb.ListRulesRequest, _caller: Identity) -> pb.ListRulesResponse:  # noqa: N802, D102
        book = self._policy.book
        return pb.ListRulesResponse(rules=map(messages.rule, book.ordered), default_allow=book.default_allow)
