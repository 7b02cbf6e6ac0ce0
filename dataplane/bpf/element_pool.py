# SPDX-License-Identifier: Apache-2.0
"""The free elements of a table, and those that a packet may still look at."""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import compress
from typing import Final, NamedTuple

from dataplane.bpf.elements import GRACE_NS, Elements, MemoryMismatch

_NOT: Final = b"\1" + bytes(255)
"""Translates 0 into 1, and 1 into 0."""


class _Retired(NamedTuple):
    """An element that the index no longer names, until no packet can look at it."""

    due_ns: int
    element: int
    successor: int  # 0: the entry was deleted
    packets: int
    octets: int


class ElementPool:
    """Hands out elements; takes back what is named no more, and uses it again after a grace time.

    Element 0 is never used. What packets still count on an element that has a successor is added to that
    before the element is used again.
    """

    def __init__(self, elements: Elements, clock: Callable[[], int]) -> None:
        self._elements = elements
        self._clock = clock
        self._retired: deque[_Retired] = deque()
        self._free = array("I")
        self._held = bytearray()
        """1 for each element that was taken and not given back."""
        self._end = 0
        """From here on no element was ever taken: what few entries cost does not depend on the capacity."""

    def recover(self, name: str, total: int, named: Iterable[int]) -> None:
        """All of ``total`` elements are free but for those that the index names; the lowest are taken first,
        so that warm pages are used first.

        Raises:
            MemoryMismatch: an element is named that the table does not have.
        """
        unused = bytearray(b"\1") * total
        unused[0] = 0
        for element in named:
            if not 0 < element < total:
                raise MemoryMismatch(
                    f"table {name}: its index names element {element} of {total}; load it anew"
                )
            unused[element] = 0
        self._held = unused.translate(_NOT)
        self._held[0] = 0
        self._end = self._held.rfind(1) + 1
        unused.reverse()
        self._free = array("I", compress(range(total - 1, -1, -1), unused))

    def take(self) -> int:
        """A free element; waits for one whose grace time runs, when there is no other."""
        self.reclaim()
        while not self._free:
            time.sleep(max(0, self._retired[0].due_ns - self._clock()) / 1e9)
            self.reclaim()
        element = self._free.pop()
        self._held[element] = 1
        self._end = max(self._end, element + 1)
        return element

    def held(self) -> Iterator[int]:
        """The elements that were taken and not given back, the lowest first."""
        return compress(range(self._end), self._held)

    def carry_counters(self, old: int, new: int) -> tuple[int, int]:
        """Makes ``new``, not yet named, show what ``old`` shows: packets and octets, which are returned."""
        counted = self._elements.counters(old)
        self._elements.set_counters(new, *counted)
        return counted

    def replace(self, old: int, new: int, counted: tuple[int, int]) -> None:
        """``old`` is named no more; what it counts beyond ``counted`` is for ``new``."""
        self._held[old] = 0
        self._retired.append(_Retired(self._clock() + GRACE_NS, old, new, *counted))

    def retire(self, element: int) -> None:
        """The element is named no more."""
        self._held[element] = 0
        self._retired.append(_Retired(self._clock() + GRACE_NS, element, 0, 0, 0))

    def reclaim(self) -> None:
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
