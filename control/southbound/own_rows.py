# SPDX-License-Identifier: Apache-2.0
"""Rows that follow from facts: of a switch what on a host its agent writes, of both the paths of graphs.

What they are is computed anew by their sources whenever something changed; the difference is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from finsy.proto import p4r

from control.errors import NodeAwayError
from control.records import Node
from control.southbound.client import P4RuntimeClient
from control.southbound.contract import DELETE, INSERT, MODIFY, Row, RowKey, read_row
from control.southbound.entries import key_only
from control.southbound.lane import Change


class RowSource(Protocol):
    """Who knows rows; all rows of its tables are its own."""

    @property
    def tables(self) -> Sequence[int]:
        """Ids of the tables."""

    def found(self, node: Node, rows: Iterable[Row]) -> None:
        """What ``node`` has in these tables, before it is compared: of use to who has just started."""

    def rows(self, node: Node) -> Iterable[Row]:
        """All rows that ``node`` is to have in these tables now."""


class OwnRows:
    """What one node has of these rows, as far as it has been read and written.

    :meth:`changes` must go into one lane, in this order, as soon as they are computed.
    """

    def __init__(self, node: Node, sources: Sequence[RowSource]) -> None:
        self._node = node
        self._sources = sources
        self._present: dict[RowKey, Row] | None = None
        self._awaited: asyncio.Future[None] | None = None

    async def read(self, client: P4RuntimeClient) -> None:
        """Find out what the node has; until then there are no :meth:`changes`."""
        self._present = None
        found: dict[RowKey, Row] = {}
        for table in (table for source in self._sources for table in source.tables):
            wanted = p4r.Entity(table_entry=p4r.TableEntry(table_id=table))
            async for entities in client.read(wanted):
                rows = (read_row(entity.table_entry) for entity in entities)
                found |= {row.key: row for row in rows}
        for source in self._sources:
            source.found(self._node, [row for row in found.values() if row.table in source.tables])
        self._present = found

    def comparison(self) -> asyncio.Future[None] | None:
        """Done when what is being read has been compared and written; None when that is through."""
        if self._present is not None:
            return None
        if self._awaited is None:
            self._awaited = asyncio.get_running_loop().create_future()
        return self._awaited

    def compared(self, written: asyncio.Future[None]) -> None:
        """The :meth:`changes` after a :meth:`read` are being written."""
        if (awaited := self._awaited) is not None:
            self._awaited = None
            written.add_done_callback(lambda _: _pass_on(written, awaited))

    def lost(self, error: NodeAwayError) -> None:
        """The node is away: what it has has to be read again."""
        self._present = None
        if self._awaited is not None:
            self._awaited.set_exception(error)
            self._awaited.exception()  # whether somebody awaits it is their choice
            self._awaited = None

    def changes(self) -> list[Change]:
        """What has to be written for the node to have what the sources say; it counts as written."""
        if self._present is None:
            return []
        present = self._present
        wanted = {row.key: row for source in self._sources for row in source.rows(self._node)}
        self._present = wanted
        return [*_differences(present, wanted)]


def _pass_on(written: asyncio.Future[None], awaited: asyncio.Future[None]) -> None:
    if awaited.done():
        return
    error = written.exception() if not written.cancelled() else asyncio.CancelledError()
    if error is None:
        awaited.set_result(None)
    else:
        awaited.set_exception(error)
        awaited.exception()  # whether somebody awaits it is their choice


def _differences(present: dict[RowKey, Row], wanted: dict[RowKey, Row]) -> Iterator[Change]:
    """What is new before what goes, so that a packet always finds one or the other."""
    for key, row in wanted.items():
        if key not in present:
            yield INSERT, row
        elif present[key] != row:
            yield MODIFY, row
    for key in present:
        if key not in wanted:
            yield DELETE, key_only(key)
