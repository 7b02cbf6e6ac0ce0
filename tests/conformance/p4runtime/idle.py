# SPDX-License-Identifier: Apache-2.0
"""Idle time-outs: told on the stream, read with the entry."""

from __future__ import annotations

from finsy.proto import p4r

from tests.conformance.p4runtime.cases import case
from tests.conformance.p4runtime.session import Session, SilenceError, ids, key_of, paths, refusal

SECOND = 1_000_000_000


@case("an entry that is idle", "told")
def _(s: Session) -> str:
    s.insert(refusal(1, idle_timeout_ns=SECOND // 2))
    told = s.primary.next("idle_timeout_notification")
    right = [key_of(e) for e in told.table_entry] == [key_of(refusal(1))]
    return "told" if right and told.timestamp > 0 else "told otherwise"


@case("what is told of an idle entry", "key, metadata and time-out")
def _(s: Session) -> str:
    s.insert(refusal(1, idle_timeout_ns=SECOND // 2, metadata=b"m"))
    (told,) = s.primary.next("idle_timeout_notification").table_entry
    parts = {
        "key": bool(told.match),
        "metadata": told.metadata == b"m",
        "time-out": told.idle_timeout_ns == SECOND // 2,
        "action": told.HasField("action"),
    }
    names = [name for name, there in parts.items() if there]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else str(names)


@case("an idle entry that stays", "told again")
def _(s: Session) -> str:
    s.insert(refusal(1, idle_timeout_ns=SECOND // 2))
    s.primary.next("idle_timeout_notification")
    try:
        s.primary.next("idle_timeout_notification", 3.0)
    except SilenceError:
        return "told once"
    return "told again"


@case("an idle entry that was deleted", "not told")
def _(s: Session) -> str:
    s.insert(refusal(1, idle_timeout_ns=SECOND))
    s.delete(refusal(1))
    try:
        s.primary.next("idle_timeout_notification", 2.5)
    except SilenceError:
        return "not told"
    return "told"


@case("the time-out of an entry", "read back")
def _(s: Session) -> str:
    s.insert(refusal(1, idle_timeout_ns=3600 * SECOND))
    (found,) = s.entries(table_id=ids()["connection"])
    return "read back" if found.idle_timeout_ns == 3600 * SECOND else "lost"


@case("the time-out of an entry changed by a modification", "read back")
def _(s: Session) -> str:
    s.insert(refusal(1, idle_timeout_ns=3600 * SECOND))
    s.modify(refusal(1, idle_timeout_ns=1800 * SECOND))
    (found,) = s.entries(table_id=ids()["connection"])
    return "read back" if found.idle_timeout_ns == 1800 * SECOND else "lost"


@case("the time since the last hit", "told only when asked for")
def _(s: Session) -> str:
    s.insert(refusal(1, idle_timeout_ns=3600 * SECOND))
    asked = p4r.TableEntry(table_id=ids()["connection"])
    (without,) = s.entries(table_id=ids()["connection"])
    asked.time_since_last_hit.SetInParent()
    (found,) = s.read(p4r.Entity(table_entry=asked))
    told = (without.HasField("time_since_last_hit"), found.table_entry.HasField("time_since_last_hit"))
    return "told only when asked for" if told == (False, True) else f"{told}"


@case("an idle time-out in a table without", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(paths(7, idle_timeout_ns=SECOND))


@case("a negative idle time-out", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(refusal(1, idle_timeout_ns=-SECOND))


@case("an idle time-out of the default entry", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    made = p4r.TableEntry(table_id=ids()["connection"], is_default_action=True, idle_timeout_ns=SECOND)
    made.action.action.action_id = ids()["miss"]
    return s.modify(made)


@case("the time since the last hit written", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    made = refusal(1)
    made.time_since_last_hit.elapsed_ns = 5
    return s.insert(made)
