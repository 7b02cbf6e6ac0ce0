# SPDX-License-Identifier: Apache-2.0
"""Packets that wait: until there is a primary controller, or until it has answered. Sans-IO: time is a
parameter.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final, NamedTuple

from finsy.proto import p4r

PACKETS: Final = 1024
OCTETS: Final = 4 << 20
PACKETS_OF_ONE_SOURCE: Final = 64
"""So many wait at most, in all and of one source, so that none takes the room of all others."""

WAITING_SECONDS: Final = 3.0
"""After that the sender has long repeated itself, and its first packet would only confuse."""


class Waiting(NamedTuple):
    """A packet-in from ``source`` (any name for it), that came at ``since`` (seconds)."""

    since: float
    source: bytes
    payload: bytes
    message: p4r.StreamMessageResponse


class WaitingPackets:
    """A queue with limits: a source that has its share gets no more, and beyond the rest the oldest go.

    They are put in the order in which they came.
    """

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._of_source: Counter[bytes] = Counter()
        self._octets = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def octets(self) -> int:
        """Octets of payload that wait."""
        return self._octets

    def put(self, packet: Waiting) -> bool:
        """Keep a packet; whether it was kept."""
        self._expire(packet.since)
        octets = len(packet.payload)
        if octets > OCTETS or self._of_source[packet.source] >= PACKETS_OF_ONE_SOURCE:
            return False
        while len(self._waiting) >= PACKETS or self._octets + octets > OCTETS:
            self._forget(0)
        self._waiting.append(packet)
        self._of_source[packet.source] += 1
        self._octets += octets
        return True

    def pop(self, now: float) -> Waiting | None:
        """The packet that has waited longest and is still good; None when there is none."""
        self._expire(now)
        return self._forget(0) if self._waiting else None

    def forget(self, payload: bytes) -> None:
        """Let a packet wait no longer; nothing happens if it does not."""
        for place, packet in enumerate(self._waiting):
            if packet.payload == payload:
                self._forget(place)
                return

    def _expire(self, now: float) -> None:
        while self._waiting and self._waiting[0].since + WAITING_SECONDS <= now:
            self._forget(0)

    def _forget(self, place: int) -> Waiting:
        found = self._waiting[place]
        del self._waiting[place]
        self._octets -= len(found.payload)
        self._of_source[found.source] -= 1
        if not self._of_source[found.source]:
            del self._of_source[found.source]
        return found
