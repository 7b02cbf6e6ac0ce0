# SPDX-License-Identifier: Apache-2.0
"""Accounting: reads the counters of connections from the data planes, on demand and every few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import structlog
from finsy.proto import p4r

from control.connection_records import Connection
from control.errors import NodeAwayError, StoreError
from control.records import USAGE, Node, Status
from control.southbound.contract import canonical
from control.southbound.dataplanes import DataPlanes
from control.state import State
from control.store.base import Store, Transaction
from control.usage import Flow, Meter, Usage
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
        self._changed: set[Connection] = set()
        self._polled: dict[int, float] = {}
        self._polls: dict[int, asyncio.Task[None]] = {}

    async def load(self) -> None:
        """Take up the stored accounts."""
        for entry in (await self._store.scan(USAGE)).entries:
            connection = self._state.connections.get(int(entry.key.removeprefix(USAGE), 16))
            if connection is not None:
                connection.usage = Usage.decode(entry.value)

    async def run(self) -> None:
        """Read and store, for ever."""
        stored = time.monotonic()
        while True:
            begun = time.monotonic()
            await self.refresh(self._state.nodes.values())
            if time.monotonic() - stored >= STORE_INTERVAL:
                with suppress(StoreError):  # which is logged; the next time all is stored that was not
                    await self.save()
                stored = time.monotonic()
            await asyncio.sleep(max(self._interval, _SHARE * (time.monotonic() - begun)))

    # ---- for those who ask ---------------------------------------------------------------------------------

    @staticmethod
    def flows(connection: Connection) -> tuple[Flow, Flow]:
        """What client and server sent, as last read; also of a connection that was closed."""
        usage = connection.usage
        return (usage.client.flow, usage.server.flow) if usage else (Flow(), Flow())

    async def refresh(self, nodes: Iterable[Node]) -> None:
        """Read all counters of ``nodes`` unless that was just done; those away keep what they had."""
        await asyncio.gather(*(self._poll_once(node) for node in list(nodes)))

    async def refresh_some(self, connections: Sequence[Connection]) -> None:
        """Read the counters of some connections."""
        wanted: dict[Node, list[p4r.Entity]] = {}
        for connection in connections:
            for node in dict.fromkeys(connection.nodes):
                wanted.setdefault(node, []).extend(self._entities(connection, node))
        await asyncio.gather(*(self._read(node, entities) for node, entities in wanted.items()))

    # ---- for the life of connections -----------------------------------------------------------------------

    @staticmethod
    def counters_deleted(connection: Connection) -> None:
        """The entries of ``connection`` are being deleted; a last reading was taken."""
        if connection.usage is not None:
            connection.usage.client.restart()
            connection.usage.server.restart()

    def key_of(self, connection: Connection) -> str:
        """The key of its account in the store."""
        return f"{USAGE}{connection.id:016x}"

    def closed(self, connection: Connection) -> None:
        """The connection is closed, and its account deleted from the store: write it into the log instead."""
        self._changed.discard(connection)
        client, server = self.flows(connection)
        log.info(
            "connection_closed",
            client=connection.client.name,
            server=connection.server.name,
            client_packets=client.packets,
            client_bytes=client.octets,
            server_packets=server.packets,
            server_bytes=server.octets,
        )

    async def save(self) -> None:
        """Store what changed; raises :class:`StoreError`."""
        changed = list(self._changed)
        for start in range(0, len(changed), _CHUNK):
            some = [c for c in changed[start : start + _CHUNK] if c in self._changed]
            puts = {self.key_of(c): c.usage.encode() for c in some if c.usage is not None}
            self._changed.difference_update(some)
            try:
                await self._store.commit(Transaction(puts=puts))
            except StoreError as error:
                log.error("accounts_not_stored", why=str(error))
                self._changed.update(c for c in some if c.id in self._state.connections)
                raise

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
        touched: dict[int, Meter] = {}
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
        for meter in touched.values():
            meter.measure(now)

    def _take(self, node: Node, entry: p4r.TableEntry, touched: dict[int, Meter]) -> None:
        counted = entry.counter_data
        if not counted.packet_count:
            return
        found = self._sender(node, entry)
        if found is None or found[0].status is Status.DOWN:
            return
        connection, meter = found
        destination = canonical(entry.match[2].exact.value)
        before = meter.flow.packets
        meter.read(
            4 if len(destination) == len(_MAPPED) + 4 and destination.startswith(_MAPPED) else 6,
            counted.packet_count,
            counted.byte_count,
        )
        touched[id(meter)] = meter
        if meter.flow.packets != before:
            self._changed.add(connection)

    def _sender(self, node: Node, entry: p4r.TableEntry) -> tuple[Connection, Meter] | None:
        """The connection that a row of the table ``connection`` sends on, and the meter of its sender."""
        entries, action = self._planes.entries, entry.action.action
        if action.action_id not in (entries.encapsulate, entries.local):
            return None
        source, destination = (
            self._state.service_at(field.exact.value.rjust(16, b"\0")) for field in entry.match[1:]
        )
        if source is None or source.node is not node:
            return None  # where it passes on a service path
        connection = self._state.between(source, destination)
        return (connection, _meter(connection, connection.client is source)) if connection else None

    def _entities(self, connection: Connection, node: Node) -> list[p4r.Entity]:
        entities = []
        for row in self._planes.entries.sending(connection, node):
            entry = p4r.TableEntry(table_id=row.table, counter_data=p4r.CounterData())
            for number, value in enumerate(row.match, 1):
                entry.match.add(field_id=number).exact.value = value
            entities.append(p4r.Entity(table_entry=entry))
        return entities


def _meter(connection: Connection, of_client: bool) -> Meter:
    """What counts that which the client sends, or the server."""
    if connection.usage is None:
        connection.usage = Usage()
    return connection.usage.client if of_client else connection.usage.server
