# SPDX-License-Identifier: Apache-2.0
"""What waits to be sent on a client's stream."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from finsy.proto import p4r

LIMIT: Final = 4096
"""Messages that wait for a slow client; beyond, all but arbitration is dropped."""


class Outbox:
    """A queue of messages; arbitration is never dropped, all else is when the client is too slow."""

    def __init__(self) -> None:
        self._waiting: deque[p4r.StreamMessageResponse] = deque()
        self._filled = asyncio.Event()
        self._closed = False
        self.dropped = 0

    def put(self, message: p4r.StreamMessageResponse) -> bool:
        """Queues a message; whether there was room."""
        if len(self._waiting) >= LIMIT and not message.HasField("arbitration"):
            self.dropped += 1
            return False
        self._waiting.append(message)
        self._filled.set()
        return True

    def close(self) -> None:
        """Nothing more will be put."""
        self._closed = True
        self._filled.set()

    async def get(self) -> p4r.StreamMessageResponse | None:
        """The next message, when there is one; ``None`` when none is left and none will come."""
        while not self._waiting:
            if self._closed:
                return None
            self._filled.clear()
            await self._filled.wait()
        return self._waiting.popleft()
