# SPDX-License-Identifier: Apache-2.0
"""Lists of what the kernel has, one at a time: a netlink socket that is busy with one refuses another."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from weakref import WeakKeyDictionary

_turns: Final[WeakKeyDictionary[Any, asyncio.Lock]] = WeakKeyDictionary()


async def dump(netlink: Any, kind: str, **wanted: int) -> list[Any]:
    """All objects of a kind (``"rule"``, ``"route"``, ``"neigh"``).

    Args:
        netlink: a ``pyroute2.AsyncIPRoute``, which several tasks share.
        kind: the name of its method for them.
        wanted: limits them, as ``family`` does.
    """
    async with _turns.setdefault(netlink, asyncio.Lock()):
        return [found async for found in await getattr(netlink, kind)("dump", **wanted)]
