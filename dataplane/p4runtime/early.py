# SPDX-License-Identifier: Apache-2.0
"""Packets that wait until there is a primary controller. Sans-IO: time is a parameter."""

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


class _Waiting(NamedTuple):
    since: float
    source: bytes
    message: p4r.StreamMessageResponse
    octets: int


class EarlyPackets:
    """A queue with limits: a source that has its share gets no more, and beyond the rest the oldest go."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._of_source: Counter[bytes] = Counter()
        self._octets = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def octets(self) -> int:
        """Octets of payload that wait."""
        return self._octets

    def put(self, source: bytes, message: p4r.StreamMessageResponse, now: float) -> bool:
        """Keep a packet-in from ``source`` (any name for it); whether it was kept. ``now`` is in seconds."""
        self._expire(now)
        octets = len(message.packet.payload)
        if octets > OCTETS or self._of_source[source] >= PACKETS_OF_ONE_SOURCE:
            return False
        while len(self._waiting) >= PACKETS or self._octets + octets > OCTETS:
            self._take()
        self._waiting.append(_Waiting(now, source, message, octets))
        self._of_source[source] += 1
        self._octets += octets
        return True

    def pop(self, now: float) -> p4r.StreamMessageResponse | None:
        """The packet that has waited longest and is still good; None when there is none."""
        self._expire(now)
        return self._take().message if self._waiting else None

    def _expire(self, now: float) -> None:
        while self._waiting and self._waiting[0].since + WAITING_SECONDS <= now:
            self._take()

    def _take(self) -> _Waiting:
        found = self._waiting.popleft()
        self._octets -= found.octets
        self._of_source[found.source] -= 1
        if not self._of_source[found.source]:
            del self._of_source[found.source]
        return found
