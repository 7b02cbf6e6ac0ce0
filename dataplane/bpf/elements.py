# SPDX-License-Identifier: Apache-2.0
"""The array of a table's elements in shared memory, and what tables may answer.

Memory is any writable buffer: an ``mmap`` of a BPF array, or a ``bytearray``. The BPF programs only read
entries and add to their own rows of the counters; the agent is the only writer. It never writes a program's
row: what an entry shows is the sum of all rows modulo 2^64, and the agent moves its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import Final, NamedTuple

from dataplane.bpf.number_set import NumberSet
from dataplane.contract.layout import HITS_OCTETS, TableShape
from moorline.errors import MoorlineError

Memory = bytearray | memoryview | mmap
"""A writable run of octets."""

MASK64: Final = (1 << 64) - 1

GRACE_NS: Final = 10_000_000
"""How long a packet may still look at what the index no longer names."""

_WORDS: Final = HITS_OCTETS // 8
"""Words of a counter: packets and octets."""


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


@dataclass(frozen=True, slots=True)
class TableMemory:
    """The memory of a table: its elements and its counters, which are the same where hits are counted inside;
    of one with an index, that too; of a ternary table, its masks and their order too; where hits are counted
    inside, the rest of the parameters too."""

    elements: Memory
    hits: Memory
    index: Memory | None = None
    masks: Memory | None = None
    order: Memory | None = None
    rest: Memory | None = None


class RawEntry(NamedTuple):
    """An entry as it lies in memory: key and parameters as packed in C, counters as shown to users."""

    key: bytes
    action: int
    data: bytes
    packets: int
    bytes: int


class Elements:
    """Typed views of the array of elements and of the rows of its counters.

    ``count`` is the number of elements, those of ``shape`` if it is not given.
    """

    def __init__(
        self,
        shape: TableShape,
        memory: Memory,
        hits: Memory,
        count: int | None = None,
        rest: Memory | None = None,
    ) -> None:
        count = shape.elements if count is None else count
        self._shape = shape
        self._memory = view(shape.name, memory, count * shape.stride)
        self._octets = self._memory[shape.head :]
        self._stride = shape.stride
        self._key_size = shape.action
        near = shape.data_size - shape.rest_size
        self._near = near
        self._data, self._data_end = shape.data, shape.data + near
        self._rest_size = shape.rest_size
        self._rest = view(shape.name, rest or bytearray(), count * shape.rest_size)
        self.actions = self._octets.cast("I")[shape.action // 4 :: shape.stride // 4]
        self._unpack = struct.Struct(
            f"={shape.action}s I {shape.data - shape.action - 4}x {near}s"
        ).unpack_from
        if shape.head:
            self._hits = self._memory.cast("Q")
            self._step, self._row = shape.stride // 8, _WORDS
        else:
            self._hits = view(shape.name, hits, shape.hits_rows * count * HITS_OCTETS).cast("Q")
            self._step, self._row = _WORDS, count * _WORDS
        self._rows = shape.hits_rows * self._row

    def key(self, element: int) -> bytes:
        """The element's key as packed in C."""
        at = element * self._stride
        return self._octets[at : at + self._key_size].tobytes()

    def copy(self, element: int) -> RawEntry:
        """The entry as it is now."""
        key, action, data = self._unpack(self._octets, element * self._stride)
        if self._rest_size:
            data += self._rest_of(element)
        return RawEntry(key, action, data, *self.counters(element))

    def copies(self, numbers: NumberSet) -> Iterator[RawEntry]:
        """The entries of these elements as they are at the time of the call.

        The call copies memory as a whole; entries are made of it one by one as they are asked for, so that
        whoever goes through many of them may do other work in between.
        """
        end = numbers.end
        octets = bytearray(self._memory[: end * self._stride])
        rows = range(0, 0 if self._shape.head else len(self._hits), self._row)
        hits = bytearray().join(self._hits[row : row + _WORDS * end] for row in rows)
        rest = bytearray(self._rest[: end * self._rest_size])
        return map(Elements(self._shape, octets, hits, end, rest).copy, numbers.rising())

    def same(self, element: int, action: int, data: bytes) -> bool:
        """Whether the element has this action with these parameters."""
        at = element * self._stride
        return (
            self.actions[element] == action
            and self._octets[at + self._data : at + self._data_end] == data[: self._near]
            and self._rest_of(element) == data[self._near :]
        )

    def write(self, element: int, key: bytes, action: int, data: bytes) -> None:
        """Fills a free element; the action comes last, since it is what makes the entry valid."""
        at = element * self._stride
        self._octets[at : at + self._key_size] = key
        self.overwrite_data(element, data)
        self.set_counters(element, 0, 0)
        self.actions[element] = action

    def overwrite_data(self, element: int, data: bytes) -> None:
        """Replaces the parameters in place."""
        at = element * self._stride
        self._octets[at + self._data : at + self._data_end] = data[: self._near]
        if self._rest_size:
            at = element * self._rest_size
            self._rest[at : at + self._rest_size] = data[self._near :]

    def counters(self, element: int) -> tuple[int, int]:
        """Packets and octets as shown."""
        return self._sum(element, 0)

    def set_counters(self, element: int, packets: int, octets: int) -> None:
        """Makes what is shown go on from these values."""
        counted, counted_octets = self._sum(element, self._row)
        at = element * self._step
        self._hits[at] = (packets - counted) & MASK64
        self._hits[at + 1] = (octets - counted_octets) & MASK64

    def add_counters(self, element: int, packets: int, octets: int) -> None:
        """Adds to what is shown without a look at the programs' rows, which may move at any time."""
        at = element * self._step
        self._hits[at] = (self._hits[at] + packets) & MASK64
        self._hits[at + 1] = (self._hits[at + 1] + octets) & MASK64

    def _sum(self, element: int, start: int) -> tuple[int, int]:
        """Packets and octets in the rows from ``start`` on."""
        at = element * self._step
        end, hits, row = at + self._rows, self._hits, self._row
        at += start
        return sum(hits[at:end:row].tolist()) & MASK64, sum(hits[at + 1 : end : row].tolist()) & MASK64

    def _rest_of(self, element: int) -> bytes:
        at = element * self._rest_size
        return self._rest[at : at + self._rest_size].tobytes()


def missing(table: str) -> EntryMissing:
    """What a table answers for a key that it does not have."""
    return EntryMissing(f"table {table} has no entry with this key; insert it first")


def view(name: str, memory: Memory, size: int) -> memoryview:
    """The first ``size`` octets of ``memory``, writable."""
    octets = memoryview(memory).cast("B")
    if len(octets) < size:
        raise MemoryMismatch(
            f"table {name} needs {size} octets of memory, {len(octets)} are mapped; load it anew"
        )
    return octets[:size]
