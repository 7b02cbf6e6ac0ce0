# SPDX-License-Identifier: Apache-2.0
"""Service connections led by graphs: their change from one service path to another.

A connection changes over in three steps, each of which stands before the next: it is known at all nodes of
its new service paths, and taken from anywhere; its ends send on them; and, when the grace time is over, it is
forgotten where it no longer passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final

from control.connection_records import Connection, Through
from control.connections import Connections
from control.errors import ControlError, NodeAwayError
from control.events import Events, Kind
from control.graphs.guide import Guide
from control.records import Node, Status
from control.southbound.contract import DELETE, INSERT, MODIFY
from control.southbound.dataplanes import DataPlanes
from control.state import State

_CHUNK: Final = 500


class Changeover:
    """Lets standing connections follow when graphs, or the site, have changed."""

    def __init__(
        self, state: State, planes: DataPlanes, connections: Connections, events: Events, guide: Guide
    ) -> None:
        self._state = state
        self._planes = planes
        self._connections = connections
        self._events = events
        self._guide = guide

    def take_up(self) -> None:
        """Lead the connections that were loaded, before any data plane is dialled."""
        for connection in self._state.connections.values():
            through = self._guide.through(connection.client, connection.server)
            if through is not None and not connection.path.relays:
                connection.through = through
                self._state.let_pass(connection, through.nodes)

    async def follow(self) -> None:
        """Lead all connections as the graphs say now; raises the first refusal of a data plane."""
        changed = [one for one in self._state.connections.values() if self._differs(one)]
        await self._each(changed, self._change)

    async def settle(self) -> None:
        """Forget connections where they no longer pass: nothing of before is on its way any more."""
        left = [one for one in self._state.connections.values() if one.passing != _nodes_of(one)]
        await self._each(left, self._narrow)

    async def _each(
        self, connections: Sequence[Connection], operation: Callable[[Connection], Coroutine[Any, Any, None]]
    ) -> None:
        for start in range(0, len(connections), _CHUNK):
            some = connections[start : start + _CHUNK]
            work = (self._connections.run_alone(one, operation(one)) for one in some)
            for outcome in await asyncio.gather(*work, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome

    def _differs(self, connection: Connection) -> bool:
        return self._wanted(connection) != connection.through

    def _wanted(self, connection: Connection) -> Through | None:
        if connection.path.relays:
            return None
        return self._guide.through(connection.client, connection.server)

    async def _change(self, connection: Connection) -> None:
        wanted = self._wanted(connection)
        if self._gone(connection) or wanted == connection.through:
            return
        if wanted is not None:
            self._state.let_pass(connection, tuple(dict.fromkeys((*connection.passing, *wanted.nodes))))
        if connection.status is Status.UP:
            await self._write(connection, (*connection.passing, *connection.nodes))
        connection.last_through = connection.through
        connection.through, connection.answers = wanted, None
        if connection.status is Status.UP:
            await self._write(connection, connection.passing)
            await self._write(connection, connection.nodes)
        self._events.publish(Kind.CHANGED, connection)

    async def _write(self, connection: Connection, nodes: Iterable[Node]) -> None:
        """Write its rows anew at ``nodes``; those that are away are reconciled later."""
        waiting: list[asyncio.Future[None]] = []
        for node in dict.fromkeys(nodes):
            rows = self._planes.entries.of_connection(connection, node)
            waiting += self._planes.try_put(node, [(MODIFY, row) for row in rows], [])
        await _refused(waiting)

    async def _narrow(self, connection: Connection) -> None:
        kept = _nodes_of(connection)
        if self._gone(connection) or connection.passing == kept:
            return
        entries, nodes = self._planes.entries, (*connection.passing, *connection.nodes)
        before = {node: entries.of_connection(connection, node) for node in nodes}
        self._state.let_pass(connection, kept)
        connection.last_through = None
        waiting: list[asyncio.Future[None]] = []
        for node, rows in before.items():
            stands = node in connection.nodes or node in kept
            after = entries.of_connection(connection, node) if stands else ()
            keys = {row.key for row in after}
            changes = [(INSERT, row) for row in after if row not in rows]
            changes += [(DELETE, row) for row in rows if row.key not in keys]
            waiting += self._planes.try_put(node, changes, [])
        await _refused(waiting)

    def _gone(self, connection: Connection) -> bool:
        return self._state.connections.get(connection.id) is not connection


async def _refused(waiting: list[asyncio.Future[None]]) -> None:
    """Wait for all; raise the first refusal of an entry."""
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        if isinstance(outcome, ControlError) and not isinstance(outcome, NodeAwayError):
            raise outcome


def _nodes_of(connection: Connection) -> tuple[Node, ...]:
    return connection.through.nodes if connection.through is not None else ()
