# SPDX-License-Identifier: Apache-2.0
"""The engines that the suite of the store runs over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from control.store.base import Store
from control.store.sqlite import SqliteStore

Open = Callable[[Path], Awaitable[Store]]
"""Opens the store that an engine keeps for a folder; again after it was closed, or its process died."""


async def _open_sqlite(folder: Path) -> Store:
    return await SqliteStore.open(folder / "store.sqlite")


ENGINES: dict[str, Open] = {"sqlite": _open_sqlite}
