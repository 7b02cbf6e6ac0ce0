# SPDX-License-Identifier: Apache-2.0
"""Slots of connections: which elements of a node's ``scid`` table are taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from control.errors import ExhaustedError
from moorline.wire import SLOT_BITS

_WORD_BITS: Final = 64
_FULL: Final = (1 << _WORD_BITS) - 1


class SlotMap:
    """A bitmap of the slots of one node; it grows on demand up to all slots that an SCID can name."""

    __slots__ = ("_words", "cursor", "used")

    def __init__(self) -> None:
        self._words: list[int] = []
        self.cursor = 0
        self.used = 0

    def __contains__(self, slot: int) -> bool:
        return bool(self.word(slot // _WORD_BITS) >> slot % _WORD_BITS & 1)

    def word(self, index: int) -> int:
        """64 slots from ``index * 64``, bit set = taken."""
        return self._words[index] if index < len(self._words) else 0

    def take(self, slot: int) -> None:
        """Mark ``slot`` as taken; it must be free."""
        index, bit = divmod(slot, _WORD_BITS)
        if index >= len(self._words):
            self._words += [0] * (index + 1 - len(self._words))
        assert not self._words[index] >> bit & 1
        self._words[index] |= 1 << bit
        self.used += 1
        self.cursor = slot + 1

    def release(self, slot: int) -> None:
        """Mark ``slot`` as free; it must be taken."""
        index, bit = divmod(slot, _WORD_BITS)
        assert self._words[index] >> bit & 1
        self._words[index] &= ~(1 << bit)
        self.used -= 1


def free_slot(nodes: Sequence[SlotMap], capacity: int) -> int:
    """A slot below ``capacity`` that is free at all nodes; nothing is marked.

    The search goes on from where the fullest node found its last one, so that a slot is not used again at
    once, and a lookup costs little until the tables are nearly full.

    Raises:
        ExhaustedError: there is none.
    """
    capacity = min(capacity, 1 << SLOT_BITS)
    cursor = max(nodes, key=lambda slots: slots.used).cursor
    if cursor >= capacity:
        cursor = 0
    words = (capacity + _WORD_BITS - 1) // _WORD_BITS
    start, bit = divmod(cursor, _WORD_BITS)
    for step in range(words + 1):
        index = (start + step) % words
        free = _FULL
        for slots in nodes:
            free &= ~slots.word(index)
        if step == 0:
            free &= _FULL << bit
        if index == words - 1 and capacity % _WORD_BITS:
            free &= (1 << capacity % _WORD_BITS) - 1
        if free:
            return index * _WORD_BITS + (free & -free).bit_length() - 1
    raise ExhaustedError(
        f"none of {capacity} connection slots is free at all nodes of the path: close connections, or raise "
        "table_sizes of its nodes: scid, and connection, which has two entries for each"
    )
