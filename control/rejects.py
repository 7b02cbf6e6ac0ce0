# SPDX-License-Identifier: Apache-2.0
"""Entries that refuse a pair of virtual addresses, so that a flood of such packets costs nothing here."""

from __future__ import annotations

import asyncio
from typing import Final

from control.records import Node
from control.southbound.contract import DELETE, INSERT, Row, RowKey
from control.southbound.dataplanes import DataPlanes
from control.state import State

MAX_PER_NODE: Final = 4096
"""Pairs refused at one node at a time: a scan must not fill the table."""

LIFE: Final = 30.0
"""Seconds after which a pair may ask again even if it never paused: what stood against it may be over."""


class Rejects:
    """They go away when nobody has sent for a while, or when something changed that could allow the pair."""

    def __init__(self, state: State, planes: DataPlanes) -> None:
        self._state = state
        self._planes = planes
        self._rows: dict[int, dict[RowKey, Row]] = {}

    def __bool__(self) -> bool:
        return any(self._rows.values())

    def add(self, node: Node, tenant: int, source: bytes, destination: bytes) -> None:
        """Refuse packets from ``source`` to ``destination`` (4 or 16 octets) at ``node``.

        A data plane that does not keep up gets no more such entries: its connections' own come first, and
        these packets will ask again.
        """
        rows = self._rows.setdefault(node.id, {})
        row = self._row(node, tenant, source, destination)
        if row.key in rows or self._planes.busy(node):
            return
        if len(rows) >= MAX_PER_NODE:
            oldest = next(iter(rows))
            self._planes.try_put(node, [(DELETE, rows.pop(oldest))], [])
        rows[row.key] = row
        self._planes.try_put(node, [(INSERT, row)], [])
        asyncio.get_running_loop().call_later(LIFE, self._expire, node, row)

    def _row(self, node: Node, tenant: int, source: bytes, destination: bytes) -> Row:
        entries = self._planes.entries
        # What is for the switch itself passes: its neighbours' questions would be refused with it.
        own = node.switch is not None and node.switch.config.owns(destination)
        return (entries.let_pass if own else entries.reject)(tenant, source, destination)

    def idle(self, node: Node, key: RowKey) -> bool:
        """Take an entry out that was idle; False when it is none of these."""
        row = self._rows.get(node.id, {}).pop(key, None)
        if row is not None:
            self._planes.try_put(node, [(DELETE, row)], [])
        return row is not None

    def _expire(self, node: Node, row: Row) -> None:
        rows = self._rows.get(node.id, {})
        if rows.get(row.key) is row:
            self._planes.try_put(node, [(DELETE, rows.pop(row.key))], [])

    def replaced(self, number: int, rows: tuple[Row, ...]) -> None:
        """Entries of a connection take the place of these at the node of this number."""
        refused = self._rows.get(number)
        if refused:
            for row in rows:
                refused.pop(row.key, None)

    def clear(self) -> None:
        """Something changed that could allow what was refused: let the next packets ask again."""
        for number, rows in self._rows.items():
            node = self._state.nodes_by_id.get(number)
            if node is not None and rows:
                self._planes.try_put(node, [(DELETE, row) for row in rows.values()], [])
        self._rows.clear()

    def forget(self, node: Node) -> None:
        """The data plane of ``node`` was reconciled: none of these is there any longer."""
        self._rows.pop(node.id, None)
