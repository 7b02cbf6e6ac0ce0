# SPDX-License-Identifier: Apache-2.0
"""Tables of the layout "slot": one access finds an entry."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import compress

from dataplane.bpf.elements import Elements, EntryExists, Memory, RawEntry, SlotTaken, missing
from dataplane.bpf.number_set import NumberSet
from dataplane.contract.layout import TableShape


class SlotTable:
    """A table whose element number is the lowest bits of the key's first field."""

    def __init__(self, shape: TableShape, memory: Memory, hits: Memory, rest: Memory | None = None) -> None:
        self.name, self.capacity = shape.name, shape.capacity
        self._elements = Elements(shape, memory, hits, rest=rest)
        self._mask = shape.capacity - 1
        self._first = slice(shape.key[0].offset, shape.key[0].offset + shape.key[0].size)
        self._used = NumberSet(shape.capacity, compress(range(shape.capacity), self._elements.actions))
        self._count = len(self._used)

    def insert(self, key: bytes, action: int, data: bytes) -> None:
        """See ``TableMap.insert``."""
        slot = self._slot(key)
        if self._elements.actions[slot]:
            if self._elements.key(slot) == key:
                raise EntryExists(f"table {self.name} has an entry with this key already; modify it instead")
            raise SlotTaken(
                f"table {self.name} has another entry in slot {slot}; delete that or choose another key"
            )
        self._elements.write(slot, key, action, data)
        self._used.add(slot)
        self._count += 1

    def modify(self, key: bytes, action: int, data: bytes) -> None:
        """See ``TableMap.modify``.

        Parameters of the same action are replaced in place, a word at a time; another action is never read
        with the parameters of the one before: in between the slot is free for a moment.
        """
        slot = self._find(key)
        actions = self._elements.actions
        if actions[slot] != action:
            actions[slot] = 0
        self._elements.overwrite_data(slot, data)
        actions[slot] = action

    def delete(self, key: bytes) -> None:
        """See ``TableMap.delete``."""
        slot = self._find(key)
        self._elements.actions[slot] = 0
        self._used.remove(slot)
        self._count -= 1

    def get(self, key: bytes) -> RawEntry | None:
        """See ``TableMap.get``."""
        slot = self._slot(key)
        if not self._elements.actions[slot]:
            return None
        entry = self._elements.copy(slot)
        return entry if entry.key == key else None

    def scan(self) -> Iterator[RawEntry]:
        """See ``TableMap.scan``."""
        return self._elements.copies(self._used)

    def set_counters(self, key: bytes, packets: int, octets: int) -> None:
        """See ``TableMap.set_counters``."""
        self._elements.set_counters(self._find(key), packets, octets)

    def __len__(self) -> int:
        return self._count

    def _slot(self, key: bytes) -> int:
        return int.from_bytes(key[self._first], sys.byteorder) & self._mask

    def _find(self, key: bytes) -> int:
        slot = self._slot(key)
        if not self._elements.actions[slot] or self._elements.key(slot) != key:
            raise missing(self.name)
        return slot
