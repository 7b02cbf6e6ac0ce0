# SPDX-License-Identifier: Apache-2.0
"""Packets that wait for the connection of their pair: in order, and bounded. Sans-IO."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

PER_PAIR: Final = 64
PAIRS: Final = 4096
OCTETS: Final = 16 << 20
"""Limits: packets of one pair, pairs, octets of all. What is over is dropped; its sender will repeat it."""

P = TypeVar("P")
K = TypeVar("K")


class Held(Generic[K, P]):
    """Packets by pair.

    Args:
        size: octets of a packet.
    """

    def __init__(self, size: Callable[[P], int]) -> None:
        self._size = size
        self._pairs: dict[K, deque[P]] = {}
        self._octets = 0

    def add(self, pair: K, packet: P) -> bool:
        """Hold a packet, if there is room; whether it is the first of its pair, so that somebody must act."""
        octets = self._size(packet)
        if self._octets + octets > OCTETS:
            return False
        waiting = self._pairs.get(pair)
        if waiting is None:
            if len(self._pairs) == PAIRS:
                return False
            self._pairs[pair] = deque([packet])
        elif len(waiting) < PER_PAIR:
            waiting.append(packet)
        else:
            return False
        self._octets += octets
        return waiting is None

    def take(self, pair: K) -> P | None:
        """The packet of the pair that has waited longest; None when none is left."""
        waiting = self._pairs[pair]
        if not waiting:
            return None
        packet = waiting.popleft()
        self._octets -= self._size(packet)
        return packet

    def drop(self, pair: K) -> None:
        """Forget the pair and its packets."""
        self._octets -= sum(map(self._size, self._pairs.pop(pair)))
