# SPDX-License-Identifier: Apache-2.0
"""Indirect counters as P4Runtime writes and reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from finsy.proto import p4r

from dataplane.contract.errors import EntryError, ValueOutOfRange
from dataplane.contract.p4info import Counter
from dataplane.p4runtime.backend import CounterArray
from dataplane.p4runtime.entries import INT64_MAX, check_counter


class IndirectCounter:
    """One indirect counter of the P4Info with its cells."""

    def __init__(self, counter: Counter, cells: CounterArray) -> None:
        self.id = counter.id
        self.name = counter.name
        self._size = counter.size
        self._cells = cells

    def write(self, entry: p4r.CounterEntry) -> Callable[[], None]:
        """Sets one cell, or all when no index is given; returns how to undo it.

        Raises:
            EntryError: the index or a value is negative.
            ValueOutOfRange: the index is beyond the counter's size.
        """
        indices = range(self._size) if not entry.HasField("index") else (self._index(entry.index.index),)
        if not entry.HasField("data"):
            return lambda: None
        check_counter(f"counter {self.name}", entry.data)
        before = [(index, *self._cells.read(index)) for index in indices]
        for index in indices:
            self._cells.write(index, entry.data.packet_count, entry.data.byte_count)

        def undo() -> None:
            for index, packets, octets in before:
                self._cells.write(index, packets, octets)

        return undo

    def read(self, entry: p4r.CounterEntry) -> Iterable[tuple[int, tuple[int, int]]]:
        """Index and values of the cell asked for, or of all when no index is given.

        Raises:
            EntryError: the index is negative.
            ValueOutOfRange: the index is beyond the counter's size.
        """
        if entry.HasField("index"):
            index = self._index(entry.index.index)
            return [(index, self._cells.read(index))]
        return enumerate(self._cells.read_all())

    def fill(self, entity: p4r.Entity, cell: tuple[int, tuple[int, int]]) -> None:
        """Fills an entity with what ``read`` gave."""
        index, (packets, octets) = cell
        entry = entity.counter_entry
        entry.counter_id = self.id
        entry.index.index = index
        entry.data.packet_count = packets & INT64_MAX
        entry.data.byte_count = octets & INT64_MAX

    def _index(self, index: int) -> int:
        if index < 0:
            raise EntryError(
                f"counter {self.name}: the index {index} is negative; give 0 to {self._size - 1}"
            )
        if index >= self._size:
            raise ValueOutOfRange(
                f"counter {self.name}: the index {index} is beyond its size; give 0 to {self._size - 1}"
            )
        return index
