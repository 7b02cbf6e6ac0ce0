# SPDX-License-Identifier: Apache-2.0
"""Changes of connections, told to whoever watches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from enum import IntEnum
from typing import Final

from control.connection_records import Connection
from control.errors import ExhaustedError

BACKLOG: Final = 100_000
"""Events that a watcher may lag behind."""


class Kind(IntEnum):
    """What happened; values are those of ``moorline.v1.ConnectionEvent.Kind``."""

    PRESENT = 1
    ADDED = 2
    CHANGED = 3
    REMOVED = 4


Event = tuple[Kind, Connection]


class Events:
    """The list of watchers. Publishing costs nothing while there are none."""

    def __init__(self) -> None:
        self._watchers: set[_Watcher] = set()

    @property
    def watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watchers)

    def publish(self, kind: Kind, connection: Connection) -> None:
        """Tell all watchers."""
        for watcher in self._watchers:
            watcher.add((kind, connection))

    async def watch(self) -> AsyncGenerator[Event, None]:
        """Events from now on, for ever; raises :class:`ExhaustedError` when the reader lags too far."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        try:
            while True:
                yield await watcher.next()
        finally:
            self._watchers.discard(watcher)


class _Watcher:
    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._overrun = False

    def add(self, event: Event) -> None:
        self._overrun = self._overrun or len(self._events) >= BACKLOG
        if not self._overrun:
            self._events.append(event)
            self._wake.set()

    async def next(self) -> Event:
        while not self._events:
            if self._overrun:
                raise ExhaustedError(
                    f"this watch fell {BACKLOG} events behind: start it again, and read faster"
                )
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()
