# SPDX-License-Identifier: Apache-2.0
"""Reads: of one, of some, of all."""

from __future__ import annotations

from finsy.proto import p4r

from tests.conformance.p4runtime.cases import case
from tests.conformance.p4runtime.session import Session, contract, ids, paths, refusal, way

UNKNOWN_TABLE = 0x02FFFFFF
CONNECTION = "connection"


def _fill(s: Session) -> None:
    for entry in (refusal(1), refusal(2), way(5, 3), paths(7)):
        s.insert(entry)


def _table(**asked: object) -> p4r.Entity:
    return p4r.Entity(table_entry=p4r.TableEntry(**asked))


@case("all entries of a table", "3")
def _(s: Session) -> str:
    _fill(s)
    return s.reading_entries(table_id=ids()[CONNECTION])


@case("all entries of all tables", "all of both tables")
def _(s: Session) -> str:
    _fill(s)
    tables = [e.table_id for e in s.entries()]
    counts = (tables.count(ids()[CONNECTION]), tables.count(ids()["locator"]))
    return "all of both tables" if counts == (3, 1) else f"{counts}"


@case("one entry by its key", "1")
def _(s: Session) -> str:
    _fill(s)
    return s.reading_entries(table_id=ids()[CONNECTION], match=refusal(1).match)


@case("an entry that is not there", "0")
def _(s: Session) -> str:
    _fill(s)
    return s.reading_entries(table_id=ids()[CONNECTION], match=refusal(9).match)


@case("an entry as it was written", "the same")
def _(s: Session) -> str:
    s.insert(way(5))
    return "the same" if s.entries(table_id=ids()[CONNECTION]) == [way(5)] else "another"


@case("a key with a field missing", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.reading_entries(table_id=ids()[CONNECTION], match=refusal(1).match[:2])


@case("a read of an unknown table", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.reading_entries(table_id=UNKNOWN_TABLE)


@case("a read without an entity", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.reading(p4r.Entity())


@case("a read of nothing", "0")
def _(s: Session) -> str:
    return s.reading()


@case("two reads in one", "4")
def _(s: Session) -> str:
    _fill(s)
    return s.reading(_table(table_id=ids()[CONNECTION]), _table(table_id=ids()["locator"]))


@case("the default entry", "1, constant")
def _(s: Session) -> str:
    (found,) = s.entries(table_id=ids()[CONNECTION], is_default_action=True)
    right = found.is_default_action and found.action.action.action_id == ids()["miss"]
    return f"{1 if right else 'another'}, {'constant' if found.is_const else 'not constant'}"


@case("entries with a certain action", "2")
def _(s: Session) -> str:
    _fill(s)
    return s.reading_entries(table_id=ids()[CONNECTION], action=refusal(1).action)


@case("entries with certain metadata", "1")
def _(s: Session) -> str:
    s.insert(refusal(1, metadata=b"one"))
    s.insert(refusal(2, metadata=b"two"))
    return s.reading_entries(table_id=ids()[CONNECTION], metadata=b"one")


@case("counters that were not asked for", "left out")
def _(s: Session) -> str:
    s.insert(refusal(1))
    (found,) = s.entries(table_id=ids()[CONNECTION])
    return "told" if found.HasField("counter_data") else "left out"


@case("the time since the last hit in a table without idle time-outs", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    entry = p4r.TableEntry(table_id=ids()["locator"])
    entry.time_since_last_hit.SetInParent()
    return s.reading(p4r.Entity(table_entry=entry))


@case("all of something that the contract has none of", "0")
def _(s: Session) -> str:
    return s.reading(p4r.Entity(register_entry=p4r.RegisterEntry()))


@case("the contract's tables", "all can be read")
def _(s: Session) -> str:
    codes = {s.reading_entries(table_id=t.preamble.id) for t in contract().tables}
    return "all can be read" if all(code.isdigit() for code in codes) else ", ".join(sorted(codes))
