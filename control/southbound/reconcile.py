# SPDX-License-Identifier: Apache-2.0
"""Read what a data plane has, compare it with what the state asks for, write the difference.

Changes may go on meanwhile: every difference is computed and queued in one step, without waiting in between,
so that in its lane it never overtakes, nor is overtaken by, a change that it does not know of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TypeGuard, TypeVar

from finsy.proto import p4r

from control.connection_records import Connection
from control.errors import ControlError, NodeAwayError
from control.records import Node
from control.southbound.client import P4RuntimeClient
from control.southbound.contract import DELETE, INSERT, MODIFY, Row, RowKey, read_row
from control.southbound.entries import Entries, key_only
from control.southbound.lane import BATCH, Change, Lane
from control.southbound.own_rows import OwnRows
from control.state import State

T = TypeVar("T")


async def reconcile_own(client: P4RuntimeClient, lane: Lane, own: OwnRows) -> ControlError | None:
    """Make the rows that follow from facts what they should be; returns the first refusal, if any."""
    await own.read(client)
    written = lane.put(own.changes())
    own.compared(written)
    return await _outcome([written])


async def reconcile_origins(
    client: P4RuntimeClient, lane: Lane, node: Node, state: State, entries: Entries
) -> ControlError | None:
    """Make the table ``origin`` what it should be; returns the first refusal of the target, if any."""
    there: dict[RowKey, Row] = {}
    async for entities in client.read(_all_of(entries.origin_table)):
        rows = (read_row(entity.table_entry) for entity in entities)
        there |= {row.key: row for row in rows}
    neighbours = (state.nodes_by_id[number] for number in node.origins)
    wanted = {row.key: row for row in entries.of_origins(neighbours).values()}
    changes: list[Change] = [(DELETE, key_only(key)) for key in there if key not in wanted]
    changes += [(INSERT, row) for key, row in wanted.items() if there.get(key) != row]
    return await _outcome([lane.put(changes)])


async def reconcile_locators(
    client: P4RuntimeClient, lane: Lane, node: Node, state: State, entries: Entries
) -> ControlError | None:
    """Make the table ``locator`` what it should be; returns the first refusal of the target, if any."""
    seen: set[int] = set()
    pending: list[asyncio.Future[None]] = []
    async for entities in client.read(_all_of(entries.locator_table)):
        rows = [read_row(entity.table_entry) for entity in entities]
        seen |= {int.from_bytes(row.match[0], "big") for row in rows}
        pending.append(lane.put([*_locator_differences(rows, node, state, entries)]))
    missing: list[Change] = [
        (INSERT, row)
        for number in node.peers
        if number not in seen and (row := entries.of_peer(node, state.nodes_by_id[number]))
    ]
    return await _outcome([*pending, lane.put(missing)])


def _locator_differences(rows: list[Row], node: Node, state: State, entries: Entries) -> Iterator[Change]:
    for row in rows:
        number = int.from_bytes(row.match[0], "big")
        peer = state.nodes_by_id.get(number) if number in node.peers else None
        wanted = entries.of_peer(node, peer) if peer is not None else None
        if wanted is None:
            yield DELETE, key_only(row.key)
        elif wanted != row:
            yield MODIFY, wanted


async def reconcile_connections(
    client: P4RuntimeClient, lane: Lane, node: Node, state: State, entries: Entries
) -> ControlError | None:
    """Make the tables ``scid`` and ``connection`` what they should be; returns the first refusal, if any."""
    # Bit n of seen[id]: the nth row of the connection is there (or its correction is under way).
    seen: dict[int, int] = {}
    pending: list[asyncio.Future[None]] = []
    for table in (entries.scid_table, entries.connection_table):
        async for entities in client.read(_all_of(table)):
            for part in _parts(entities):
                rows = [read_row(entity.table_entry) for entity in part]
                pending.append(lane.put([*_connection_differences(rows, node, state, entries, seen)]))
                await lane.room()
                await asyncio.sleep(0)
    for some in _parts(state.connections_over(node)):
        missing: list[Change] = []
        for connection in some:
            if not _stands_at(connection, node):
                continue  # closed meanwhile, or on another path
            there = seen.get(connection.id, 0)
            rows_wanted = entries.of_connection(connection, node)
            missing += [(INSERT, row) for n, row in enumerate(rows_wanted) if not there >> n & 1]
        pending.append(lane.put(missing))
        await lane.room()
        await asyncio.sleep(0)
    return await _outcome(pending)


def _connection_differences(
    rows: list[Row], node: Node, state: State, entries: Entries, seen: dict[int, int]
) -> Iterator[Change]:
    for row in rows:
        connection = _connection_of(row, state, entries)
        wanted = entries.of_connection(connection, node) if _stands_at(connection, node) else ()
        position = next((n for n, want in enumerate(wanted) if want.key == row.key), None)
        if connection is None or position is None:
            # Also an entry that refuses a pair: whether it still should is asked anew by the next packet. Not
            # when the same key belongs to another connection now: its own insertion replaces this entry.
            if not _wanted_by_another(row, node, state, entries):
                yield DELETE, key_only(row.key)
            continue
        seen[connection.id] = seen.get(connection.id, 0) | 1 << position
        if wanted[position] != row:
            yield MODIFY, wanted[position]


def _connection_of(row: Row, state: State, entries: Entries) -> Connection | None:
    """By the SCID in the row; by the addresses where it has none because both ends are at the node."""
    if row.action == entries.local:
        return _connection_between(row, state)
    return state.connections_by_scid.get(entries.scid_of(row))


def _connection_between(row: Row, state: State) -> Connection | None:
    source, destination = (state.service_at(address.rjust(16, b"\0")) for address in row.match[1:])
    return state.between(source, destination)


def _wanted_by_another(row: Row, node: Node, state: State, entries: Entries) -> bool:
    if row.table != entries.connection_table:
        return False
    connection = _connection_between(row, state)
    if not _stands_at(connection, node):
        return False
    return any(want.key == row.key for want in entries.of_connection(connection, node))


def _stands_at(connection: Connection | None, node: Node) -> TypeGuard[Connection]:
    """Whether ``node`` is on a path of ``connection``."""
    return connection is not None and (connection.id in node.connections or connection.id in node.relayed)


async def _outcome(pending: list[asyncio.Future[None]]) -> ControlError | None:
    """Wait for all; a lost target raises, a refused entry is returned: the others stand all the same."""
    refusal: ControlError | None = None
    for result in await asyncio.gather(*pending, return_exceptions=True):
        if isinstance(result, NodeAwayError) or not isinstance(result, ControlError | None):
            raise result
        refusal = refusal or result
    return refusal


def _all_of(table: int) -> p4r.Entity:
    return p4r.Entity(table_entry=p4r.TableEntry(table_id=table))


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
