# SPDX-License-Identifier: Apache-2.0
"""The array of a table's elements in shared memory, and what tables may answer.

Memory is any writable buffer: an ``mmap`` of a BPF array, or a ``bytearray``. The BPF programs only read
entries and add to the live counters; the agent is the only writer. It never writes a live counter: what an
entry shows is ``base + live`` modulo 2^64, and the agent moves ``base``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from mmap import mmap
from typing import Final, NamedTuple

from dataplane.contract.layout import TableShape
from moorline.errors import MoorlineError

Memory = bytearray | memoryview | mmap
"""A writable run of octets."""

MASK64: Final = (1 << 64) - 1


class TableError(MoorlineError):
    """A table refused an operation on an entry."""


class EntryExists(TableError):  # noqa: N818
    """An entry with this key is there already."""


class EntryMissing(TableError):  # noqa: N818
    """There is no entry with this key."""


class TableFull(TableError):  # noqa: N818
    """The table holds as many entries as it can."""


class SlotTaken(TableFull):
    """The key's slot is held by an entry with another key."""


class MemoryMismatch(TableError):  # noqa: N818
    """The memory given is smaller than the table, or its index names elements that it does not have."""


class RawEntry(NamedTuple):
    """An entry as it lies in memory: key and parameters as packed in C, counters as shown to users."""

    key: bytes
    action: int
    data: bytes
    packets: int
    bytes: int


class Elements:
    """Typed views of the array of elements."""

    def __init__(self, shape: TableShape, memory: Memory) -> None:
        self._octets = view(shape.name, memory, shape.elements * shape.stride)
        self._stride = shape.stride
        self._key_size = shape.action
        self._data, self._data_end = shape.data, shape.data + shape.data_size
        self._words = self._octets.cast("Q")
        self.actions = self._octets.cast("I")[shape.action // 4 :: shape.stride // 4]
        self._counters = (
            (shape.packets // 8, shape.base_packets // 8),
            (shape.bytes // 8, shape.base_bytes // 8),
        )
        self._unpack = struct.Struct(
            f"={shape.action}s I {shape.data - shape.action - 4}x {shape.data_size}s"
        ).unpack_from
        self._unpack_counters = struct.Struct("=QQ").unpack_from
        self._live_at, self._base_at = shape.packets, shape.base_packets

    def key(self, element: int) -> bytes:
        """The element's key as packed in C."""
        at = element * self._stride
        return self._octets[at : at + self._key_size].tobytes()

    def copy(self, element: int) -> bytes:
        """All octets of an element."""
        at = element * self._stride
        return self._octets[at : at + self._stride].tobytes()

    def decode(self, copied: bytes) -> RawEntry:
        """The entry in a copy of an element."""
        key, action, data = self._unpack(copied)
        packets, octets = self._unpack_counters(copied, self._live_at)
        base_packets, base_octets = self._unpack_counters(copied, self._base_at)
        return RawEntry(key, action, data, (packets + base_packets) & MASK64, (octets + base_octets) & MASK64)

    def same(self, element: int, action: int, data: bytes) -> bool:
        """Whether the element has this action with these parameters."""
        at = element * self._stride
        return self.actions[element] == action and self._octets[at + self._data : at + self._data_end] == data

    def write(self, element: int, key: bytes, action: int, data: bytes) -> None:
        """Fills a free element; the action comes last, since it is what makes the entry valid."""
        at = element * self._stride
        self._octets[at : at + self._key_size] = key
        self._octets[at + self._data : at + self._data_end] = data
        self.set_counters(element, 0, 0)
        self.actions[element] = action

    def overwrite_data(self, element: int, data: bytes) -> None:
        """Replaces the parameters in place."""
        at = element * self._stride
        self._octets[at + self._data : at + self._data_end] = data

    def counters(self, element: int) -> tuple[int, int]:
        """Packets and octets as shown."""
        at = element * self._stride // 8
        words = self._words
        (packets, base_packets), (octets, base_octets) = self._counters
        return (
            (words[at + packets] + words[at + base_packets]) & MASK64,
            (words[at + octets] + words[at + base_octets]) & MASK64,
        )

    def set_counters(self, element: int, packets: int, octets: int) -> None:
        """Makes what is shown go on from these values."""
        at = element * self._stride // 8
        words = self._words
        (live_packets, base_packets), (live_octets, base_octets) = self._counters
        words[at + base_packets] = (packets - words[at + live_packets]) & MASK64
        words[at + base_octets] = (octets - words[at + live_octets]) & MASK64

    def add_counters(self, element: int, packets: int, octets: int) -> None:
        """Adds to what is shown without a look at the live counters, which may move at any time."""
        at = element * self._stride // 8
        words = self._words
        (_, base_packets), (_, base_octets) = self._counters
        words[at + base_packets] = (words[at + base_packets] + packets) & MASK64
        words[at + base_octets] = (words[at + base_octets] + octets) & MASK64


def missing(table: str) -> EntryMissing:
    """What a table answers for a key that it does not have."""
    return EntryMissing(f"table {table} has no entry with this key; insert it first")


def copies(elements: Elements, used: Iterable[int]) -> Iterator[bytes]:
    """Copies of these elements, all taken before the first is handed out."""
    return iter([elements.copy(element) for element in used])


def view(name: str, memory: Memory, size: int) -> memoryview:
    """The first ``size`` octets of ``memory``, writable."""
    octets = memoryview(memory).cast("B")
    if len(octets) < size:
        raise MemoryMismatch(
            f"table {name} needs {size} octets of memory, {len(octets)} are mapped; load it anew"
        )
    return octets[:size]
