# SPDX-License-Identifier: Apache-2.0
"""Drives lookups over one stream, as an agent does, and says how long each took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import moorline_pb2_grpc as rpc

WINDOW = 64
"""Lookups under way at once."""


@dataclass(frozen=True, slots=True)
class Drive:
    """A finished drive: seconds in all, and of each lookup in the order of their answers."""

    seconds: float
    each: Sequence[float]

    @property
    def per_second(self) -> float:
        """Lookups a second."""
        return len(self.each) / self.seconds


def drive(socket: Path, names: Sequence[tuple[str, str]], per_second: float | None = None) -> Drive:
    """Look up all (client, server) pairs over one stream: ``WINDOW`` at once, or one after another at a pace.

    Raises:
        RuntimeError: a lookup failed.
    """
    return asyncio.run(_drive(socket, names, per_second))


async def _drive(socket: Path, names: Sequence[tuple[str, str]], per_second: float | None) -> Drive:
    sent: dict[int, float] = {}
    took: list[float] = []
    window = asyncio.Semaphore(WINDOW if per_second is None else len(names))
    begin = time.perf_counter()

    async def requests() -> AsyncIterator[api.LookupRequest]:
        for number, (client, server) in enumerate(names, 1):
            await window.acquire()
            if per_second is not None:
                await asyncio.sleep(max(0.0, begin + number / per_second - time.perf_counter()))
            sent[number] = time.perf_counter()
            yield api.LookupRequest(request_id=number, client=client, server=server)

    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        async for answer in rpc.NamingStub(channel).LookupStream(requests()):
            if answer.HasField("failure"):
                raise RuntimeError(f"lookup {names[answer.request_id - 1]} failed: {answer.failure.message}")
            took.append(time.perf_counter() - sent.pop(answer.request_id))
            window.release()
    return Drive(time.perf_counter() - begin, took)
