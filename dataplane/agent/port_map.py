# SPDX-License-Identifier: Apache-2.0
"""The maps ``ports`` and ``port_ifindex``: which interface is which port (``ebpf/ports.h``)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from moorline.errors import MoorlineError

SLOTS: Final = 1024
PROBES: Final = 4
NUMBERS: Final = 512
STRIDE: Final = 32
"""Octets from one element to the next: the kernel rounds up to 8."""

_FACTS: Final = struct.Struct("=III6s6s4x")
_IFINDEX: Final = struct.Struct("=I")


class PortMapError(MoorlineError):
    """An interface that finds no place in the map."""


@dataclass(frozen=True, slots=True)
class PortEntry:
    """An interface and its port; the host's side is the near end of the access pair, else 0."""

    ifindex: int
    number: int
    mac: bytes
    host_ifindex: int = 0
    host_mac: bytes = bytes(6)

    def pack(self) -> bytes:
        """The element."""
        return _FACTS.pack(self.ifindex, self.number, self.host_ifindex, self.mac[:6], self.host_mac[:6])


class PortMap:
    """Writes both maps; ``ports`` and ``port_ifindex`` are their memory, writable."""

    def __init__(self, ports: memoryview, port_ifindex: memoryview) -> None:
        self._ports = ports
        self._port_ifindex = port_ifindex

    def write(self, entries: Iterable[PortEntry]) -> None:
        """Make the maps hold these ports and no others, without a moment in which one that stays is gone.

        Raises:
            PortMapError: too many interfaces whose indexes fall together.
        """
        wanted = {entry.ifindex: entry for entry in entries}
        for at in range(SLOTS):
            found = self._ifindex(at)
            if found and found not in wanted:
                _IFINDEX.pack_into(self._ports, at * STRIDE, 0)
        for entry in wanted.values():
            _put(self._ports, self._slot(entry.ifindex), entry.pack())
        numbers = {entry.number: entry for entry in wanted.values()}
        for number in range(NUMBERS):
            if number in numbers:
                _put(self._port_ifindex, number, numbers[number].pack())
            else:
                _IFINDEX.pack_into(self._port_ifindex, number * STRIDE, 0)

    def _ifindex(self, slot: int) -> int:
        return int(_IFINDEX.unpack_from(self._ports, slot * STRIDE)[0])

    def _slot(self, ifindex: int) -> int:
        slots = [(ifindex + probe) % SLOTS for probe in range(PROBES)]
        for taken_by in (ifindex, 0):
            for slot in slots:
                if self._ifindex(slot) == taken_by:
                    return slot
        raise PortMapError(
            f"interface index {ifindex} finds no place in the map ports: make the interface anew"
        )


def _put(memory: memoryview, element: int, content: bytes) -> None:
    at = element * STRIDE
    if memory[at : at + len(content)] == content:
        return
    # The index comes last: an element counts from then on.
    memory[at + _IFINDEX.size : at + len(content)] = content[_IFINDEX.size :]
    memory[at : at + _IFINDEX.size] = content[: _IFINDEX.size]
