# SPDX-License-Identifier: Apache-2.0
"""A netlink socket takes one dump at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from dataplane.agent.dumps import dump


class Kernel:
    """Refuses a dump while another is read, as the kernel does for one socket (EBUSY)."""

    def __init__(self) -> None:
        self._busy = False

    async def route(self, command: str, family: int) -> AsyncIterator[int]:
        assert command == "dump"
        assert not self._busy
        self._busy = True
        return self._answers(family)

    async def _answers(self, family: int) -> AsyncIterator[int]:
        for number in range(3):
            await asyncio.sleep(0)
            yield family + number
        self._busy = False


async def test_dumps_of_several_tasks_wait_for_one_another():
    kernel = Kernel()
    first, second = await asyncio.gather(dump(kernel, "route", family=10), dump(kernel, "route", family=20))
    assert (first, second) == ([10, 11, 12], [20, 21, 22])
