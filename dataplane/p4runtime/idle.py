# SPDX-License-Identifier: Apache-2.0
"""Idle time-outs, told by sampling packet counters: they cost the data plane nothing.

Sans-IO: time is a parameter in nanoseconds of any steady clock. An entry is looked at four times within its
time-out, so that a notification comes at most a quarter of the time-out late, never early.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

LOOKS: Final = 4
"""How often an entry is looked at within its time-out."""

SHORTEST_NS: Final = 20_000_000
"""The shortest time between two looks at an entry."""

PacketCount = Callable[[bytes], int | None]
"""The packets that an entry has counted; ``None`` when it is gone."""


class _Timer:
    """One entry: its time-out (0: only watched), the count seen last and since when it stands.

    The time-out runs anew when it was told, which must not hide for how long the entry has been idle.
    """

    __slots__ = ("due_ns", "packets", "runs_since_ns", "since_ns", "timeout_ns")

    def __init__(self, timeout_ns: int, packets: int, now_ns: int) -> None:
        self.timeout_ns = timeout_ns
        self.packets = packets
        self.since_ns = now_ns
        self.runs_since_ns = now_ns
        self.due_ns = 0

    def look(self, packets: int, now_ns: int) -> None:
        """Takes the present count."""
        if packets != self.packets:
            self.packets = packets
            self.since_ns = now_ns
            self.runs_since_ns = now_ns

    def next_look(self, now_ns: int) -> int:
        """When to look again."""
        step = max(SHORTEST_NS, self.timeout_ns // LOOKS)
        return min(now_ns + step, max(self.runs_since_ns + self.timeout_ns, now_ns + 1))


class IdleTimers:
    """The time-outs of one table's entries.

    Args:
        packets: counted by an entry.
        clock: nanoseconds.
        on_sooner: called when an entry is to be looked at before all that there were.
    """

    def __init__(self, packets: PacketCount, clock: Callable[[], int], on_sooner: Callable[[], None]) -> None:
        self._packets = packets
        self._clock = clock
        self._on_sooner = on_sooner
        self._timers: dict[bytes, _Timer] = {}
        self._heap: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        return len(self._timers)

    def set(self, key: bytes, timeout_ns: int) -> None:
        """An entry was written or deleted: its time begins anew. 0 ends it."""
        if not timeout_ns:
            self._timers.pop(key, None)
            return
        now = self._clock()
        timer = _Timer(timeout_ns, self._packets(key) or 0, now)
        self._timers[key] = timer
        self._schedule(key, timer, now)
        if self._heap[0] == (timer.due_ns, key):
            self._on_sooner()

    def elapsed_ns(self, key: bytes) -> int:
        """Time since the last hit, as far as it was watched; an entry without time-out is watched from now
        on."""
        now = self._clock()
        timer = self._timers.get(key)
        packets = self._packets(key) or 0
        if timer is None:
            timer = self._timers[key] = _Timer(0, packets, now)
        timer.look(packets, now)
        return now - timer.since_ns

    def next_due_ns(self) -> int | None:
        """When ``expired`` has something to do again."""
        return self._heap[0][0] if self._heap else None

    def expired(self, most: int) -> list[bytes]:
        """Looks at up to ``most`` entries that are due; returns those that were idle for their time-out.

        Their time-outs begin anew; for how long they have been idle goes on.
        """
        now = self._clock()
        idle = []
        for _ in range(most):
            if not self._heap or self._heap[0][0] > now:
                break
            due, key = heappop(self._heap)
            timer = self._timers.get(key)
            if timer is None or timer.due_ns != due:
                continue  # deleted or set anew
            packets = self._packets(key)
            if packets is None:
                del self._timers[key]
                continue
            timer.look(packets, now)
            if now - timer.runs_since_ns >= timer.timeout_ns:
                idle.append(key)
                timer.runs_since_ns = now
            self._schedule(key, timer, now)
        return idle

    def _schedule(self, key: bytes, timer: _Timer, now: int) -> None:
        timer.due_ns = timer.next_look(now)
        heappush(self._heap, (timer.due_ns, key))
