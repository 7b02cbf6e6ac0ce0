# SPDX-License-Identifier: Apache-2.0
"""Channels that nobody uses: taken down once both ends say so."""

from __future__ import annotations

import asyncio

import structlog
from finsy.proto import p4r

from control.connection_records import Connection
from control.connections import Connections
from control.errors import ControlError
from control.records import Node, Status
from control.southbound.contract import RowKey
from control.southbound.dataplanes import DataPlanes
from control.state import State

log = structlog.get_logger(__name__)


class Idle:
    """Listens to idle time-outs of ``scid`` entries: each tells that its end received nothing."""

    def __init__(self, state: State, planes: DataPlanes, connections: Connections) -> None:
        self._state = state
        self._planes = planes
        self._connections = connections
        self._checks: dict[int, asyncio.Task[None]] = {}

    def notified(self, node: Node, key: RowKey) -> None:
        """An entry at ``node`` was not used for its idle time-out."""
        if key[0] != self._planes.entries.scid_table:
            return
        scid = int.from_bytes(key[1][0], "big")
        connection = self._state.connections_by_scid.get(scid)
        if connection is None or connection.status is not Status.UP or connection.id in self._checks:
            return
        if node not in connection.nodes or scid != connection.path.scid_at(node):
            return  # of a path on which nothing is sent any longer, or not yet
        task = self._checks[connection.id] = asyncio.create_task(self._check(connection))
        task.add_done_callback(lambda _: self._checks.pop(connection.id, None))

    async def _check(self, connection: Connection) -> None:
        try:
            for node in connection.nodes:
                if not await self._is_idle(connection, node):
                    return
            log.info("channel_idle", client=connection.client.name, server=connection.server.name)
            await self._connections.suspend(connection)
        except ControlError as error:
            log.info("idle_check_failed", why=str(error))

    async def _is_idle(self, connection: Connection, node: Node) -> bool:
        """Whether ``node`` has received nothing for the time-out; a notification may be outdated."""
        rows = self._planes.entries.of_connection(connection, node)
        if not rows:
            return False
        entry = p4r.TableEntry(table_id=rows[0].table, time_since_last_hit=p4r.TableEntry.IdleTimeout())
        entry.match.add(field_id=1).exact.value = rows[0].match[0]
        async for entities in self._planes.of(node).read(p4r.Entity(table_entry=entry)):
            for entity in entities:
                elapsed: int = entity.table_entry.time_since_last_hit.elapsed_ns
                return elapsed >= connection.idle_timeout_seconds * 1_000_000_000
        return False
