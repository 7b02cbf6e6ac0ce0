# SPDX-License-Identifier: Apache-2.0
"""Tables in shared memory: what the BPF programs look up, written by the agent without a system call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from dataplane.bpf.assoc_table import AssocTable
from dataplane.bpf.elements import (
    EntryExists,
    EntryMissing,
    Memory,
    MemoryMismatch,
    RawEntry,
    SlotTaken,
    TableError,
    TableFull,
    TableMemory,
)
from dataplane.bpf.slot_table import SlotTable
from dataplane.bpf.ternary_table import TernaryTable
from dataplane.contract.layout import Layout, TableShape

__all__ = [
    "AssocTable",
    "EntryExists",
    "EntryMissing",
    "Memory",
    "MemoryMismatch",
    "RawEntry",
    "SlotTable",
    "SlotTaken",
    "TableError",
    "TableFull",
    "TableMap",
    "TableMemory",
    "TernaryTable",
    "open_table",
]


class TableMap(Protocol):
    """One table in memory. Keys and parameters are packed as in C; nothing here knows P4."""

    @property
    def name(self) -> str:
        """The table's name."""

    @property
    def capacity(self) -> int:
        """How many entries it can hold."""

    def insert(self, key: bytes, action: int, data: bytes) -> None:
        """Adds an entry; its counters begin at 0.

        Raises:
            EntryExists: the key is there.
            TableFull: there is no room (``SlotTaken``: not in this slot).
        """

    def modify(self, key: bytes, action: int, data: bytes) -> None:
        """Gives an entry another action or other parameters; its counters go on.

        Raises:
            EntryMissing: there is no such entry.
        """

    def delete(self, key: bytes) -> None:
        """Removes an entry.

        Raises:
            EntryMissing: there is no such entry.
        """

    def get(self, key: bytes) -> RawEntry | None:
        """The entry with this key."""

    def scan(self) -> Iterator[RawEntry]:
        """All entries as they are at the time of the call, in no order."""

    def set_counters(self, key: bytes, packets: int, octets: int) -> None:
        """Makes the entry's counters go on from these values.

        Raises:
            EntryMissing: there is no such entry.
        """

    def __len__(self) -> int: ...


def open_table(shape: TableShape, memory: TableMemory) -> TableMap:
    """The table in ``memory``, with what it holds.

    Raises:
        MemoryMismatch: a part of the memory is missing or too small.
    """
    if shape.layout is Layout.SLOT:
        return SlotTable(shape, memory.elements, memory.hits, memory.rest)
    if memory.index is None:
        raise MemoryMismatch(f"table {shape.name}: it needs the memory of its index")
    if shape.layout is Layout.ASSOC:
        return AssocTable(shape, memory.elements, memory.hits, memory.index)
    if memory.masks is None or memory.order is None:
        raise MemoryMismatch(f"table {shape.name}: a ternary table needs the memory of its masks")
    return TernaryTable(shape, memory)
