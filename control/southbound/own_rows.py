# SPDX-License-Identifier: Apache-2.0
"""Rows that are facts of a switch, which on a host the agent writes.

What they are is computed anew by their sources whenever something changed; the difference is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from finsy.proto import p4r

from control.records import Node
from control.southbound.client import P4RuntimeClient
from control.southbound.contract import DELETE, INSERT, MODIFY, Row, RowKey, read_row
from control.southbound.entries import key_only
from control.southbound.lane import Change


class RowSource(Protocol):
    """Who knows rows of switches; all rows of its tables are its own."""

    @property
    def tables(self) -> Sequence[int]:
        """Ids of the tables."""

    def found(self, node: Node, rows: Iterable[Row]) -> None:
        """What ``node`` has in these tables, before it is compared: of use to who has just started."""

    def rows(self, node: Node) -> Iterable[Row]:
        """All rows that ``node`` is to have in these tables now."""


class OwnRows:
    """What one switch has of these rows, as far as it has been read and written.

    :meth:`changes` must go into one lane, in this order, as soon as they are computed.
    """

    def __init__(self, node: Node, sources: Sequence[RowSource]) -> None:
        self._node = node
        self._sources = sources
        self._present: dict[RowKey, Row] | None = None

    async def read(self, client: P4RuntimeClient) -> None:
        """Find out what the switch has; until then there are no :meth:`changes`."""
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

    def changes(self) -> list[Change]:
        """What has to be written for the switch to have what the sources say; it counts as written."""
        if self._present is None:
            return []
        present = self._present
        wanted = {row.key: row for source in self._sources for row in source.rows(self._node)}
        self._present = wanted
        return [*_differences(present, wanted)]


def _differences(present: dict[RowKey, Row], wanted: dict[RowKey, Row]) -> Iterator[Change]:
    for key in present:
        if key not in wanted:
            yield DELETE, key_only(key)
    for key, row in wanted.items():
        if key not in present:
            yield INSERT, row
        elif present[key] != row:
            yield MODIFY, row
