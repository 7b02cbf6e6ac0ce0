# SPDX-License-Identifier: Apache-2.0
"""Direct and indirect counters, read and written."""

from __future__ import annotations

from finsy.proto import p4r

from moorline.wire import EVENTS_PER_PORT, Event
from tests.conformance.p4runtime.cases import case
from tests.conformance.p4runtime.session import (
    PATIENCE,
    Session,
    Update,
    contract,
    ids,
    key_of,
    paths,
    refusal,
)
from tools.lab.waiting import wait_until

PORT = 77
"""A port that nothing is at."""

CELL = PORT * EVENTS_PER_PORT + Event.TX
SIZE = contract().counters[0].size
VALUES = p4r.CounterData(packet_count=5, byte_count=600)


def _cell(index: int | None = CELL, data: p4r.CounterData | None = None) -> p4r.Entity:
    entry = p4r.CounterEntry(counter_id=ids()["port_events"], data=data)
    if index is not None:
        entry.index.index = index
    return p4r.Entity(counter_entry=entry)


def _direct(entry: p4r.TableEntry, data: p4r.CounterData | None = None) -> p4r.Entity:
    return p4r.Entity(direct_counter_entry=p4r.DirectCounterEntry(table_entry=entry, data=data))


def _write(s: Session, entity: p4r.Entity, kind: int = Update.MODIFY) -> str:
    return s.write(p4r.Update(type=p4r.Update.Type.ValueType(kind), entity=entity))


def _values(data: p4r.CounterData) -> str:
    return f"{data.packet_count} packets, {data.byte_count} octets"


def _read_cell(s: Session) -> str:
    (found,) = s.read(_cell())
    return _values(found.counter_entry.data)


def _read_direct(s: Session, entry: p4r.TableEntry) -> str:
    (found,) = s.read(_direct(key_of(entry)))
    return _values(found.direct_counter_entry.data)


@case("a cell written and read", "OK, 5 packets, 600 octets")
def _(s: Session) -> str:
    told = _write(s, _cell(data=VALUES))
    found = _read_cell(s)
    _write(s, _cell(data=p4r.CounterData()))
    return f"{told}, {found}"


@case("a cell written without values", "OK, 0 packets, 0 octets")
def _(s: Session) -> str:
    return f"{_write(s, _cell())}, {_read_cell(s)}"


@case("all cells of a counter", "all")
def _(s: Session) -> str:
    told = s.reading(_cell(None))
    return "all" if told == str(SIZE) else told


@case("all cells of all counters", "all")
def _(s: Session) -> str:
    told = s.reading(p4r.Entity(counter_entry=p4r.CounterEntry()))
    return "all" if told == str(SIZE) else told


@case("a cell beyond the counter", "read: OUT_OF_RANGE; written: OUT_OF_RANGE")
def _(s: Session) -> str:
    return f"read: {s.reading(_cell(SIZE))}; written: {_write(s, _cell(SIZE, VALUES))}"


@case("a cell with a negative index", "read: INVALID_ARGUMENT; written: INVALID_ARGUMENT")
def _(s: Session) -> str:
    return f"read: {s.reading(_cell(-1))}; written: {_write(s, _cell(-1, VALUES))}"


