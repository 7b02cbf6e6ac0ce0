# SPDX-License-Identifier: Apache-2.0
"""The recent changes of a store, in memory, for watches."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from typing import Final

from control.errors import StoreError
from control.store.base import Change, CompactedError

KEPT: Final = 10_000
"""Changes that are remembered at least; a reader further behind has to list again."""


class History:
    """A bounded log of changes; ``start`` is the revision of the store when it was opened."""

    def __init__(self, start: int) -> None:
        self._changes: list[Change] = []
        self._compacted = start
        self._revision = start
        self._wake = asyncio.Event()
        self._closed: StoreError | None = None

    def add(self, changes: Sequence[Change], revision: int) -> None:
        """Append what a commit wrote; ``revision`` is the store's afterwards."""
        self._changes += changes
        self._revision = revision
        if len(self._changes) > 2 * KEPT:
            self._forget()
        self._wake.set()
        self._wake = asyncio.Event()

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Change]:
        """See :meth:`control.store.base.Store.watch`."""
        while True:
            if after < self._compacted:
                raise CompactedError(
                    f"changes of the store after revision {after} are forgotten up to {self._compacted}: "
                    "list again and watch from there"
                )
            wake = self._wake
            at = bisect_right(self._changes, after, key=lambda change: change.revision)
            pending = self._changes[at:]
            after = max(after, self._revision)
            for change in pending:
                if change.key.startswith(prefix):
                    yield change
            if self._closed is not None:
                raise self._closed
            await wake.wait()

    def close(self, error: StoreError) -> None:
        """End all watches with ``error``."""
        self._closed = error
        self._wake.set()

    def _forget(self) -> None:
        """Drop the older half, whole revisions only."""
        last = self._changes[len(self._changes) - KEPT - 1].revision
        at = bisect_right(self._changes, last, key=lambda change: change.revision)
        del self._changes[:at]
        self._compacted = last
