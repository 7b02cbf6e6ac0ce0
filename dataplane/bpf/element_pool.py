# SPDX-License-Identifier: Apache-2.0
"""The free elements of a table, and those that a packet may still look at."""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from dataplane.bpf.elements import GRACE_NS, Elements, MemoryMismatch
from dataplane.bpf.number_set import NumberSet


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

    Attributes:
        held: the elements that were taken and not given back.
    """

    def __init__(self, elements: Elements, clock: Callable[[], int]) -> None:
        self._elements = elements
        self._clock = clock
        self._retired: deque[_Retired] = deque()
        self.held = NumberSet(0)
        self._total = 0
        self._end = 1
        """From here on no element was ever taken."""
        self._free = array("I")
        """Elements below that."""

    def recover(self, name: str, total: int, named: Iterable[int]) -> None:
        """All of ``total`` elements are free but for those that the index names; the lowest are taken first,
        so that warm pages are used first.

        Raises:
            MemoryMismatch: an element is named that the table does not have.
        """
        self.held = NumberSet(total)
        for element in named:
            if not 0 < element < total:
                raise MemoryMismatch(
                    f"table {name}: its index names element {element} of {total}; load it anew"
                )
            self.held.add(element)
        self._total = total
        self._end = max(1, self.held.end)
        self._free = array("I", (n for n in range(self._end - 1, 0, -1) if n not in self.held))

    def take(self) -> int:
        """A free element; waits for one whose grace time runs, when there is no other."""
        self.reclaim()
        while not self._free and self._end == self._total:
            time.sleep(max(0, self._retired[0].due_ns - self._clock()) / 1e9)
            self.reclaim()
        if self._free:
            element = self._free.pop()
        else:
            element, self._end = self._end, self._end + 1
        self.held.add(element)
        return element

    def carry_counters(self, old: int, new: int) -> tuple[int, int]:
        """Makes ``new``, not yet named, show what ``old`` shows: packets and octets, which are returned."""
        counted = self._elements.counters(old)
        self._elements.set_counters(new, *counted)
        return counted

    def replace(self, old: int, new: int, counted: tuple[int, int]) -> None:
        """``old`` is named no more; what it counts beyond ``counted`` is for ``new``."""
        self.held.remove(old)
        self._retired.append(_Retired(self._clock() + GRACE_NS, old, new, *counted))

    def retire(self, element: int) -> None:
        """The element is named no more."""
        self.held.remove(element)
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