@case("a cell inserted", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return _write(s, _cell(data=VALUES), Update.INSERT)


@case("a cell deleted", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return _write(s, _cell(), Update.DELETE)


@case("an unknown counter", "read: INVALID_ARGUMENT; written: INVALID_ARGUMENT")
def _(s: Session) -> str:
    entity = p4r.Entity(counter_entry=p4r.CounterEntry(counter_id=0x12FFFFFF, data=VALUES))
    entity.counter_entry.index.index = 1
    return f"read: {s.reading(entity)}; written: {_write(s, entity)}"


@case("a direct counter written and read", "OK, 5 packets, 600 octets")
def _(s: Session) -> str:
    s.insert(paths(7))
    return f"{_write(s, _direct(key_of(paths(7)), VALUES))}, {_read_direct(s, paths(7))}"


@case("a direct counter written without values", "OK, 0 packets, 0 octets")
def _(s: Session) -> str:
    s.insert(paths(7))
    return f"{_write(s, _direct(key_of(paths(7))))}, {_read_direct(s, paths(7))}"


@case("a direct counter with the entry", "5 packets, 600 octets")
def _(s: Session) -> str:
    s.insert(paths(7))
    _write(s, _direct(key_of(paths(7)), VALUES))
    (found,) = s.entries(table_id=paths(7).table_id, counter_data=p4r.CounterData())
    return _values(found.counter_data)


@case("a direct counter written with the entry", "5 packets, 600 octets")
def _(s: Session) -> str:
    s.insert(paths(7, counter_data=VALUES))
    return _read_direct(s, paths(7))


@case("a direct counter of an entry that is modified", "5 packets, 600 octets")
def _(s: Session) -> str:
    s.insert(paths(7))
    _write(s, _direct(key_of(paths(7)), VALUES))
    s.modify(paths(7))
    return _read_direct(s, paths(7))


@case("the direct counters of a table", "2")
def _(s: Session) -> str:
    s.insert(refusal(1))
    s.insert(refusal(2))
    return s.reading(_direct(p4r.TableEntry(table_id=refusal(1).table_id)))


@case("the direct counters of all tables", "all")
def _(s: Session) -> str:
    s.insert(refusal(1))
    s.insert(paths(7))
    told = s.reading(_direct(p4r.TableEntry()))
    if not told.isdigit():
        return told
    tables = [e.direct_counter_entry.table_entry.table_id for e in s.read(_direct(p4r.TableEntry()))]
    counts = (tables.count(refusal(1).table_id), tables.count(paths(7).table_id))
    return "all" if counts == (1, 1) else f"{counts}"


@case("the direct counter of no entry", "read: NOT_FOUND; written: NOT_FOUND")
def _(s: Session) -> str:
    entity = _direct(key_of(paths(9)))
    return f"read: {s.reading(entity)}; written: {_write(s, _direct(key_of(paths(9)), VALUES))}"


@case("the direct counter of the default entry", "1")
def _(s: Session) -> str:
    return s.reading(_direct(p4r.TableEntry(table_id=refusal(1).table_id, is_default_action=True)))


@case("a direct counter inserted", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    s.insert(paths(7))
    return _write(s, _direct(key_of(paths(7)), VALUES), Update.INSERT)


@case("a packet", "counted once at its port, as what it was and as received")
def _(s: Session) -> str:
    s.prepare()
    wire = s.wires.access
    s.insert(refusal_of(s, 9))
    frame = s.wires.from_a_program(9)

    def counts() -> tuple[int, ...]:
        indexes = [wire.port * EVENTS_PER_PORT + e for e in (Event.RX, Event.DROP_CONNECTION_DENIED)]
        cells = [e.counter_entry.data for e in s.read(*map(_cell, indexes))]
        return (*(c.packet_count for c in cells), *(c.byte_count for c in cells))

    before = counts()
    wire.send(frame)
    wait_until(lambda: counts()[1] > before[1], "the frame was counted", PATIENCE)
    moved = [now - was for now, was in zip(counts(), before, strict=True)]
    direct = _read_direct(s, refusal_of(s, 9))
    right = moved[1::2] == [1, len(frame)] and moved[0] >= 1 and direct == f"1 packets, {len(frame)} octets"
    return "counted once at its port, as what it was and as received" if right else f"{moved}, {direct}"


def refusal_of(s: Session, destination: int) -> p4r.TableEntry:
    """The entry that refuses what a program sends to 198.51.100.``destination``."""
    made = refusal(1)
    for match, value in zip(made.match, s.wires.key_of_a_program(destination), strict=True):
        match.exact.value = value
    return made
