# SPDX-License-Identifier: Apache-2.0
"""The indirect counter ``port_events``: a per-CPU array, added up over the CPUs.

Every packet is counted as one event, and as received: the programs count the event, and ``RX`` is what all
events of a port add up to. The cell of ``RX`` holds what a write made of it beyond that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from dataplane.bpf import sys as bpf
from dataplane.bpf.elements import MASK64
from moorline.wire import EVENTS_PER_PORT, Event

_CELL: Final = struct.Struct("=QQ")
_EVENTS: Final = tuple(Event)


class EventCounters:
    """Cells of packets and octets, index ``port * EVENTS_PER_PORT + event``."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._count = bpf.map_info(fd).max_entries
        self._octets = bpf.possible_cpus() * _CELL.size

    def read(self, index: int) -> tuple[int, int]:
        """Packets and octets of one cell."""
        if index % EVENTS_PER_PORT == Event.RX:
            return _added(self._cells(index, EVENTS_PER_PORT))
        return self._cell(index)

    def read_all(self) -> Sequence[tuple[int, int]]:
        """All cells."""
        cells = self._cells(0, self._count)
        for first in range(0, self._count, EVENTS_PER_PORT):
            cells[first + Event.RX] = _added(cells[first : first + EVENTS_PER_PORT])
        return cells

    def port(self, port: int) -> dict[Event, tuple[int, int]]:
        """Packets and octets of each event at a port."""
        cells = self._cells(port * EVENTS_PER_PORT, EVENTS_PER_PORT)
        cells[Event.RX] = _added(cells)
        return {event: cells[event] for event in _EVENTS}

    def write(self, index: int, packets: int, octets: int) -> None:
        """Sets one cell, and no other; what is counted at the same moment may be lost."""
        received = index - index % EVENTS_PER_PORT + Event.RX
        before = self.read(index)
        change = (packets - before[0], octets - before[1])
        self._add(index, change)
        if index != received:
            self._add(received, (-change[0], -change[1]))

    def _add(self, index: int, change: tuple[int, int]) -> None:
        packets, octets = _added([self._cell(index), change])
        zeros = bytes(self._octets - _CELL.size)
        bpf.update(self._fd, index, _CELL.pack(packets, octets) + zeros)

    def _cell(self, index: int) -> tuple[int, int]:
        return _summed(bpf.lookup(self._fd, index, self._octets))

    def _cells(self, first: int, count: int) -> list[tuple[int, int]]:
        words = memoryview(bpf.lookup_range(self._fd, first, count, self._octets)).cast("Q")
        step = self._octets // words.itemsize
        # A column for each CPU's packets, and one for its octets: sums go over hundreds of cells at once.
        columns = [words[at::step].tolist() for at in range(step)]
        packets, octets = (
            [sum(copies) & MASK64 for copies in zip(*columns[part::2], strict=True)] for part in (0, 1)
        )
        return list(zip(packets, octets, strict=True))


def _summed(copies: bytes) -> tuple[int, int]:
    return _added(_CELL.iter_unpack(copies))


def _added(cells: Iterable[tuple[int, ...]]) -> tuple[int, int]:
    packets = octets = 0
    for cell in cells:
        packets += cell[0]
        octets += cell[1]
    return packets & MASK64, octets & MASK64
