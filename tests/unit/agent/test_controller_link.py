# SPDX-License-Identifier: Apache-2.0
"""What the controller says reaches the host: endpoints, the last list of those that came meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from dataplane.agent.access import AccessError
from dataplane.agent.controller_link import ControllerLink
from dataplane.agent.translations import Translations
from moorline.api.v1 import moorline_pb2 as api


class Placing:
    """A host that takes its time to place endpoints: until it is let go on, each time."""

    def __init__(self) -> None:
        self.translations = Translations()
        self.placed: list[int] = []
        self.stand = 0
        self.fails = False
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()
        nothing: Any = None
        self.link = ControllerLink(
            *(nothing, self.translations, nothing, nothing, nothing),
            shortcuts=nothing,
            resolver=SimpleNamespace(endpoints_stand=self._stands),  # type: ignore[arg-type]
            place_endpoints=self._place,
            save_state=nothing,
            describe=nothing,
        )

    async def tell(self, number: int) -> None:
        """The controller names so many endpoints."""
        endpoints = [api.Endpoint(service=f"s{at}.test") for at in range(number)]
        await self.link.update(api.NodeUpdate(endpoints=api.Endpoints(endpoints=endpoints)))

    async def _place(self) -> None:
        number = len(self.translations.endpoints)
        self.started.set()
        await self.go_on.wait()
        self.go_on.clear()
        if self.fails:
            raise AccessError("the interface is being made")
        self.placed.append(number)

    def _stands(self) -> None:
        self.stand += 1

    async def let_go_on(self) -> None:
        """One placing comes to its end."""
        await self.started.wait()
        self.started.clear()
        self.go_on.set()
        await asyncio.sleep(0)


@pytest.fixture
async def placing() -> AsyncIterator[Placing]:
    placing = Placing()
    task = asyncio.create_task(placing.link.keep_endpoints_placed())
    yield placing
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_of_many_lists_the_last_is_placed(placing: Placing) -> None:
    await placing.tell(1)
    await placing.started.wait()
    for number in range(2, 202):
        await placing.tell(number)
    await placing.let_go_on()
    await settled()
    assert (placing.placed, placing.stand) == ([1], 0)  # names are told when all stand
    await placing.let_go_on()
    await settled()
    assert (placing.placed, placing.stand) == ([1, 201], 1)


async def test_endpoints_that_cannot_be_placed_do_not_stand_and_the_next_are_tried(placing: Placing) -> None:
    placing.fails = True
    with capture_logs() as logs:
        await placing.tell(1)
        await placing.let_go_on()
        await settled()
    assert [entry["event"] for entry in logs] == ["endpoints_not_placed"]
    assert (placing.placed, placing.stand) == ([], 0)
    placing.fails = False
    await placing.tell(2)
    await placing.let_go_on()
    await settled()
    assert (placing.placed, placing.stand) == ([2], 1)
