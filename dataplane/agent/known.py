# SPDX-License-Identifier: Apache-2.0
"""Spares asking the kernel for what it was just given: its tables grow with every service of the host."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Known(Generic[T]):
    """What the kernel has of one kind, as far as that is known."""

    def __init__(self) -> None:
        self._known: T | None = None
        self._turn = asyncio.Lock()

    def doubt(self) -> None:
        """The kernel may have something else by now: what belongs to an interface goes with it."""
        self._known = None

    async def have(self, wanted: T, make: Callable[[T], Awaitable[bool]]) -> None:
        """Call ``make`` unless the kernel is known to have what is wanted; one call at a time.

        It compares with what is there, mends that, and returns whether the kernel took all.
        """
        async with self._turn:
            if wanted == self._known:
                return
            self._known = wanted
            whole = False
            try:
                whole = await make(wanted)
            finally:
                if not whole:
                    self.doubt()
