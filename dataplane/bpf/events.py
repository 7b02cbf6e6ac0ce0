# SPDX-License-Identifier: Apache-2.0
"""The indirect counter ``port_events``: a per-CPU array, added up over the CPUs."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from dataplane.bpf import sys as bpf
from moorline.wire import EVENTS_PER_PORT, Event

_CELL: Final = struct.Struct("=QQ")


class EventCounters:
    """Cells of packets and octets, index ``port * EVENTS_PER_PORT + event``."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._cells = bpf.map_info(fd).max_entries
        self._octets = bpf.possible_cpus() * _CELL.size

    def read(self, index: int) -> tuple[int, int]:
        """Packets and octets of one cell."""
        return _summed(bpf.lookup(self._fd, index, self._octets))

    def read_all(self) -> Sequence[tuple[int, int]]:
        """All cells."""
        return self._range(0, self._cells)

    def port(self, port: int) -> dict[Event, tuple[int, int]]:
        """Packets and octets of each event at a port."""
        cells = self._range(port * EVENTS_PER_PORT, EVENTS_PER_PORT)
        return {event: cells[event] for event in Event}

    def write(self, index: int, packets: int, octets: int) -> None:
        """Sets one cell; what is counted at the same moment may be lost."""
        zeros = bytes(self._octets - _CELL.size)
        bpf.update(self._fd, index, _CELL.pack(packets, octets) + zeros)

    def _range(self, first: int, count: int) -> list[tuple[int, int]]:
        octets = bpf.lookup_range(self._fd, first, count, self._octets)
        return [_summed(octets[at : at + self._octets]) for at in range(0, len(octets), self._octets)]


def _summed(copies: bytes) -> tuple[int, int]:
    packets = octets = 0
    for of_cpu in _CELL.iter_unpack(copies):
        packets += of_cpu[0]
        octets += of_cpu[1]
    return packets, octets
