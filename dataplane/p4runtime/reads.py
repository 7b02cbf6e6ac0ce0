# SPDX-License-Identifier: Apache-2.0
"""What a ``Read`` asks for, found at once and handed out entity by entity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Final

from finsy.proto import p4r
from grpc import StatusCode

from dataplane.bpf.table_map import RawEntry
from dataplane.contract.errors import EntryError
from dataplane.contract.p4info import Table
from dataplane.p4runtime.counters import IndirectCounter
from dataplane.p4runtime.entries import EntryTable, fill_counter
from dataplane.p4runtime.errors import refuse
from dataplane.p4runtime.learning import Learning
from dataplane.p4runtime.writes import find_table

_NUMBERED: Final = {
    "action_profile_member": "action_profile_id",
    "action_profile_group": "action_profile_id",
    "meter_entry": "meter_id",
    "register_entry": "register_id",
    "value_set_entry": "value_set_id",
    "extern_entry": "extern_type_id",
}
"""Entities that the P4Info has none of, with the field that asks for a certain one."""


Fill = Callable[[p4r.Entity], None]
"""Fills an empty entity with one that was found."""


class Reader:
    """Answers read requests from tables, counters and digests."""

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

    def find(self, entity: p4r.Entity) -> Iterator[Fill]:
        """What a request asks for, as it is at the time of the call, entity by entity.

        Raises:
            EntryError, TableError, Refused: the request cannot be answered.
        """
        kind = entity.WhichOneof("entity")
        if kind == "table_entry":
            return self._table_entries(entity.table_entry)
        if kind == "direct_counter_entry":
            return self._direct_counters(entity.direct_counter_entry)
        if kind == "counter_entry":
            return self._indirect_counters(entity.counter_entry)
        if kind == "digest_entry":
            return self._learning.read(entity.digest_entry)
        if kind is None:
            raise EntryError("a request without an entity says nothing; give one")
        return self._none(entity, kind)

    def _table_entries(self, asked: p4r.TableEntry) -> Iterator[Fill]:
        if not asked.table_id:
            self._check_wildcard(asked)
            found = [self._entities(table, table.rows.scan(), asked) for table in self._tables.values()]
            return chain.from_iterable(found)
        if asked.table_id in self._switch_only:
            return iter(())
        table = find_table(self._tables, asked.table_id)
        name = table.bound.table.name
        if asked.HasField("time_since_last_hit") and not table.bound.table.idle_timeout:
            raise EntryError(f"table {name} has no idle time-outs; leave time_since_last_hit unset")
        if asked.is_default_action:
            return iter([partial(_fill_default, table)])
        return self._entities(table, _matched(table, asked), asked)

    def _entities(self, table: EntryTable, raws: Iterable[RawEntry], asked: p4r.TableEntry) -> Iterator[Fill]:
        counters, last_hit = asked.HasField("counter_data"), asked.HasField("time_since_last_hit")
        wanted = filter(_selection(table, asked), raws)
        return (partial(_fill_entry, table, raw, counters, last_hit) for raw in wanted)

    def _direct_counters(self, asked: p4r.DirectCounterEntry) -> Iterator[Fill]:
        entry = asked.table_entry
        if not entry.table_id:
            self._check_wildcard(entry)
            tables = [t for t in self._tables.values() if t.bound.table.counter]
            return _counters_of([(t, t.rows.scan()) for t in tables])
        if entry.table_id in self._switch_only:
            return iter(())
        table = find_table(self._tables, entry.table_id)
        name = table.bound.table.name
        if not table.bound.table.counter:
            raise EntryError(f"table {name} has no direct counter")
        if entry.is_default_action:
            refuse(StatusCode.UNIMPLEMENTED, f"the default entry of table {name} is not counted")
        found = _matched(table, entry)
        if entry.match and not (found := list(found)):
            table.existing(table.key_of(entry))
        return _counters_of([(table, found)])

    def _indirect_counters(self, asked: p4r.CounterEntry) -> Iterator[Fill]:
        if not asked.counter_id:
            if asked.HasField("index"):
                raise EntryError("an index needs a counter; give counter_id too")
            return _cells_of([(counter, counter.read(asked)) for counter in self._counters.values()])
        counter = self._counters.get(asked.counter_id)
        if counter is None:
            raise EntryError(f"there is no counter {asked.counter_id}; the P4Info shows which there are")
        return _cells_of([(counter, counter.read(asked))])

    def _check_wildcard(self, asked: p4r.TableEntry) -> None:
        """With table 0, nothing else can select (P4Runtime specification, "Wildcard Reads")."""
        selects = (
            asked.match,
            asked.priority,
            asked.controller_metadata,
            asked.metadata,
            asked.is_default_action,
            asked.HasField("action"),
        )
        if any(selects):
            raise EntryError("a read of all tables cannot select entries; give table_id too")

    def _none(self, entity: p4r.Entity, kind: str) -> Iterator[Fill]:
        """All of nothing is nothing; a certain one does not exist."""
        number = self._number(entity, kind)
        if number:
            raise EntryError(f"there is no {kind} {number}; the P4Info shows what there is")
        return iter(())

    def _number(self, entity: p4r.Entity, kind: str) -> int:
        if kind == "direct_meter_entry":
            return entity.direct_meter_entry.table_entry.table_id
        if kind == "packet_replication_engine_entry":
            engine = entity.packet_replication_engine_entry
            return engine.multicast_group_entry.multicast_group_id or engine.clone_session_entry.session_id
        number: int = getattr(getattr(entity, kind), _NUMBERED[kind])
        return number


def _matched(table: EntryTable, asked: p4r.TableEntry) -> Iterable[RawEntry]:
    """The entries with the match and the priority asked for; without these, all.

    Raises:
        EntryError: no entry of the table can have them.
    """
    keys = table.bound.keys
    if not asked.match:
        wanted = asked.priority
        return (raw for raw in table.rows.scan() if wanted in (0, keys.priority(raw.key)))
    if asked.priority or not table.bound.table.has_priority:
        raw = table.rows.get(table.key_of(asked))
        return [] if raw is None else [raw]
    any_priority = table.key_of(p4r.TableEntry(match=asked.match, priority=1))
    return (raw for raw in table.rows.scan() if keys.is_of_match(raw.key, any_priority))


def _selection(table: EntryTable, asked: p4r.TableEntry) -> Callable[[RawEntry], bool] | None:
    """What an entry must be to be read; ``None`` if all are.

    Raises:
        EntryError, Refused: no entry can be so.
    """
    tests: list[Callable[[RawEntry], bool]] = []
    if asked.HasField("action"):
        if not asked.action.HasField("action"):
            raise EntryError(f"table {table.bound.table.name} takes actions; select by action or not at all")
        wanted = asked.action.action.action_id
        table.bound.check_action(wanted)
        tests.append(lambda raw: raw.action == wanted)
    if asked.metadata:
        tests.append(lambda raw: table.extras(raw.key).metadata == asked.metadata)
    if asked.controller_metadata:
        tests.append(lambda raw: table.extras(raw.key).controller_metadata == asked.controller_metadata)
    return (lambda raw: all(test(raw) for test in tests)) if tests else None


def _counters_of(found: Iterable[tuple[EntryTable, Iterable[RawEntry]]]) -> Iterator[Fill]:
    return (partial(_fill_counter, table, raw) for table, raws in found for raw in raws)


def _cells_of(
    found: Iterable[tuple[IndirectCounter, Iterable[tuple[int, tuple[int, int]]]]],
) -> Iterator[Fill]:
    return (partial(_fill_cell, counter, cell) for counter, cells in found for cell in cells)


def _fill_entry(table: EntryTable, raw: RawEntry, counters: bool, last_hit: bool, entity: p4r.Entity) -> None:
    table.fill(entity.table_entry, raw, counters, last_hit)


def _fill_default(table: EntryTable, entity: p4r.Entity) -> None:
    entry = entity.table_entry
    entry.table_id = table.bound.table.id
    entry.is_default_action = True
    entry.is_const = bool(table.bound.table.const_default)
    entry.action.action.action_id = table.bound.table.initial_default


def _fill_counter(table: EntryTable, raw: RawEntry, entity: p4r.Entity) -> None:
    counter = entity.direct_counter_entry
    table.bound.decode_key(raw.key, counter.table_entry)
    fill_counter(counter.data, raw)


def _fill_cell(counter: IndirectCounter, cell: tuple[int, tuple[int, int]], entity: p4r.Entity) -> None:
    counter.fill(entity, cell)
