# SPDX-License-Identifier: Apache-2.0
"""Accounting: reads the counters of connections from the data planes, on demand and every few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Final

import structlog
from finsy.proto import p4r

from control.errors import NodeAwayError
from control.records import USAGE, Connection, Node
from control.southbound.contract import canonical
from control.southbound.dataplanes import DataPlanes
from control.state import State
from control.store.base import Store, Transaction
from control.usage import Flow, Usage
from moorline.addresses import MAPPED_PREFIX

log = structlog.get_logger(__name__)

FRESH: Final = 0.5
"""Seconds for which a reading of all counters of a node is good enough for whoever asks."""

STORE_INTERVAL: Final = 60.0
"""Seconds between two writings of what changed; a crash may lose so much of the accounts."""

_SHARE: Final = 20
"""At most one part in so many of the time goes into reading counters."""

_CHUNK: Final = 500
_MAPPED: Final = canonical(MAPPED_PREFIX)


class Accounting:
    """The accounts of all connections that carried anything."""

    def __init__(self, state: State, store: Store, planes: DataPlanes, interval: float) -> None:
        self._state = state
        self._store = store
        self._planes = planes
        self._interval = interval
        self._accounts: dict[int, Usage] = {}
        self._changed: set[int] = set()
        self._polled: dict[int, float] = {}
        self._polls: dict[int, asyncio.Task[None]] = {}

    async def load(self) -> None:
        """Take up the stored accounts."""
        for entry in (await self._store.scan(USAGE)).entries:
            scid = int(entry.key.removeprefix(USAGE), 16)
            if scid in self._state.connections:
                self._accounts[scid] = Usage.decode(entry.value)

    async def run(self) -> None:
        """Read and store, for ever."""
        stored = time.monotonic()
        while True:
            begun = time.monotonic()
            await self.refresh(self._state.nodes.values())
            if time.monotonic() - stored >= STORE_INTERVAL:
                await self.save()
                stored = time.monotonic()
            await asyncio.sleep(max(self._interval, _SHARE * (time.monotonic() - begun)))

    # ---- for those who ask ---------------------------------------------------------------------------------

    def flows(self, connection: Connection) -> tuple[Flow, Flow]:
        """What client and server sent, as last read."""
        usage = self._accounts.get(connection.scid)
        return (usage.client.flow, usage.server.flow) if usage else (Flow(), Flow())

    async def refresh(self, nodes: Iterable[Node]) -> None:
        """Read all counters of ``nodes`` unless that was just done; those away keep what they had."""
        await asyncio.gather(*(self._poll_once(node) for node in list(nodes)))

    async def refresh_one(self, connection: Connection) -> None:
        """Read the counters of one connection."""
        ends = connection.nodes
        for node in ends[:1] if ends[0] is ends[1] else ends:
            await self._read(node, self._entities(connection, node))

    # ---- for the life of connections -----------------------------------------------------------------------

    async def settle(self, connection: Connection) -> None:
        """Take a last reading before the entries of ``connection`` are deleted."""
        await self.refresh_one(connection)
        usage = self._accounts.get(connection.scid)
        if usage is not None:
            usage.client.restart()
            usage.server.restart()

    def key_of(self, connection: Connection) -> str:
        """The key of its account in the store."""
        return f"{USAGE}{connection.scid:016x}"

    def forget(self, connection: Connection) -> None:
        """The connection is closed and its account deleted from the store."""
        self._accounts.pop(connection.scid, None)
        self._changed.discard(connection.scid)

    async def save(self) -> None:
        """Store what changed."""
        changed, self._changed = list(self._changed), set()
        for start in range(0, len(changed), _CHUNK):
            puts = {
                f"{USAGE}{scid:016x}": self._accounts[scid].encode()
                for scid in changed[start : start + _CHUNK]
                if scid in self._accounts
            }
            await self._store.commit(Transaction(puts=puts))

    # ---- reading -------------------------------------------------------------------------------------------

    async def _poll_once(self, node: Node) -> None:
        if time.monotonic() - self._polled.get(node.id, 0.0) < FRESH:
            return
        task = self._polls.get(node.id)
        if task is None:
            task = self._polls[node.id] = asyncio.create_task(self._poll(node))
            task.add_done_callback(lambda _: self._polls.pop(node.id, None))
        await asyncio.shield(task)

    async def _poll(self, node: Node) -> None:
        entry = p4r.TableEntry(table_id=self._planes.entries.connection_table, counter_data=p4r.CounterData())
        await self._read(node, [p4r.Entity(table_entry=entry)])
        self._polled[node.id] = time.monotonic()

    async def _read(self, node: Node, entities: list[p4r.Entity]) -> None:
        touched: set[int] = set()
        try:
            if not entities or not self._planes.of(node).ready:
                return
            async for batch in self._planes.of(node).read(*entities):
                for start in range(0, len(batch), _CHUNK):
                    for entity in batch[start : start + _CHUNK]:
                        self._take(node, entity.table_entry, touched)
                    await asyncio.sleep(0)
        except NodeAwayError as error:
            log.info("counters_unread", node=node.name, why=str(error))
        now = time.monotonic()
        for scid in touched:
            if (usage := self._accounts.get(scid)) is not None:
                connection = self._state.connections[scid]
                (usage.client if connection.client.node is node else usage.server).measure(now)

    def _take(self, node: Node, entry: p4r.TableEntry, touched: set[int]) -> None:
        counted = entry.counter_data
        if not counted.packet_count or entry.action.action.action_id != self._planes.entries.encapsulate:
            return
        scid = int.from_bytes(entry.action.action.params[0].value, "big")
        connection = self._state.connections.get(scid)
        if connection is None:
            return
        usage = self._accounts.setdefault(scid, Usage())
        meter = usage.client if connection.client.node is node else usage.server
        destination = canonical(entry.match[2].exact.value)
        before = meter.flow.packets
        meter.read(
            4 if len(destination) == len(_MAPPED) + 4 and destination.startswith(_MAPPED) else 6,
            counted.packet_count,
            counted.byte_count,
        )
        touched.add(scid)
        if meter.flow.packets != before:
            self._changed.add(scid)

    def _entities(self, connection: Connection, node: Node) -> list[p4r.Entity]:
        entities = []
        for row in self._planes.entries.of_connection(connection, node)[1:]:
            entry = p4r.TableEntry(table_id=row.table, counter_data=p4r.CounterData())
            for number, value in enumerate(row.match, 1):
                entry.match.add(field_id=number).exact.value = value
            entities.append(p4r.Entity(table_entry=entry))
        return entities
