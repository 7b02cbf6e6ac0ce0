# SPDX-License-Identifier: Apache-2.0
"""A host becomes a relay with the first address that it is told a neighbour by."""

from __future__ import annotations

from typing import Any

import pytest

from dataplane.agent.relaying import OriginTable
from dataplane.bpf.table_map import EntryMissing


class Table:
    """A table that writes down what it is asked for."""

    name, capacity = "origin", 8

    def __init__(self, log: list[str]) -> None:
        self.rows: dict[bytes, Any] = {}
        self.log = log

    def insert(self, key: bytes, action: int, data: bytes) -> None:
        self.log.append("insert")
        self.rows[key] = action, data

    def delete(self, key: bytes) -> None:
        if key not in self.rows:
            raise EntryMissing("no such entry")
        self.log.append("delete")
        del self.rows[key]

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: (name, *arguments)

    def __len__(self) -> int:
        return len(self.rows)


def test_it_begins_before_the_first_entry_stands_and_ends_after_the_last() -> None:
    log: list[str] = []
    table: Any = OriginTable(Table(log), lambda: log.append("begins"), lambda: log.append("ends"))
    for key in (b"1", b"2"):
        table.insert(key, 1, b"")
    table.delete(b"1")
    with pytest.raises(EntryMissing):
        table.delete(b"1")
    table.delete(b"2")
    table.insert(b"3", 1, b"")
    assert log == ["begins", "insert", "insert", "delete", "delete", "ends", "begins", "insert"]


def test_all_else_is_the_tables_own() -> None:
    table: Any = OriginTable(Table([]), lambda: None, lambda: None)
    assert (table.name, table.capacity, len(table)) == ("origin", 8, 0)
    assert table.modify(b"1", 2, b"3") is None
    assert table.get(b"1") == ("get", b"1")
    assert table.scan() == ("scan",)
    assert table.set_counters(b"1", 2, 3) is None
