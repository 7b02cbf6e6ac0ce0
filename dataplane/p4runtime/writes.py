# SPDX-License-Identifier: Apache-2.0
"""The updates of a ``Write``, one after another, with the atomicity that was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import structlog
from finsy.proto import p4r
from grpc import StatusCode

from dataplane.bpf.table_map import TableError
from dataplane.contract.errors import EntryError
from dataplane.contract.p4info import Table
from dataplane.p4runtime.counters import IndirectCounter
from dataplane.p4runtime.entries import EntryTable
from dataplane.p4runtime.errors import Refused, refuse
from dataplane.p4runtime.learning import Learning
from moorline.errors import MoorlineError

log = structlog.get_logger(__name__)

YIELD_EVERY: Final = 128
"""Updates between two turns of the event loop: a few milliseconds."""

Undo = Callable[[], None]


class Writer:
    """Applies updates to tables, counters and digests."""

    def __init__(
        self,
        tables: Mapping[int, EntryTable],
        counters: Mapping[int, IndirectCounter],
        learning: Learning,
        switch_only: Mapping[int, Table],
    ) -> None:
        self._tables = tables
        self._switch_only = switch_only
        self._counters = counters
        self._learning = learning

    async def write(self, updates: Sequence[p4r.Update], atomicity: int) -> list[MoorlineError | None]:
        """Applies the updates; an error, or ``None``, for each. Others run in between, so hold the lock.

        Raises:
            Refused: this atomicity cannot be had.
        """
        if atomicity == p4r.WriteRequest.DATAPLANE_ATOMIC and len(updates) > 1:
            refuse(
                StatusCode.UNIMPLEMENTED,
                f"{len(updates)} updates cannot be made in one step for the data plane; send one, or choose "
                "CONTINUE_ON_ERROR or ROLLBACK_ON_ERROR",
            )
        if atomicity not in p4r.WriteRequest.Atomicity.values():
            refuse(StatusCode.INVALID_ARGUMENT, f"there is no atomicity {atomicity}; choose one of the three")
        if atomicity == p4r.WriteRequest.ROLLBACK_ON_ERROR:
            return await self._all_or_none(updates)
        errors: list[MoorlineError | None] = []
        for number, update in enumerate(updates, 1):
            try:
                self._apply(update)
                errors.append(None)
            except (EntryError, TableError, Refused) as error:
                errors.append(error)
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        return errors

    async def _all_or_none(self, updates: Sequence[p4r.Update]) -> list[MoorlineError | None]:
        done: list[Undo] = []
        for number, update in enumerate(updates):
            try:
                done.append(self._apply(update))
            except (EntryError, TableError, Refused) as error:
                await self._roll_back(done)
                aborted = Refused(
                    StatusCode.ABORTED, f"not applied, since number {number} of the batch failed"
                )
                return [error if n == number else aborted for n in range(len(updates))]
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        return [None] * len(updates)

    async def _roll_back(self, done: list[Undo]) -> None:
        number = 0
        while done:
            try:
                done.pop()()
            except TableError as error:  # an entry's place can be taken only by the agent's own writing
                log.error("rollback_incomplete", error=str(error))
            number += 1
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    def _apply(self, update: p4r.Update) -> Undo:
        kind = update.entity.WhichOneof("entity")
        if kind == "table_entry":
            return self._table_entry(update.type, update.entity.table_entry)
        if kind == "direct_counter_entry":
            return self._direct_counter(update.type, update.entity.direct_counter_entry)
        if kind == "counter_entry":
            return self._counter(update.type, update.entity.counter_entry)
        if kind == "digest_entry":
            return self._learning.write(update.type, update.entity.digest_entry)
        if kind is None:
            raise EntryError("an update without an entity says nothing; give one")
        raise Refused(
            StatusCode.UNIMPLEMENTED, f"this data plane has no {kind}; the P4Info shows what it has"
        )

    def _table_entry(self, kind: int, entry: p4r.TableEntry) -> Undo:
        table = self._table(entry.table_id)
        if kind == p4r.Update.INSERT:
            return partial(table.restore, table.insert(entry))
        if kind == p4r.Update.MODIFY:
            return partial(table.restore, table.modify(entry))
        if kind == p4r.Update.DELETE:
            return partial(table.restore, table.delete(entry))
        raise EntryError(f"an update of the type {kind} says nothing; give INSERT, MODIFY or DELETE")

    def _direct_counter(self, kind: int, counter: p4r.DirectCounterEntry) -> Undo:
        table = self._table(counter.table_entry.table_id)
        name = table.bound.table.name
        if kind != p4r.Update.MODIFY:
            raise EntryError(f"the direct counter of table {name} can only be modified")
        if not table.bound.table.counter:
            raise EntryError(f"table {name} has no direct counter")
        if counter.table_entry.is_default_action:
            refuse(StatusCode.UNIMPLEMENTED, f"the default entry of table {name} is not counted")
        key = table.key_of(counter.table_entry)
        if not counter.HasField("data"):
            return partial(table.restore, table.existing(key))
        return partial(table.restore, table.write_counter(key, counter.data))

    def _counter(self, kind: int, entry: p4r.CounterEntry) -> Undo:
        counter = self._counters.get(entry.counter_id)
        if counter is None:
            raise EntryError(f"there is no counter {entry.counter_id}; the P4Info shows which there are")
        if kind != p4r.Update.MODIFY:
            raise EntryError(f"the counter {counter.name} can only be modified")
        return counter.write(entry)

    def _table(self, table_id: int) -> EntryTable:
        if table_id in self._switch_only:
            refuse(
                StatusCode.UNIMPLEMENTED,
                f"table {self._switch_only[table_id].name} is for switches only; a host asks its kernel "
                "instead, so leave it out",
            )
        return find_table(self._tables, table_id)


def find_table(tables: Mapping[int, EntryTable], table_id: int) -> EntryTable:
    """The table with this number.

    Raises:
        EntryError: there is none.
    """
    table = tables.get(table_id)
    if table is None:
        known = ", ".join(f"{n} ({t.bound.table.name})" for n, t in tables.items())
        raise EntryError(f"there is no table {table_id}; there are {known}")
    return table
