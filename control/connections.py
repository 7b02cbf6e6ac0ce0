# SPDX-License-Identifier: Apache-2.0
"""Service connections: found or made, taken down and up again, closed.

Every change is stored first, then the data planes are programmed. At most one operation runs on a pair of
services at a time; it runs to its end even when whoever asked for it has gone away.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from control.accounting import Accounting
from control.connection_records import Connection, Path
from control.errors import (
    ControlError,
    DeniedError,
    InvalidRequestError,
    NodeAwayError,
    NotFoundError,
    PreconditionError,
)
from control.events import Events, Kind
from control.graphs.guide import Guide
from control.legs import lay, route
from control.records import Node, Service, Status
from control.rejects import Rejects
from control.rules import RuleBook
from control.sessions import Sessions
from control.southbound.contract import MODIFY, Row
from control.southbound.dataplanes import DataPlanes
from control.state import State, pair_of
from control.store.base import Store, Transaction
from moorline.paths import have_common_family

_KEY_OCTETS: Final = 32
_CHUNK: Final = 500

Pair = tuple[str, str]


class Connections:
    """The life of connections."""

    def __init__(
        self,
        state: State,
        store: Store,
        rules: RuleBook,
        planes: DataPlanes,
        sessions: Sessions,
        events: Events,
        usage: Accounting,
        rejects: Rejects,
        guide: Guide,
        idle_timeout_seconds: int,
    ) -> None:
        self._state = state
        self._store = store
        self._rules = rules
        self._planes = planes
        self._sessions = sessions
        self._events = events
        self._usage = usage
        self._rejects = rejects
        self._guide = guide
        self._idle_timeout_seconds = idle_timeout_seconds
        self._operations: dict[Pair, asyncio.Task[Any]] = {}
        self._lookups: dict[Pair, asyncio.Task[Connection]] = {}
        """By client and server: the rules may allow one direction only."""

    # ---- lookup --------------------------------------------------------------------------------------------

    def standing(self, client: str, server: str) -> Connection | None:
        """The connection of two services (canonical names) if nothing has to be done for it."""
        connection = self._state.pairs.get((client, server) if client < server else (server, client))
        if connection is None or not connection.programmed or connection.status is Status.DOWN:
            return None
        return connection

    async def lookup(self, client: str, server: str) -> Connection:
        """The connection of two services, made or brought up when needed, programmed at both ends.

        Raises:
            NotFoundError: one of them is not registered.
            DeniedError: the rules forbid it.
            NodeAwayError: an end cannot be programmed now.
            ExhaustedError: no slot or no room in a table.
        """
        connection = self.standing(client, server)
        if connection is not None:
            return connection
        return await asyncio.shield(self.begin_lookup(client, server))

    def begin_lookup(self, client: str, server: str) -> asyncio.Task[Connection]:
        """The task that makes the connection, or brings it up; all who ask the same meanwhile share it."""
        asked = client, server
        task = self._lookups.get(asked)
        if task is None:
            task = asyncio.create_task(self._alone(pair_of(client, server), self._establish(client, server)))
            self._lookups[asked] = task
            task.add_done_callback(lambda _: self._lookups.pop(asked, None))
        return task

    async def _establish(self, client_name: str, server_name: str) -> Connection:
        connection = self._state.pairs.get(pair_of(client_name, server_name))
        if connection is None:
            return await self._make(self._state.service(client_name), self._state.service(server_name))
        if connection.status is Status.DOWN:
            await self._resume(connection)
        elif not connection.programmed:
            await self._program(connection)
        return connection

    async def _make(self, client: Service, server: Service) -> Connection:
        self._permit(client, server)
        nodes = route(self._state, client.node, server.node)
        self.require_way(nodes)
        connection = self._new(client, server, nodes)
        self._lead(connection)
        try:
            await self._store.commit(
                Transaction(compares={connection.key: 0}, puts={connection.key: connection.encode()})
            )
        except ControlError:
            self._state.release_slots(connection.path)
            raise
        try:
            self._permit(client, server)  # services and rules may have changed while it was stored
        except ControlError:
            self._state.release_slots(connection.path)
            await self._store.commit(Transaction(deletes=frozenset([connection.key])))
            raise
        self._state.add_connection(connection)
        self._tell_added(connection)
        await self._program(connection)
        return connection

    def _permit(self, client: Service, server: Service) -> None:
        for service in (client, server):
            if service.leaving or self._state.services.get(service.name) is not service:
                raise NotFoundError(f"service {service.name} has just been taken back: register it again")
        if client is server:
            raise InvalidRequestError(f"{client.name} asks for a connection to itself: name another service")
        if not (client.ipv4 and server.ipv4) and not (client.ipv6 and server.ipv6):
            raise PreconditionError(
                f"{client.name} and {server.name} have no address family in common: register the plain "
                "host with an address of both"
            )
        if not self._rules.allows(client.name, server.name):
            raise DeniedError(f"no rule lets {client.name} connect to {server.name}: put one that allows it")

    def require_way(self, nodes: tuple[Node, ...]) -> None:
        """Raise an error unless each of ``nodes`` reaches the next, and all can be programmed now."""
        if len(nodes) == 1:
            return
        for one, other in pairwise(nodes):
            if not have_common_family(one.locators, other.locators):
                raise PreconditionError(
                    f"nodes {one.name} and {other.name} have no address family in common: give both IPv4 or "
                    "IPv6"
                )
        self._planes.require(*nodes)

    def _new(self, client: Service, server: Service, nodes: tuple[Node, ...]) -> Connection:
        path = lay(self._state, nodes)
        local = len(nodes) == 1
        return Connection(
            path.scids[0],
            client,
            server,
            secrets.token_bytes(_KEY_OCTETS),
            path,
            Status.LOCAL if local else Status.UP,
            0 if local else self._idle_timeout_seconds,
            time.time_ns(),
        )

    def _lead(self, connection: Connection) -> None:
        """Let a graph lead a connection that is not known yet, if one applies to it."""
        through = self._guide.through(connection.client, connection.server)
        if through is not None:
            try:
                self._guide.require(through, connection.path.nodes)
                self._planes.require(*through.nodes)
            except ControlError:
                self._state.release_slots(connection.path)
                raise
            connection.through, connection.passing = through, through.nodes

    async def _program(self, connection: Connection) -> None:
        """Program both ends; what a data plane refuses for good is closed again."""
        if connection.through is not None:
            await self._guide.reach(connection)
        rows = self._rows(connection)
        if any(rows.values()):
            if self._rejects:
                for number, some in rows.items():
                    self._rejects.replaced(number, some)
            try:
                await self._planes.install(connection, rows)
            except NodeAwayError:
                raise
            except ControlError:
                await self._close(connection)
                raise
        connection.programmed = True

    # ---- down and up ---------------------------------------------------------------------------------------

    async def suspend(self, connection: Connection) -> Connection:
        """Take the data channel down; it comes back by :meth:`lookup`, also from a packet."""
        await self.run_alone(connection, self._suspend(connection))
        return connection

    async def _suspend(self, connection: Connection) -> None:
        if connection.status is Status.LOCAL:
            raise PreconditionError(
                f"{connection.client.name} and {connection.server.name} are on one node and have no channel: "
                "close the connection instead"
            )
        if connection.status is Status.DOWN or self._gone(connection):
            return
        await self._usage.refresh_some([connection])
        rows, former = self._rows(connection), connection.former
        await self._store_status(connection, Status.DOWN)
        for path in former:
            self._state.remove_path(connection, path)
            self.tell_path_removed(path)
        self._usage.counters_deleted(connection)
        connection.programmed = False
        self._tell_changed(connection)
        await self._planes.uninstall(former, rows)

    async def _resume(self, connection: Connection) -> None:
        self._planes.require(*connection.path.nodes)
        await self._store_status(connection, Status.UP)
        self._tell_changed(connection)
        await self._program(connection)

    async def _store_status(self, connection: Connection, status: Status) -> None:
        """Store it; a channel that goes down or comes up has no former paths."""
        changed = replace(connection, status=status, former=())
        await self._store.commit(Transaction(puts={connection.key: changed.encode()}))
        connection.status, connection.former = status, ()

    # ---- what it carries -----------------------------------------------------------------------------------

    async def mtu_changed(self, node: Node) -> None:
        """Let the senders know what the ways over ``node`` carry now."""
        connections = self._state.connections_over(node)
        for start in range(0, len(connections), _CHUNK):
            some = connections[start : start + _CHUNK]
            await asyncio.gather(*(self.run_alone(c, self._tell_senders(c)) for c in some))

    async def _tell_senders(self, connection: Connection) -> None:
        if self._gone(connection) or connection.status is not Status.UP:
            return
        connection.answers = None
        waiting: list[asyncio.Future[None]] = []
        for node in connection.nodes:
            rows = self._planes.entries.sending(connection, node)
            waiting += self._planes.try_put(node, [(MODIFY, row) for row in rows], [])
        await asyncio.gather(*waiting, return_exceptions=True)  # a node that is away is reconciled later
        self._events.publish(Kind.CHANGED, connection)

    # ---- the end -------------------------------------------------------------------------------------------

    async def close(self, connection: Connection) -> None:
        """Forget the connection; its SCID is not used again."""
        await self.close_all([connection])

    async def close_all(self, connections: Sequence[Connection]) -> None:
        """Close many; raises the first error when the others are through."""
        for start in range(0, len(connections), _CHUNK):
            some = connections[start : start + _CHUNK]
            await self._usage.refresh_some(some)
            closing = (self.run_alone(connection, self._close(connection)) for connection in some)
            outcomes = await asyncio.gather(*closing, return_exceptions=True)
            for error in outcomes:
                if error is not None:
                    raise error

    async def close_denied(self) -> None:
        """Close what the rules no longer allow."""
        connections = list(self._state.connections.values())
        for start in range(0, len(connections), _CHUNK):
            some = connections[start : start + _CHUNK]
            denied = [c for c in some if not self._rules.allows(c.client.name, c.server.name)]
            await self.close_all(denied)
            await asyncio.sleep(0)

    async def _close(self, connection: Connection) -> None:
        if self._gone(connection):
            return
        rows = self._rows(connection)
        await self._store.commit(
            Transaction(deletes=frozenset([connection.key, self._usage.key_of(connection)]))
        )
        self._state.remove_connection(connection)
        self._usage.closed(connection)
        self._events.publish(Kind.REMOVED, connection)
        for node in dict.fromkeys(connection.nodes):
            self._sessions.translation_removed(node, connection)
        for path in connection.paths:
            self.tell_path_removed(path)
        await self._planes.uninstall(connection.paths, rows)

    # ---- helpers -------------------------------------------------------------------------------------------

    async def run_alone(self, connection: Connection, operation: Coroutine[Any, Any, None]) -> None:
        """Run ``operation`` to its end when no other is running on the services of ``connection``."""
        pair = pair_of(connection.client.name, connection.server.name)
        await asyncio.shield(asyncio.create_task(self._alone(pair, operation)))

    async def _alone(self, pair: Pair, operation: Coroutine[Any, Any, Any]) -> Any:
        """Run ``operation`` when no other is running on ``pair``."""
        while (running := self._operations.get(pair)) is not None:
            await asyncio.wait([running])
        task = asyncio.current_task()
        assert task is not None
        self._operations[pair] = task
        try:
            return await operation
        finally:
            del self._operations[pair]

    def _gone(self, connection: Connection) -> bool:
        return self._state.connections.get(connection.id) is not connection

    def _rows(self, connection: Connection) -> dict[int, tuple[Row, ...]]:
        nodes = {node for path in connection.paths for node in path.nodes} | {*connection.passing}
        return {node.id: self._planes.entries.of_connection(connection, node) for node in nodes}

    def tell_path(self, path: Path) -> None:
        """Tell nodes of neighbours that are new to them; ``path`` has just been added."""
        for node, peer in path.neighbours:
            if 1 in (node.peers.get(peer.id), node.origins.get(peer.id)):
                self._sessions.peer(node, peer)

    def tell_path_removed(self, path: Path) -> None:
        """Tell nodes of neighbours that are theirs no longer; ``path`` has just been removed."""
        for node, peer in path.neighbours:
            if peer.id not in node.peers:
                self._sessions.peer_removed(node, peer)
            elif node in path.relays and peer.id not in node.origins:
                self._sessions.peer(node, peer)

    def _tell_added(self, connection: Connection) -> None:
        self._events.publish(Kind.ADDED, connection)
        self.tell_path(connection.path)
        for node in dict.fromkeys(connection.nodes):
            self._sessions.translation(node, connection)

    def _tell_changed(self, connection: Connection) -> None:
        self._events.publish(Kind.CHANGED, connection)
        for node in dict.fromkeys(connection.nodes):
            self._sessions.translation(node, connection)
