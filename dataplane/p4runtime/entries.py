# SPDX-License-Identifier: Apache-2.0
"""Table entries as P4Runtime writes and reads them: the fields that every table shares, checked and kept.

A table in memory holds key, action, parameters and counters. What P4Runtime adds for the controller's own use
(metadata, idle time-out) is kept here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from finsy.proto import p4r
from grpc import StatusCode

from dataplane.bpf.table_map import EntryMissing, RawEntry, TableMap
from dataplane.contract.binding import BoundTable
from dataplane.contract.errors import EntryError
from dataplane.p4runtime.errors import refuse
from dataplane.p4runtime.idle import IdleTimers

INT64_MAX: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Extras:
    """What the controller keeps with an entry, opaque to the data plane."""

    metadata: bytes = b""
    controller_metadata: int = 0
    idle_timeout_ns: int = 0


NO_EXTRAS: Final = Extras()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An entry as it was before an update; ``raw`` is ``None`` if there was none.

    ``counted``: the update set the counters, so that undoing it sets them again.
    """

    key: bytes
    raw: RawEntry | None
    extras: Extras
    counted: bool = False


class EntryTable:
    """One table as P4Runtime sees it."""

    def __init__(self, bound: BoundTable, rows: TableMap, idle: IdleTimers | None) -> None:
        self.bound = bound
        self.rows = rows
        self._idle = idle
        self._table = bound.table
        self._extras: dict[bytes, Extras] = {}
        self._interned: dict[Extras, Extras] = {}

    def key_of(self, entry: p4r.TableEntry) -> bytes:
        """The packed key of an entry.

        Raises:
            EntryError: the match fields or the priority do not fit the table.
        """
        return self.bound.keys.pack(entry)

    def insert(self, entry: p4r.TableEntry) -> Snapshot:
        """INSERT; returns what it was before.

        Raises:
            EntryError, TableError, Refused: see the specification's codes.
        """
        self._refuse_default(entry, "inserted")
        self._check_fields(entry)
        key = self.key_of(entry)
        if not entry.HasField("action"):
            raise EntryError(f"table {self._table.name}: an entry to insert needs an action; give one")
        action = self._action(entry)
        data = self.bound.encode_action(action.action_id, [(p.param_id, p.value) for p in action.params])
        self.rows.insert(key, action.action_id, data)
        if entry.HasField("counter_data"):
            self._set_counters(key, entry.counter_data)
        self._keep(key, self._extras_of(entry))
        return Snapshot(key, None, NO_EXTRAS)

    def modify(self, entry: p4r.TableEntry) -> Snapshot:
        """MODIFY; returns what it was before. Without an action, the action stays.

        Raises:
            EntryError, TableError, Refused: see the specification's codes.
        """
        self._check_fields(entry)
        if entry.is_default_action:
            self._modify_default(entry)
        key = self.key_of(entry)
        if entry.HasField("action"):
            action = self._action(entry)
            data = self.bound.encode_action(action.action_id, [(p.param_id, p.value) for p in action.params])
            before = self.existing(key)
            self.rows.modify(key, action.action_id, data)
        else:
            before = self.existing(key)
        self._keep(key, self._extras_of(entry))
        if not entry.HasField("counter_data"):
            return before
        self._set_counters(key, entry.counter_data)
        return replace(before, counted=True)

    def delete(self, entry: p4r.TableEntry) -> Snapshot:
        """DELETE; returns what it was before. Only the key counts.

        Raises:
            EntryError, TableError, Refused: see the specification's codes.
        """
        self._refuse_default(entry, "deleted")
        self._refuse_const(entry)
        key = self.key_of(entry)
        before = self.existing(key)
        self.rows.delete(key)
        self._keep(key, NO_EXTRAS)
        return before

    def existing(self, key: bytes) -> Snapshot:
        """The entry as it is now.

        Raises:
            EntryMissing: there is none.
        """
        snapshot = self.snapshot(key)
        if snapshot.raw is None:
            raise EntryMissing(f"table {self._table.name} has no entry with this key; insert it first")
        return snapshot

    def write_counter(self, key: bytes, data: p4r.CounterData) -> Snapshot:
        """Sets the direct counter of an entry; returns what it was before.

        Raises:
            EntryMissing: there is no such entry.
            EntryError: a value is negative.
        """
        check_counter(f"table {self._table.name}", data)
        before = replace(self.existing(key), counted=True)
        self._set_counters(key, data)
        return before

    def snapshot(self, key: bytes) -> Snapshot:
        """The entry as it is now."""
        return Snapshot(key, self.rows.get(key), self.extras(key))

    def restore(self, before: Snapshot) -> None:
        """Undoes an update."""
        now = self.rows.get(before.key)
        if before.raw is None:
            if now is not None:
                self.rows.delete(before.key)
        elif now is None:
            self.rows.insert(*before.raw[:3])
            self.rows.set_counters(before.key, before.raw.packets, before.raw.bytes)
        else:
            self.rows.modify(*before.raw[:3])
            if before.counted:
                self.rows.set_counters(before.key, before.raw.packets, before.raw.bytes)
        self._keep(before.key, before.extras)

    def clear(self) -> Iterator[None]:
        """Deletes all entries, one a step."""
        for raw in self.rows.scan():
            self.rows.delete(raw.key)
            self._keep(raw.key, NO_EXTRAS)
            yield

    def extras(self, key: bytes) -> Extras:
        """What the controller keeps with the entry."""
        return self._extras.get(key, NO_EXTRAS)

    def fill(self, entry: p4r.TableEntry, raw: RawEntry, counters: bool, last_hit: bool) -> None:
        """Fills an entry that is read, with counters and time since the last hit if they are asked for."""
        self.bound.decode(raw, entry)
        if counters:
            fill_counter(entry.counter_data, raw)
        self.add_extras(entry, raw.key)
        if last_hit and self._idle is not None:
            entry.time_since_last_hit.elapsed_ns = self._idle.elapsed_ns(raw.key)

    def add_extras(self, entry: p4r.TableEntry, key: bytes) -> None:
        """Adds what the controller keeps with the entry."""
        extras = self._extras.get(key)
        if extras is not None:
            entry.metadata = extras.metadata
            entry.controller_metadata = extras.controller_metadata
            entry.idle_timeout_ns = extras.idle_timeout_ns

    def _action(self, entry: p4r.TableEntry) -> p4r.Action:
        if not entry.action.HasField("action"):
            kind = entry.action.WhichOneof("type") or "nothing in it"
            raise EntryError(f"table {self._table.name} takes an action, not {kind}; give an action")
        return entry.action.action

    def _check_fields(self, entry: p4r.TableEntry) -> None:
        """The fields that no entry of a table in memory can have."""
        name = self._table.name
        self._refuse_const(entry)
        if entry.HasField("meter_config") or entry.HasField("meter_counter_data"):
            raise EntryError(f"table {name} has no direct meter; leave the meter fields unset")
        if entry.HasField("time_since_last_hit"):
            raise EntryError(f"table {name}: time_since_last_hit can only be read; leave it unset")
        if entry.HasField("counter_data"):
            if not self._table.counter:
                raise EntryError(f"table {name} has no direct counter; leave counter_data unset")
            check_counter(f"table {name}", entry.counter_data)
        if entry.idle_timeout_ns:
            self._check_idle(entry)

    def _check_idle(self, entry: p4r.TableEntry) -> None:
        name = self._table.name
        if self._idle is None:
            raise EntryError(f"table {name} has no idle time-outs; leave idle_timeout_ns 0")
        if entry.idle_timeout_ns < 0:
            raise EntryError(
                f"table {name}: the idle time-out of {entry.idle_timeout_ns} ns is negative; give 0 or more"
            )
        if entry.is_default_action:
            raise EntryError(f"table {name}: a default entry has no idle time-out; leave idle_timeout_ns 0")

    def _refuse_const(self, entry: p4r.TableEntry) -> None:
        if entry.is_const:
            raise EntryError(f"table {self._table.name}: is_const cannot be written; leave it false")

    def _refuse_default(self, entry: p4r.TableEntry, done: str) -> None:
        if entry.is_default_action:
            raise EntryError(
                f"the default entry of table {self._table.name} is always there and cannot be {done}"
            )

    def _modify_default(self, entry: p4r.TableEntry) -> None:
        name = self._table.name
        if entry.match or entry.priority:
            raise EntryError(f"the default entry of table {name} takes neither match fields nor priority")
        if self._table.const_default:
            refuse(
                StatusCode.PERMISSION_DENIED,
                f"the default entry of table {name} is constant in the P4 program and stays as it is",
            )
        refuse(StatusCode.UNIMPLEMENTED, f"the default entry of table {name} is compiled in and stays")

    def _set_counters(self, key: bytes, data: p4r.CounterData) -> None:
        self.rows.set_counters(key, data.packet_count, data.byte_count)

    def _extras_of(self, entry: p4r.TableEntry) -> Extras:
        metadata, cookie, idle = entry.metadata, entry.controller_metadata, entry.idle_timeout_ns
        if not metadata and not cookie and not idle:
            return NO_EXTRAS
        extras = Extras(metadata, cookie, idle)
        if metadata or cookie:
            return extras
        return self._interned.setdefault(extras, extras)  # many entries, few time-outs

    def _keep(self, key: bytes, extras: Extras) -> None:
        if extras is NO_EXTRAS:
            self._extras.pop(key, None)
        else:
            self._extras[key] = extras
        if self._idle is not None:
            self._idle.set(key, extras.idle_timeout_ns)


def fill_counter(data: p4r.CounterData, raw: RawEntry) -> None:
    """Counter values as P4Runtime has them, in 63 bits."""
    data.packet_count = raw.packets & INT64_MAX
    data.byte_count = raw.bytes & INT64_MAX


def check_counter(where: str, data: p4r.CounterData) -> None:
    """Whether counter values can be set.

    Raises:
        EntryError: one is negative.
    """
    for name, value in (("packet_count", data.packet_count), ("byte_count", data.byte_count)):
        if value < 0:
            raise EntryError(f"{where}: the {name} {value} is negative; give 0 or more")
