# SPDX-License-Identifier: Apache-2.0
"""New SCIDs for a connection, and another way if its relays are others now: make before break.

The connection is stored, then programmed, in three steps. First its new path is prepared at all nodes, beside
the one that is used. Then both ends send on the new one; what was sent before is still accepted. When the
grace time is over, the former path is taken away.

A controller that dies on the way finds in its store how far it had come: a path that was only prepared is
given up, a former one taken away when both ends have surely left it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import structlog

from control.connection_records import Connection, Path
from control.connections import Connections
from control.errors import ControlError, ExhaustedError, NodeAwayError, NotFoundError, PreconditionError
from control.events import Events, Kind
from control.legs import lay, route
from control.records import Status
from control.sessions import Sessions
from control.southbound.dataplanes import DataPlanes
from control.state import State
from control.store.base import Store, Transaction

log = structlog.get_logger(__name__)

MAX_FORMER: Final = 8
"""Former paths of one connection at a time: each takes a slot at each of its nodes."""

POLL_SECONDS: Final = 1.0
"""Between two looks at whether an end that was away has come back."""


class Rotations:
    """Rotates connections, and takes their former paths away.

    Args:
        state: the records.
        store: where they are kept.
        planes: the data planes.
        sessions: the agents.
        events: who watches.
        connections: their life, of which a rotation is a part.
        grace_seconds: how long packets with former SCIDs are accepted.
    """

    def __init__(
        self,
        state: State,
        store: Store,
        planes: DataPlanes,
        sessions: Sessions,
        events: Events,
        connections: Connections,
        grace_seconds: float,
    ) -> None:
        self._state = state
        self._store = store
        self._planes = planes
        self._sessions = sessions
        self._events = events
        self._connections = connections
        self._grace_seconds = grace_seconds
        self._tasks: set[asyncio.Task[None]] = set()

    async def resume(self) -> None:
        """Bring rotations of an earlier controller to their end."""
        unfinished = [c for c in self._state.connections.values() if c.former or c.upcoming is not None]
        for connection in unfinished:
            for path in connection.former:
                self._begin_grace(connection, path, switched=False)
            await self._connections.run_alone(connection, self._give_up(connection))

    def close(self) -> None:
        """Leave grace times to the next controller."""
        for task in self._tasks:
            task.cancel()

    async def rotate(self, connection: Connection) -> Connection:
        """Give ``connection`` new SCIDs along the relays of now.

        Raises:
            PreconditionError: it has no channel; two neighbours on its new way have no family in common.
            NodeAwayError: a node on its new way cannot be programmed now. It is as it was before.
            ExhaustedError: no slot is left, or it was rotated too often within the grace time.
        """
        await self._connections.run_alone(connection, self._rotate(connection))
        return connection

    async def _rotate(self, connection: Connection) -> None:
        if self._gone(connection):
            raise NotFoundError("the connection was closed meanwhile: list the connections")
        if connection.status is Status.LOCAL:
            raise PreconditionError(
                f"{connection.client.name} and {connection.server.name} are on one node and have no channel: "
                "there is nothing to rotate"
            )
        if len(connection.former) >= MAX_FORMER:
            raise ExhaustedError(
                f"{MAX_FORMER} former paths of this connection are still in their grace time: rotate it later"
            )
        await self._give_up(connection)  # what the store failed at, the last time
        nodes = route(self._state, *connection.nodes)
        self._connections.require_way(nodes)
        if connection.status is Status.DOWN:
            await self._replace_unused(connection, lay(self._state, nodes))
            return
        await self._prepare(connection, lay(self._state, nodes))
        await self._switch(connection)

    # ---- the steps -----------------------------------------------------------------------------------------

    async def _prepare(self, connection: Connection, path: Path) -> None:
        """Let packets come in on ``path``; nobody sends there yet."""
        await self._put(replace(connection, upcoming=path), path)
        connection.upcoming = path
        self._state.add_path(connection, path)
        self._connections.tell_path(path)
        try:
            await self._planes.install_receivers(connection, path)
        except ControlError:
            await self._give_up(connection)
            raise

    async def _give_up(self, connection: Connection) -> None:
        """Forget the upcoming path, if there is one."""
        path = connection.upcoming
        if path is None or self._gone(connection):
            return
        await self._store.commit(
            Transaction(puts={connection.key: replace(connection, upcoming=None).encode()})
        )
        connection.upcoming = None
        await self._remove(connection, path)

    async def _switch(self, connection: Connection) -> None:
        """Let both ends send on the upcoming path."""
        before, path = connection.path, connection.upcoming
        assert path is not None
        changed = replace(connection, path=path, upcoming=None, former=(*connection.former, before))
        await self._store.commit(Transaction(puts={connection.key: changed.encode()}))
        self._take_over(connection, changed)
        try:
            await self._planes.install_senders(connection)
            switched = True
        except ControlError as error:
            # It is stored: reconciliation does the same, at once or when that end is back.
            log.info("rotation_left_to_reconciliation", why=str(error))
            switched = False
            if not isinstance(error, NodeAwayError):
                for node in connection.nodes:
                    self._planes.redial(node)
        self._tell(connection, before)
        self._begin_grace(connection, before, switched=switched)

    async def _retire(self, connection: Connection, path: Path) -> None:
        """Refuse what still comes on a former path."""
        if self._gone(connection) or path not in connection.former:
            return  # closed or taken down meanwhile
        changed = replace(connection, former=tuple(other for other in connection.former if other != path))
        await self._store.commit(Transaction(puts={connection.key: changed.encode()}))
        connection.former = changed.former
        await self._remove(connection, path)
        self._events.publish(Kind.CHANGED, connection)

    # ---- helpers -------------------------------------------------------------------------------------------

    async def _replace_unused(self, connection: Connection, path: Path) -> None:
        """Give a connection whose channel is down another path: nothing of either is programmed."""
        before = connection.path
        changed = replace(connection, path=path)
        await self._put(changed, path)
        self._take_over(connection, changed)
        self._state.add_path(connection, path)
        self._connections.tell_path(path)
        await asyncio.gather(*self._planes.install_neighbours(path), return_exceptions=True)
        await self._remove(connection, before)
        self._tell(connection, before)

    async def _put(self, changed: Connection, path: Path) -> None:
        """Store a connection with a new path; its slots are free again if that fails."""
        try:
            await self._store.commit(Transaction(puts={changed.key: changed.encode()}))
        except ControlError:
            self._state.release_slots(path)
            raise

    async def _remove(self, connection: Connection, path: Path) -> None:
        """Forget a path that is in the record no longer, and its rows."""
        rows = {node.id: self._planes.entries.receiving(connection, path, node) for node in path.nodes}
        self._state.remove_path(connection, path)
        self._connections.tell_path_removed(path)
        await self._planes.uninstall((path,), rows)

    @staticmethod
    def _take_over(connection: Connection, changed: Connection) -> None:
        connection.path, connection.upcoming = changed.path, changed.upcoming
        connection.former, connection.answers = changed.former, None

    def _tell(self, connection: Connection, before: Path) -> None:
        for node in connection.nodes:
            self._sessions.translation(node, connection, before.scid_at(node))
        self._events.publish(Kind.CHANGED, connection)
        log.info(
            "connection_rotated",
            client=connection.client.name,
            server=connection.server.name,
            relays=[relay.name for relay in connection.path.relays],
        )

    def _begin_grace(self, connection: Connection, path: Path, *, switched: bool) -> None:
        task = asyncio.create_task(self._end_grace(connection, path, switched))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_grace(self, connection: Connection, path: Path, switched: bool) -> None:
        while not switched:
            await asyncio.sleep(POLL_SECONDS)
            if self._gone(connection):
                return
            switched = all(self._planes.of(node).converged for node in connection.nodes)
        await asyncio.sleep(self._grace_seconds)
        try:
            await self._connections.run_alone(connection, self._retire(connection, path))
        except ControlError as error:
            log.error("former_path_not_removed", why=str(error))
            await asyncio.sleep(POLL_SECONDS)
            self._begin_grace(connection, path, switched=True)

    def _gone(self, connection: Connection) -> bool:
        return self._state.connections.get(connection.id) is not connection
