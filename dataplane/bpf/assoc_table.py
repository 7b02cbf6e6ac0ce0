# SPDX-License-Identifier: Apache-2.0
"""Tables of the layout "assoc": a set-associative index in front of the elements."""

from __future__ import annotations

import struct
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from itertools import compress
from typing import Final, NamedTuple

from dataplane.bpf.elements import (
    MASK64,
    Elements,
    EntryExists,
    Memory,
    MemoryMismatch,
    RawEntry,
    TableFull,
    missing,
    view,
)
from dataplane.contract.layout import WAYS, TableShape

GRACE_NS: Final = 10_000_000
"""How long a packet may still look at an element that the index no longer names."""

_MASK32: Final = (1 << 32) - 1
_HASH_SEED: Final = 0x9E3779B97F4A7C15
_HASH_FACTOR: Final = 0xFF51AFD7ED558CCD
_BUCKET_FACTOR: Final = 0x5BD1E995
_CROWDED: Final = 6


class _Retired(NamedTuple):
    """An element that the index no longer names, until no packet can look at it."""

    due_ns: int
    element: int
    successor: int  # 0: the entry was deleted
    packets: int
    octets: int


class AssocTable:
    """A table with an index of buckets of eight ways (``tag << 32 | element``, 0 = free), two buckets a key.

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
        self._index = view(shape.name, index, shape.buckets * WAYS * 8).cast("Q")
        self._buckets = shape.buckets
        self._key_words = struct.Struct(f"={shape.action // 8}Q").unpack
        self._clock = clock
        self._retired: deque[_Retired] = deque()
        self._count = 0
        self._free = self._recover(shape.elements)

    def insert(self, key: bytes, action: int, data: bytes) -> None:
        """See ``TableMap.insert``."""
        tag, first, second = self._places(key)
        if self._way(key, tag, first, second) is not None:
            raise EntryExists(f"table {self.name} has an entry with this key already; modify it instead")
        if self._count >= self.capacity:
            raise TableFull(f"table {self.name} is full with {self.capacity} entries; delete some first")
        way = self._free_way(first, second)
        element = self._take()
        self._elements.write(element, key, action, data)
        self._index[way] = tag << 32 | element
        self._count += 1

    def modify(self, key: bytes, action: int, data: bytes) -> None:
        """See ``TableMap.modify``."""
        way, old = self._find(key)
        if self._elements.same(old, action, data):
            return
        new = self._take()
        self._elements.write(new, key, action, data)
        packets, octets = self._elements.counters(old)
        self._elements.set_counters(new, packets, octets)
        self._index[way] = (self._index[way] & ~_MASK32) | new
        self._retired.append(_Retired(self._clock() + GRACE_NS, old, new, packets, octets))

    def delete(self, key: bytes) -> None:
        """See ``TableMap.delete``."""
        way, element = self._find(key)
        self._index[way] = 0
        self._retired.append(_Retired(self._clock() + GRACE_NS, element, 0, 0, 0))
        self._count -= 1

    def get(self, key: bytes) -> RawEntry | None:
        """See ``TableMap.get``."""
        self._reclaim()
        way = self._way(key, *self._places(key))
        return None if way is None else self._elements.copy(self._index[way] & _MASK32)

    def scan(self) -> Iterator[RawEntry]:
        """See ``TableMap.scan``."""
        self._reclaim()
        return iter([self._elements.copy(element) for element in self._used()])

    def set_counters(self, key: bytes, packets: int, octets: int) -> None:
        """See ``TableMap.set_counters``."""
        self._elements.set_counters(self._find(key)[1], packets, octets)

    def __len__(self) -> int:
        return self._count

    def _used(self) -> list[int]:
        return [way & _MASK32 for way in self._index.tolist() if way]

    def _recover(self, elements: int) -> array[int]:
        """Counts the entries; returns the free elements, the lowest last, so that warm pages are used
        first."""
        unused = bytearray(b"\1") * elements
        unused[0] = 0
        for way, value in enumerate(self._index.tolist()):
            if not value:
                continue
            element = value & _MASK32
            if not 0 < element < elements:
                raise MemoryMismatch(
                    f"table {self.name}: its index names element {element} of {elements}; load it anew"
                )
            if unused[element]:
                unused[element] = 0
                self._count += 1
            else:
                self._index[way] = 0  # the agent died while it moved this entry between its buckets
        unused.reverse()
        return array("I", compress(range(elements - 1, -1, -1), unused))

    def _places(self, key: bytes) -> tuple[int, int, int]:
        """The key's tag and its two buckets; the C sources compute the same."""
        hashed = _HASH_SEED
        for word in self._key_words(key):
            hashed = ((hashed ^ word) * _HASH_FACTOR) & MASK64
            hashed ^= hashed >> 32
        hashed = (hashed * _HASH_FACTOR) & MASK64
        hashed ^= hashed >> 32
        tag = hashed >> 32 | 1
        first = hashed & (self._buckets - 1)
        return tag, first, self._other(first, tag)

    def _other(self, bucket: int, tag: int) -> int:
        """The second bucket of a key whose first is ``bucket``, and the other way round."""
        return (bucket ^ ((tag * _BUCKET_FACTOR) & _MASK32)) & (self._buckets - 1)

    def _way(self, key: bytes, tag: int, first: int, second: int) -> int | None:
        """Where in the index the key's entry is."""
        for bucket in (first, second):
            at = bucket * WAYS
            for way, value in enumerate(self._index[at : at + WAYS].tolist(), at):
                if value >> 32 == tag and self._elements.key(value & _MASK32) == key:
                    return way
        return None

    def _find(self, key: bytes) -> tuple[int, int]:
        way = self._way(key, *self._places(key))
        if way is None:
            raise missing(self.name)
        return way, self._index[way] & _MASK32

    def _free_way(self, first: int, second: int) -> int:
        """A free way in the first bucket; in the second if the first is crowded and the second is less so."""
        bucket, ways = first, self._bucket(first)
        if ways.count(0) <= WAYS - _CROWDED:
            others = self._bucket(second)
            if others.count(0) > ways.count(0):
                bucket, ways = second, others
        return bucket * WAYS + ways.index(0) if 0 in ways else self._displace(first, second)

    def _displace(self, first: int, second: int) -> int:
        """Makes room in full buckets: moves one of their entries to that entry's other bucket."""
        for bucket in (first, second):
            for way, value in enumerate(self._bucket(bucket), bucket * WAYS):
                other = self._other(bucket, value >> 32)
                ways = self._bucket(other)
                if 0 in ways:
                    self._index[other * WAYS + ways.index(0)] = value
                    # A packet may have read the other bucket before this store; let it find the old way.
                    time.sleep(GRACE_NS / 1e9)
                    self._index[way] = 0
                    return way
        raise TableFull(
            f"table {self.name} has no room for this key: both its buckets are full with {self._count} of "
            f"{self.capacity} entries in the table; delete some first"
        )

    def _bucket(self, bucket: int) -> list[int]:
        return self._index[bucket * WAYS : (bucket + 1) * WAYS].tolist()

    def _take(self) -> int:
        """A free element; waits for one whose grace time runs, when there is no other."""
        self._reclaim()
        while not self._free:
            time.sleep(max(0, self._retired[0].due_ns - self._clock()) / 1e9)
            self._reclaim()
        return self._free.pop()

    def _reclaim(self) -> None:
        """Frees elements whose grace time is over; what they counted meanwhile goes to their successors."""
        retired = self._retired
        if not retired:
            return
        now = self._clock()
        while retired and retired[0].due_ns <= now:
            done = retired.popleft()
            if done.successor:
                packets, octets = self._elements.counters(done.element)
                self._elements.add_counters(done.successor, packets - done.packets, octets - done.octets)
            self._elements.actions[done.element] = 0
            self._free.append(done.element)
