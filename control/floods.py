# SPDX-License-Identifier: Apache-2.0
"""Data planes that ask for more than they should: told in the log once, and in the state of the node."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from control.records import Node

log = structlog.get_logger(__name__)

WINDOW: Final = 5.0
"""Seconds over which is counted."""

RATE: Final = 100
"""Vain questions a second from which on it is a flood; at half of it, it is over."""


@dataclass(slots=True)
class _Count:
    began: float
    asked: int = 0
    rate: float = 0.0
    flooded: bool = False


class Floods:
    """Counts what data planes ask in vain: packets of pairs that may not or cannot be connected, and of
    connections that nobody knows.

    Args:
        now: the time in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._counts: dict[int, _Count] = {}

    def asked(self, node: Node) -> bool:
        """``node`` has asked in vain; whether that is one of a flood, of which no log should tell."""
        count = self._count(node)
        count.asked += 1
        return count.flooded or count.asked > RATE * WINDOW

    def state_of(self, node: Node) -> str:
        """In one sentence, what ``node`` suffers; empty when nothing."""
        if node.id not in self._counts:
            return ""
        count = self._count(node)
        if not count.flooded:
            return ""
        return (
            f"node {node.name} gets {count.rate:.0f} packets a second of pairs or connections that there are "
            f"not: 'moorline drops --node {node.name} --all' tells at which port, find who sends them there"
        )

    def _count(self, node: Node) -> _Count:
        now = self._now()
        count = self._counts.setdefault(node.id, _Count(now))
        if now - count.began >= WINDOW:
            self._close_window(node, count, now)
        return count

    def _close_window(self, node: Node, count: _Count, now: float) -> None:
        count.rate = count.asked / (now - count.began)
        flooded = count.rate >= (RATE / 2 if count.flooded else RATE)
        if flooded != count.flooded:
            log.warning(
                "flood_of_packets" if flooded else "flood_is_over", node=node.name, rate=round(count.rate)
            )
        count.began, count.asked, count.flooded = now, 0, flooded
