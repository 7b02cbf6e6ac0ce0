# SPDX-License-Identifier: Apache-2.0
"""The masks of a ternary table, and the order in which packets try them.

``<table>_masks`` holds a mask an element. ``<table>_order`` holds versions of the order: steps of
``highest priority << 32 | number of the mask + 1`` in falling order, ended by 0. The first word of its first
element says which version is in force: ``generation << 32 | version``; the generation is another one after
each change of the table. A version, or a mask, that is in force no more is used again after a grace time.
"""

from __future__ import annotations

import struct
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Final

from dataplane.bpf.elements import GRACE_NS, Memory, MemoryMismatch, TableFull, view
from dataplane.contract.layout import MASKS, ORDERS

_MASK32: Final = (1 << 32) - 1


class _Numbers:
    """Free numbers, and those that a packet may still use."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._free: list[int] = []
        self._retired: deque[tuple[int, int]] = deque()

    def recover(self, free: Iterable[int]) -> None:
        self._free = sorted(free, reverse=True)
        self._retired.clear()

    def retire(self, number: int) -> None:
        self._retired.append((self._clock() + GRACE_NS, number))

    def take(self) -> int | None:
        """A free number, waited for if its grace time runs; none if there is none."""
        while not self._free and self._retired:
            time.sleep(max(0, self._retired[0][0] - self._clock()) / 1e9)
            self._reclaim()
        return self._free.pop() if self._free else None

    def _reclaim(self) -> None:
        while self._retired and self._retired[0][0] <= self._clock():
            self._free.append(self._retired.popleft()[1])


class MaskOrder:
    """Masks of ``octets`` octets each, whole words of 8.

    Whoever publishes an entry announces it before, and whoever takes one away tells it after: so the order in
    force never says less of a mask than what its entries have.
    """

    def __init__(
        self, name: str, masks: Memory, order: Memory, octets: int, clock: Callable[[], int]
    ) -> None:
        self._name = name
        self._masks = view(name, masks, MASKS * octets)
        self._octets = octets
        self._order = view(name, order, ORDERS * MASKS * 8).cast("Q")
        self._numbers: dict[bytes, int] = {}
        self._priorities: dict[int, Counter[int]] = {}
        self._highest: dict[int, int] = {}
        self._free_masks, self._free_versions = _Numbers(clock), _Numbers(clock)

    def recover(self, entries: Iterable[tuple[int, int]]) -> None:
        """Begins with what the table holds: mask number and priority of each entry.

        Raises:
            MemoryMismatch: there is no such mask.
        """
        for number, priority in entries:
            if number >= MASKS:
                raise MemoryMismatch(
                    f"table {self._name}: an entry names the mask {number} of {MASKS}; load it anew"
                )
            self._priorities.setdefault(number, Counter())[priority] += 1
        self._highest = {number: max(counts) for number, counts in self._priorities.items()}
        self._numbers = {self.mask(number): number for number in self._highest}
        self._free_masks.recover(set(range(MASKS)) - self._highest.keys())
        current = self._order[0] & _MASK32
        if current >= ORDERS:
            raise MemoryMismatch(
                f"table {self._name}: version {current} of its order is none of {ORDERS}; load it anew"
            )
        self._free_versions.recover(set(range(1, ORDERS)) - {current})
        self._publish()

    def mask(self, number: int) -> bytes:
        """The mask with this number."""
        return self._masks[number * self._octets : (number + 1) * self._octets].tobytes()

    def masks(self) -> dict[int, bytes]:
        """The masks that entries have now, by number."""
        return {number: mask for mask, number in self._numbers.items()}

    def number(self, mask: bytes) -> int | None:
        """The number of a mask that entries have."""
        return self._numbers.get(mask)

    def announce(self, mask: bytes, priority: int) -> int:
        """Makes packets look for an entry with this mask and priority; the number of the mask.

        Raises:
            TableFull: there are as many masks as there can be.
        """
        number = self._numbers.get(mask)
        if number is None:
            number = self._free_masks.take()
            if number is None:
                raise TableFull(
                    f"table {self._name} has {MASKS} different masks, as many as it can; use one of them, or "
                    "delete all entries that have one of them"
                )
            self._masks[number * self._octets : (number + 1) * self._octets] = mask
            self._numbers[mask] = number
            self._priorities[number] = Counter()
        self._priorities[number][priority] += 1
        if priority > self._highest.get(number, -1):
            self._highest[number] = priority
            self._publish()
        return number

    def withdraw(self, number: int, priority: int) -> None:
        """An entry is found no more."""
        counts = self._priorities[number]
        counts[priority] -= 1
        if counts[priority]:
            self.changed()
            return
        del counts[priority]
        if priority < self._highest[number]:
            self.changed()
            return
        if counts:
            self._highest[number] = max(counts)
        else:
            del self._highest[number], self._priorities[number], self._numbers[self.mask(number)]
        self._publish()
        if not counts:
            self._free_masks.retire(number)

    def changed(self) -> None:
        """What packets remember of the table holds no more."""
        self._put_in_force(self._order[0] & _MASK32)

    def _publish(self) -> None:
        """The order as it should be now, in another version, put in force by one store."""
        version = self._free_versions.take()
        assert version is not None  # all but the one in force are free, or will be
        falling = sorted(self._highest.items(), key=lambda item: -item[1])
        steps = [priority << 32 | number + 1 for number, priority in falling]
        packed = struct.pack(f"={MASKS}Q", *steps, *[0] * (MASKS - len(steps)))
        self._order[version * MASKS : (version + 1) * MASKS] = memoryview(packed).cast("Q")
        former = self._order[0] & _MASK32
        self._put_in_force(version)
        if former:
            self._free_versions.retire(former)

    def _put_in_force(self, version: int) -> None:
        # A line of a flow cache that was never written has the generation 0.
        generation = (self._order[0] >> 32) % _MASK32 + 1
        self._order[0] = generation << 32 | version
