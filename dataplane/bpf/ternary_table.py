# SPDX-License-Identifier: Apache-2.0
"""Tables of the layout "ternary": tuple space search, an index of masked keys with their mask's number."""

from __future__ import annotations

import struct
import time
from bisect import insort
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from dataplane.bpf.assoc_index import AssocIndex
from dataplane.bpf.element_pool import ElementPool
from dataplane.bpf.elements import (
    Elements,
    EntryExists,
    MemoryMismatch,
    RawEntry,
    TableFull,
    TableMemory,
    missing,
)
from dataplane.bpf.mask_order import MaskOrder
from dataplane.contract.layout import TableShape

_COVERED: Final = 1 << 31
"""In the field ``tuple``: an entry with the same match and a higher priority covers this one."""

_TAIL: Final = struct.Struct("=II")
"""The fields ``tuple`` and ``priority`` behind the key."""

PRIORITY: Final = struct.Struct("=I")

_Group = tuple[bytes, int]
"""Value and mask number: what entries with the same match have in common."""


class _Key(NamedTuple):
    """An entry's key taken apart: value and mask, packed, and priority."""

    value: bytes
    mask: bytes
    priority: int


class TernaryTable:
    """A table whose keys are ``value + mask + priority`` (:data:`PRIORITY`), the value without bits outside
    the mask.

    A packet tries the masks in falling order of their highest priority (:class:`MaskOrder`) and looks for its
    key under each mask. Of entries with the same match only the one with the highest priority is to be found;
    it covers the others, which lie in the index under their priority and come up when it goes. All that a
    packet finds changes by one store, so none ever misses an entry that stays.
    """

    def __init__(
        self, shape: TableShape, memory: TableMemory, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        if memory.index is None or memory.masks is None or memory.order is None:
            raise MemoryMismatch(f"table {shape.name}: it needs the memory of its index and of its masks")
        self.name, self.capacity = shape.name, shape.capacity
        self._size = shape.key_size
        self._words = struct.Struct(f"={shape.key_size // 8}Q").unpack
        self._elements = Elements(shape, memory.elements, memory.hits)
        self._index = AssocIndex(shape.name, memory.index, shape.buckets)
        self._pool = ElementPool(self._elements, clock)
        self._masks = MaskOrder(shape.name, memory.masks, memory.order, shape.key_size, clock)
        self._covered: dict[_Group, list[int]] = {}  # their priorities, in rising order
        self._count = 0
        self._recover(shape.elements)

    def insert(self, key: bytes, action: int, data: bytes) -> None:
        """See ``TableMap.insert``."""
        wanted = self._taken_apart(key)
        if self._way(wanted) is not None:
            raise EntryExists(
                f"table {self.name} has an entry with this match and priority already; modify it instead"
            )
        if self._count >= self.capacity:
            raise TableFull(f"table {self.name} is full with {self.capacity} entries; delete some first")
        number = self._masks.announce(wanted.mask, wanted.priority)
        try:
            self._publish((wanted.value, number), wanted.priority, action, data)
        except TableFull:
            self._masks.withdraw(number, wanted.priority)
            raise
        self._masks.changed()
        self._count += 1

    def modify(self, key: bytes, action: int, data: bytes) -> None:
        """See ``TableMap.modify``."""
        way = self._find(key)
        old = self._index.element(way)
        if self._elements.same(old, action, data):
            return
        value, number, priority = self._inside(old)
        new = self._written((value, number), priority, action, data)
        counted = self._pool.carry_counters(old, new)
        self._index.rename(way, new)
        self._pool.replace(old, new, counted)
        self._masks.changed()

    def delete(self, key: bytes) -> None:
        """See ``TableMap.delete``."""
        way = self._find(key)
        element = self._index.element(way)
        value, number, priority = self._inside(element)
        group = (value, number & ~_COVERED)
        if number & _COVERED:
            self._forget(group, priority)
            self._index.clear(way)
        elif group in self._covered:
            self._uncover(way, group)
        else:
            self._index.clear(way)
        self._pool.retire(element)
        self._masks.withdraw(group[1], priority)
        self._count -= 1

    def get(self, key: bytes) -> RawEntry | None:
        """See ``TableMap.get``."""
        self._pool.reclaim()
        way = self._way(self._taken_apart(key))
        return None if way is None else self._elements.copy(self._index.element(way))._replace(key=key)

    def scan(self) -> Iterator[RawEntry]:
        """See ``TableMap.scan``."""
        self._pool.reclaim()
        masks = self._masks.masks()
        return (self._shown(raw, masks) for raw in self._elements.copies(self._pool.held))

    def set_counters(self, key: bytes, packets: int, octets: int) -> None:
        """See ``TableMap.set_counters``."""
        self._elements.set_counters(self._index.element(self._find(key)), packets, octets)

    def __len__(self) -> int:
        return self._count

    def _publish(self, group: _Group, priority: int, action: int, data: bytes) -> None:
        way = self._named(group)
        if way is None:
            self._name(group, priority, action, data)
            return
        top = self._index.element(way)
        top_priority = self._inside(top)[2]
        if priority < top_priority:
            self._name(_hidden(group), priority, action, data)
            insort(self._covered.setdefault(group, []), priority)
            return
        # The former one is named in its new place before it is not in the old one any more.
        former = self._elements.copy(top)
        covered = self._name(_hidden(group), top_priority, former.action, former.data)
        counted = self._pool.carry_counters(top, covered)
        self._index.rename(way, self._written(group, priority, action, data))
        self._pool.replace(top, covered, counted)
        insort(self._covered.setdefault(group, []), top_priority)

    def _uncover(self, way: int, group: _Group) -> None:
        """Puts the highest of the entries that are covered in the place of the one that covers them."""
        priority = self._covered[group][-1]
        hidden = self._named(_hidden(group), priority)
        assert hidden is not None
        covered = self._elements.copy(self._index.element(hidden))
        element = self._written(group, priority, covered.action, covered.data)
        counted = self._pool.carry_counters(self._index.element(hidden), element)
        self._index.rename(way, element)
        self._pool.replace(self._index.element(hidden), element, counted)
        self._index.clear(hidden)
        self._forget(group, priority)

    def _forget(self, group: _Group, priority: int) -> None:
        self._covered[group].remove(priority)
        if not self._covered[group]:
            del self._covered[group]

    def _name(self, group: _Group, priority: int, action: int, data: bytes) -> int:
        """Writes an entry, and publishes it; returns its element."""
        places = self._index.places(self._hashed(group, priority))
        way = self._index.free_way(places)
        element = self._written(group, priority, action, data)
        self._index.name(way, places.tag, element)
        return element

    def _written(self, group: _Group, priority: int, action: int, data: bytes) -> int:
        element = self._pool.take()
        self._elements.write(element, group[0] + _TAIL.pack(group[1], priority), action, data)
        return element

    def _hashed(self, group: _Group, priority: int) -> list[int]:
        """What an entry is found by: the number of its mask, and its value; its priority if covered."""
        value, number = group
        return [priority << 32 | number if number & _COVERED else number, *self._words(value)]

    def _named(self, group: _Group, priority: int = 0) -> int | None:
        """The way of the entry that packets find, or of a covered one."""
        key = group[0] + _TAIL.pack(group[1], priority)
        key = key if group[1] & _COVERED else key[: -PRIORITY.size]
        places = self._index.places(self._hashed(group, priority))
        return self._index.find(places, lambda element: self._elements.key(element).startswith(key))

    def _way(self, wanted: _Key) -> int | None:
        number = self._masks.number(wanted.mask)
        if number is None:
            return None
        group = (wanted.value, number)
        if wanted.priority in self._covered.get(group, ()):
            return self._named(_hidden(group), wanted.priority)
        way = self._named(group)
        if way is None or self._inside(self._index.element(way))[2] != wanted.priority:
            return None
        return way

    def _find(self, key: bytes) -> int:
        way = self._way(self._taken_apart(key))
        if way is None:
            raise missing(self.name)
        return way

    def _taken_apart(self, key: bytes) -> _Key:
        size = self._size
        return _Key(key[:size], key[size : 2 * size], PRIORITY.unpack_from(key, 2 * size)[0])

    def _inside(self, element: int) -> tuple[bytes, int, int]:
        """Value, mask number with the bit _COVERED, and priority."""
        return self._apart(self._elements.key(element))

    def _apart(self, key: bytes) -> tuple[bytes, int, int]:
        """The same of an element's key."""
        return key[: self._size], *_TAIL.unpack_from(key, self._size)

    def _shown(self, raw: RawEntry, masks: Mapping[int, bytes]) -> RawEntry:
        """The entry with its key as callers know it."""
        value, number, priority = self._apart(raw.key)
        return raw._replace(key=value + masks[number & ~_COVERED] + PRIORITY.pack(priority))

    def _recover(self, elements: int) -> None:
        """Begins with what is in memory, also where the agent died in the middle of a change."""
        named: dict[int, int] = {}
        for way, element in self._index.used():
            if element in named:
                self._index.clear(way)  # it was being moved between its buckets
            else:
                named[element] = way
        self._pool.recover(self.name, elements, named)
        inside = {element: self._inside(element) for element in named}
        found = {entry for entry in inside.values() if not entry[1] & _COVERED}
        for element, (value, number, priority) in inside.items():
            if not number & _COVERED:
                continue
            group = (value, number & ~_COVERED)
            if (*group, priority) in found:  # it was being covered, or uncovered
                self._index.clear(named.pop(element))
                self._pool.retire(element)
            else:
                insort(self._covered.setdefault(group, []), priority)
        self._masks.recover((inside[e][1] & ~_COVERED, inside[e][2]) for e in named)
        self._count = len(named)


def _hidden(group: _Group) -> _Group:
    return group[0], group[1] | _COVERED
