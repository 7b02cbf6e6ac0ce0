# SPDX-License-Identifier: Apache-2.0
"""The set-associative index in front of a table's elements: buckets of eight ways, two buckets a key.

A way is ``tag << 32 | element``, 0 = free. What the programs find changes by single stores of 8 octets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from dataplane.bpf.elements import GRACE_NS, MASK64, Memory, TableFull, view
from dataplane.contract.layout import WAYS

MASK32: Final = (1 << 32) - 1
_HASH_SEED: Final = 0x9E3779B97F4A7C15
_HASH_FACTOR: Final = 0xFF51AFD7ED558CCD
_BUCKET_FACTOR: Final = 0x5BD1E995
_CROWDED: Final = 6
_AT_ONCE: Final = 512
_FREE: Final = bytes(8 * _AT_ONCE)
"""Ways that are looked at together, for most of a large index are free."""


class Places(NamedTuple):
    """A key's tag and its two buckets."""

    tag: int
    first: int
    second: int


class AssocIndex:
    """The index of a table; ``buckets`` is a power of two."""

    def __init__(self, name: str, memory: Memory, buckets: int) -> None:
        self._name = name
        self._ways = view(name, memory, buckets * WAYS * 8).cast("Q")
        self._buckets = buckets

    def places(self, words: Sequence[int]) -> Places:
        """Where a key of these words belongs; the C sources compute the same."""
        hashed = _HASH_SEED
        for word in words:
            hashed = ((hashed ^ word) * _HASH_FACTOR) & MASK64
            hashed ^= hashed >> 32
        hashed = (hashed * _HASH_FACTOR) & MASK64
        hashed ^= hashed >> 32
        tag = hashed >> 32 | 1
        first = hashed & (self._buckets - 1)
        return Places(tag, first, self._other(first, tag))

    def find(self, places: Places, is_wanted: Callable[[int], bool]) -> int | None:
        """The way that names the wanted one of the elements that may have this key."""
        for bucket in (places.first, places.second):
            for way, value in enumerate(self._bucket(bucket), bucket * WAYS):
                if value >> 32 == places.tag and is_wanted(value & MASK32):
                    return way
        return None

    def free_way(self, places: Places) -> int:
        """A free way in the first bucket; in the second if the first is crowded and the second is less so, or
        if another key in the first has the same tag: the programs look at one entry a bucket.

        Raises:
            TableFull: no room can be made in either.
        """
        buckets = [b for b in (places.first, places.second) if not self._has_tag(b, places.tag)]
        if not buckets:
            raise self._no_room()
        bucket, ways = buckets[0], self._bucket(buckets[0])
        if ways.count(0) <= WAYS - _CROWDED and len(buckets) > 1:
            others = self._bucket(buckets[1])
            if others.count(0) > ways.count(0):
                bucket, ways = buckets[1], others
        return bucket * WAYS + ways.index(0) if 0 in ways else self._displace(buckets)

    def element(self, way: int) -> int:
        """The element that a way names."""
        return self._ways[way] & MASK32

    def name(self, way: int, tag: int, element: int) -> None:
        """Publishes an element, in one store."""
        self._ways[way] = tag << 32 | element

    def rename(self, way: int, element: int) -> None:
        """Puts another element with the same key in the place of one that is named."""
        self._ways[way] = (self._ways[way] & ~MASK32) | element

    def clear(self, way: int) -> None:
        """The element is found no more."""
        self._ways[way] = 0

    def used(self) -> Iterator[tuple[int, int]]:
        """The ways that are not free, with their elements."""
        for first in range(0, self._buckets * WAYS, _AT_ONCE):
            ways = self._ways[first : first + _AT_ONCE]
            if not _FREE.startswith(ways.tobytes()):
                yield from ((way, value & MASK32) for way, value in enumerate(ways, first) if value)

    def _other(self, bucket: int, tag: int) -> int:
        """The second bucket of a key whose first is ``bucket``, and the other way round."""
        return (bucket ^ ((tag * _BUCKET_FACTOR) & MASK32)) & (self._buckets - 1)

    def _displace(self, buckets: Sequence[int]) -> int:
        """Makes room in full buckets: moves one of their entries to that entry's other bucket."""
        for bucket in buckets:
            for way, value in enumerate(self._bucket(bucket), bucket * WAYS):
                other = self._other(bucket, value >> 32)
                ways = self._bucket(other)
                if 0 in ways and not self._has_tag(other, value >> 32):
                    self._ways[other * WAYS + ways.index(0)] = value
                    # A packet may have read the other bucket before this store; let it find the old way.
                    time.sleep(GRACE_NS / 1e9)
                    self._ways[way] = 0
                    return way
        raise self._no_room()

    def _no_room(self) -> TableFull:
        return TableFull(
            f"table {self._name} has no room for this key: both its buckets are full; delete some entries "
            "first"
        )

    def _has_tag(self, bucket: int, tag: int) -> bool:
        return any(value >> 32 == tag for value in self._bucket(bucket))

    def _bucket(self, bucket: int) -> list[int]:
        return self._ways[bucket * WAYS : (bucket + 1) * WAYS].tolist()
