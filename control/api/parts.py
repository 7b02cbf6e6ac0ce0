# SPDX-License-Identifier: Apache-2.0
"""Long answers, put together without keeping everybody else waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_PART: Final = 500
"""Items that take a few milliseconds to put into messages."""


async def in_parts(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """``items`` in order, some at a time; between two parts others have their turn."""
    for start in range(0, len(items), _PART):
        yield items[start : start + _PART]
        await asyncio.sleep(0)
