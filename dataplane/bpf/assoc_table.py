# SPDX-License-Identifier: Apache-2.0
"""Tables of the layout "assoc": a set-associative index in front of the elements."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator

from dataplane.bpf.assoc_index import AssocIndex, Places
from dataplane.bpf.element_pool import ElementPool
from dataplane.bpf.elements import Elements, EntryExists, Memory, RawEntry, TableFull, missing
from dataplane.contract.layout import TableShape


class AssocTable:
    """A table with an index (:class:`AssocIndex`) of its keys.

    An entry is written whole and published by one store into the index. A modification writes another element
    and replaces the way; packets that the old element still counts meanwhile are added to the new one before
    the old one is used again.
    """

    def __init__(
        self,
        shape: TableShape,
        memory: Memory,
        hits: Memory,
        index: Memory,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.name, self.capacity = shape.name, shape.capacity
        self._elements = Elements(shape, memory, hits)
        self._index = AssocIndex(shape.name, index, shape.buckets)
        self._pool = ElementPool(self._elements, clock)
        self._key_words = struct.Struct(f"={shape.key_size // 8}Q").unpack
        self._count = 0
        self._recover(shape.elements)

    def insert(self, key: bytes, action: int, data: bytes) -> None:
        """See ``TableMap.insert``."""
        places = self._places(key)
        if self._way(key, places) is not None:
            raise EntryExists(f"table {self.name} has an entry with this key already; modify it instead")
        if self._count >= self.capacity:
            raise TableFull(f"table {self.name} is full with {self.capacity} entries; delete some first")
        way = self._index.free_way(places)
        element = self._pool.take()
        self._elements.write(element, key, action, data)
        self._index.name(way, places.tag, element)
        self._count += 1

    def modify(self, key: bytes, action: int, data: bytes) -> None:
        """See ``TableMap.modify``."""
        way = self._find(key)
        old = self._index.element(way)
        if self._elements.same(old, action, data):
            return
        new = self._pool.take()
        self._elements.write(new, key, action, data)
        counted = self._pool.carry_counters(old, new)
        self._index.rename(way, new)
        self._pool.replace(old, new, counted)

    def delete(self, key: bytes) -> None:
        """See ``TableMap.delete``."""
        way = self._find(key)
        element = self._index.element(way)
        self._index.clear(way)
        self._pool.retire(element)
        self._count -= 1

    def get(self, key: bytes) -> RawEntry | None:
        """See ``TableMap.get``."""
        self._pool.reclaim()
        way = self._way(key, self._places(key))
        return None if way is None else self._elements.copy(self._index.element(way))

    def scan(self) -> Iterator[RawEntry]:
        """See ``TableMap.scan``."""
        self._pool.reclaim()
        return self._elements.copies(self._pool.held)

    def set_counters(self, key: bytes, packets: int, octets: int) -> None:
        """See ``TableMap.set_counters``."""
        self._elements.set_counters(self._index.element(self._find(key)), packets, octets)

    def __len__(self) -> int:
        return self._count

    def _recover(self, elements: int) -> None:
        named: set[int] = set()
        for way, element in self._index.used():
            if element in named:
                self._index.clear(way)  # the agent died while it moved this entry between its buckets
            named.add(element)
        self._pool.recover(self.name, elements, named)
        self._count = len(named)

    def _places(self, key: bytes) -> Places:
        return self._index.places(self._key_words(key))

    def _way(self, key: bytes, places: Places) -> int | None:
        """Where in the index the key's entry is."""
        return self._index.find(places, lambda element: self._elements.key(element) == key)

    def _find(self, key: bytes) -> int:
        way = self._way(key, self._places(key))
        if way is None:
            raise missing(self.name)
        return way
