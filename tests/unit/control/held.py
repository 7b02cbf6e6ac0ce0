# SPDX-License-Identifier: Apache-2.0
"""A store that can be made to take its time, so that a test may do something meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from control.store.base import Transaction


@asynccontextmanager
async def held(store: Any, prefix: str) -> AsyncIterator[asyncio.Event]:
    """Hold commits that write keys with ``prefix`` until the block ends; the event says that one is held."""
    commit, reached, gate = store.commit, asyncio.Event(), asyncio.Event()

    async def hold(transaction: Transaction) -> int:
        if any(key.startswith(prefix) for key in (*transaction.puts, *transaction.deletes)):
            reached.set()
            await gate.wait()
        revision: int = await commit(transaction)
        return revision

    store.commit = hold
    try:
        yield reached
    finally:
        store.commit = commit
        gate.set()
