# SPDX-License-Identifier: Apache-2.0
"""A lane of writes to one data plane: what queues up while a write runs goes out in the next one.

Changes of one lane reach the data plane in the order in which they were put, so that the last one put for an
entry is what stands. An insert that finds the entry, a modification that misses it and a deletion that misses
it are mended by the lane: callers say what is to be, not what was.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from finsy.proto import rpc_code

from control.errors import ControlError, ExhaustedError, NodeAwayError
from control.southbound.client import P4RuntimeClient
from control.southbound.contract import DELETE, INSERT, MODIFY, Contract, Row, RowKey

BATCH: Final = 256
"""Updates in one write: large enough to share the price of a call, small enough not to delay the next."""

QUEUE_LIMIT: Final = 8 * BATCH
"""Changes that may wait before those who add more are held back."""

_MEND: Final[dict[tuple[int, int], int]] = {
    (INSERT, rpc_code.ALREADY_EXISTS): MODIFY,
    (MODIFY, rpc_code.NOT_FOUND): INSERT,
}


class ProgrammingError(ControlError):
    """An entry that a data plane refused."""


@dataclass(slots=True, eq=False)
class Group:
    """Changes that somebody waits for together."""

    left: int
    done: asyncio.Future[None]
    error: ControlError | None = None

    def settle(self, error: ControlError | None) -> None:
        """One of the changes is through, or failed."""
        self.left -= 1
        self.error = self.error or error
        if self.left == 0 and not self.done.done():
            if self.error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(self.error)
                self.done.exception()  # whether somebody awaits it is their choice


Change = tuple[int, Row]
"""Kind (INSERT, MODIFY, DELETE) and row; of a deletion only the key counts."""


class Lane:
    """The queue and its writer; :meth:`run` is cancelled when the client is lost."""

    def __init__(self, client: P4RuntimeClient, contract: Contract) -> None:
        self._client = client
        self._contract = contract
        self._queue: deque[tuple[int, Row, Group]] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._in_flight: list[tuple[int, Row, Group]] = []
        self._closed = False
        self.refused = 0

    def put(self, changes: list[Change]) -> asyncio.Future[None]:
        """Queue ``changes``; the future is done when all stand, or has the first error."""
        group = Group(len(changes), asyncio.get_running_loop().create_future())
        if self._closed:
            group.left = 1
            group.settle(self._lost())
        elif not changes:
            group.done.set_result(None)
        else:
            self._queue.extend((kind, row, group) for kind, row in changes)
            self._wake.set()
            if len(self._queue) >= QUEUE_LIMIT:
                self._room.clear()
        return group.done

    @property
    def full(self) -> bool:
        """Whether who adds more should wait."""
        return not self._room.is_set()

    async def room(self) -> None:
        """Wait until the queue is short enough for more."""
        await self._room.wait()

    async def run(self) -> None:
        """Write for ever; ends with :class:`NodeAwayError`, or by being cancelled."""
        try:
            while True:
                await self._wake.wait()
                await self._write_batch()
        finally:
            self._fail_all()

    async def _write_batch(self) -> None:
        queue = self._queue
        self._in_flight = taken = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
        if not queue:
            self._wake.clear()
        if len(queue) < QUEUE_LIMIT:
            self._room.set()
        # A target may apply the updates of a batch in any order (P4Runtime 1.4, section 12): one per entry.
        batch = {row.key: (kind, row) for kind, row, _ in taken}
        failed = await self._write(batch)
        self._in_flight = []
        for _, row, group in taken:
            group.settle(failed.get(row.key))

    async def _write(self, batch: dict[RowKey, Change]) -> dict[RowKey, ControlError]:
        """Write, mend, and tell which entries failed for good."""
        failed: dict[RowKey, ControlError] = {}
        # An entry may appear or vanish between two attempts (agents write locators too), but not for ever.
        for _ in range(3):
            if not batch:
                return failed
            request = self._client.request()
            for kind, row in batch.values():
                self._contract.fill(request.updates.add(), kind, row)
            changes = list(batch.values())
            batch = {}
            for at, (code, message) in (await self._client.write(request)).items():
                kind, row = changes[at]
                if kind == DELETE and code == rpc_code.NOT_FOUND:
                    continue
                if (kind, code) in _MEND:
                    batch[row.key] = _MEND[kind, code], row
                else:
                    failed[row.key] = self._refused(code, message)
        return failed | {key: self._refused(rpc_code.ABORTED, "the entry comes and goes") for key in batch}

    def _refused(self, code: int, message: str) -> ControlError:
        self.refused += 1
        name = self._client.name
        if code == rpc_code.RESOURCE_EXHAUSTED:
            return ExhaustedError(f"a table of node {name} is full ({message}): raise its size")
        return ProgrammingError(
            f"node {name} refused an entry (code {code}: {message}): look into {self._client.log}"
        )

    def _lost(self) -> NodeAwayError:
        return NodeAwayError(f"node {self._client.name} was lost while it was programmed: try again")

    def _fail_all(self) -> None:
        self._closed = True
        self._room.set()
        for _, _, group in [*self._in_flight, *self._queue]:
            group.settle(self._lost())
        self._queue.clear()
