# SPDX-License-Identifier: Apache-2.0
"""What the agent does about tables that the controller writes: relaying begins, next hops are sought."""

from __future__ import annotations

from typing import Any

import pytest

from dataplane.agent.table_proxy import OriginTable, RouteTable
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


def test_the_agent_hears_of_each_change_of_routes() -> None:
    log: list[str] = []
    table: Any = RouteTable(Table(log), lambda: log.append("changed"))
    table.insert(b"1", 1, b"")
    table.modify(b"1", 1, b"2")
    table.delete(b"1")
    with pytest.raises(EntryMissing):
        table.delete(b"1")
    assert log == ["insert", "changed", "changed", "delete", "changed"]
