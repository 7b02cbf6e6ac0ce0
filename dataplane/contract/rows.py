# SPDX-License-Identifier: Apache-2.0
"""Entries by names, for the rows that the agent itself owns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dataplane.bpf.table_map import RawEntry, TableMap
from dataplane.contract.binding import Binding, BoundTable
from dataplane.contract.codec import by_number
from dataplane.contract.errors import ContractError, EntryError
from dataplane.contract.keys import Matched

Values = Mapping[str, int | bytes]
"""Parameter names with integers, or octets in network order."""

Match = Mapping[str, int | Matched]
"""Match fields in the same way, those that are not exact with a ``Masked`` or a ``Prefix``, or left out."""


@dataclass(frozen=True, slots=True)
class Row:
    """An entry by names; values are canonical byte strings (network order, no leading zeros)."""

    match: Mapping[str, Matched]
    action: str
    params: Mapping[str, bytes]
    packets: int
    bytes: int
    priority: int = 0


class Tables:
    """The tables of a data plane, addressed by the names of the P4 program."""

    def __init__(self, binding: Binding, maps: Mapping[str, TableMap]) -> None:
        self._binding = binding
        self._maps = maps

    def write(
        self, table: str, match: Match, action: str, params: Values | None = None, priority: int = 0
    ) -> None:
        """Inserts the entry, or modifies the one with this key.

        Raises:
            ContractError: there is no such table.
            EntryError: the entry does not fit the table.
            TableFull: there is no room.
        """
        bound = self._bound(table)
        key = bound.keys.pack_named(match, priority)
        chosen = next((a for a in bound.table.actions.values() if a.name == action), None)
        if chosen is None:
            known = ", ".join(a.name for a in bound.table.actions.values())
            raise EntryError(f"table {table} does not take the action {action}; it takes {known}")
        data = bound.encode_action(chosen.id, by_number(chosen.params, params or {}))
        rows = self._maps[table]
        (rows.insert if rows.get(key) is None else rows.modify)(key, chosen.id, data)

    def remove(self, table: str, match: Match, priority: int = 0) -> None:
        """Deletes the entry with this key.

        Raises:
            EntryMissing: there is none.
            ContractError, EntryError: see ``write``.
        """
        bound = self._bound(table)
        self._maps[table].delete(bound.keys.pack_named(match, priority))

    def get(self, table: str, match: Match, priority: int = 0) -> Row | None:
        """The entry with this key."""
        bound = self._bound(table)
        raw = self._maps[table].get(bound.keys.pack_named(match, priority))
        return None if raw is None else _row(bound, raw)

    def rows(self, table: str) -> Iterator[Row]:
        """All entries of a table."""
        bound = self._bound(table)
        return (_row(bound, raw) for raw in self._maps[table].scan())

    def _bound(self, table: str) -> BoundTable:
        bound = self._binding.by_name.get(table)
        if bound is None:
            raise ContractError(
                f"the P4 program has no table {table}; it has {', '.join(sorted(self._binding.by_name))}"
            )
        return bound


def _row(bound: BoundTable, raw: RawEntry) -> Row:
    return Row(
        match=bound.keys.named(raw.key),
        action=bound.table.actions[raw.action].name,
        params=bound.named_params(raw.action, raw.data),
        packets=raw.packets,
        bytes=raw.bytes,
        priority=bound.keys.priority(raw.key),
    )
