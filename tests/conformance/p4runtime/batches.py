# SPDX-License-Identifier: Apache-2.0
"""Batches: what becomes of the good when one is bad."""

from __future__ import annotations

from finsy.proto import p4r

from tests.conformance.p4runtime.cases import case
from tests.conformance.p4runtime.session import Session, Update, change, key_of, refusal

Atomicity = p4r.WriteRequest


def _broken(s: Session, atomicity: int) -> str:
    """Three insertions, of which the second is of what is there; then which of them were made."""
    s.insert(refusal(2))
    told = s.write(*(change(Update.INSERT, refusal(n)) for n in (1, 2, 3)), atomicity=atomicity)
    made = [str(n) for n in (1, 3) if s.is_there(refusal(n))]
    return f"{told}; made: {' and '.join(made) or 'none'}"


@case("CONTINUE_ON_ERROR", "OK, ALREADY_EXISTS, OK; made: 1 and 3")
def _(s: Session) -> str:
    return _broken(s, Atomicity.CONTINUE_ON_ERROR)


@case("ROLLBACK_ON_ERROR", "ABORTED, ALREADY_EXISTS, ABORTED; made: none")
def _(s: Session) -> str:
    return _broken(s, Atomicity.ROLLBACK_ON_ERROR)


@case("ROLLBACK_ON_ERROR, where nothing fails", "OK")
def _(s: Session) -> str:
    return s.write(
        *(change(Update.INSERT, refusal(n)) for n in (1, 2)), atomicity=Atomicity.ROLLBACK_ON_ERROR
    )


@case("ROLLBACK_ON_ERROR of all kinds of updates", "as before")
def _(s: Session) -> str:
    s.write_all(change(Update.INSERT, refusal(n, metadata=b"before")) for n in (1, 2))
    before = sorted(str(e) for e in s.entries(table_id=refusal(1).table_id))
    updates = [
        change(Update.MODIFY, refusal(1, metadata=b"after")),
        change(Update.DELETE, key_of(refusal(2))),
        change(Update.INSERT, refusal(3)),
        change(Update.DELETE, key_of(refusal(9))),
    ]
    s.write(*updates, atomicity=Atomicity.ROLLBACK_ON_ERROR)
    after = sorted(str(e) for e in s.entries(table_id=refusal(1).table_id))
    return "as before" if before == after else "changed"


@case("DATAPLANE_ATOMIC", "UNIMPLEMENTED; made: none")
def _(s: Session) -> str:
    return _broken(s, Atomicity.DATAPLANE_ATOMIC)


@case("an atomicity that there is not", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.write(change(Update.INSERT, refusal(1)), atomicity=9)


@case("an empty batch", "OK")
def _(s: Session) -> str:
    return s.write()


@case("one key inserted and deleted in a batch", "OK, gone")
def _(s: Session) -> str:
    told = s.write(change(Update.INSERT, refusal(1)), change(Update.DELETE, key_of(refusal(1))))
    return f"{told}, {'there' if s.is_there(refusal(1)) else 'gone'}"


@case("the details of a batch that failed", "one for each update, in their order")
def _(s: Session) -> str:
    told = s.write(change(Update.DELETE, refusal(1)), change(Update.INSERT, refusal(2)), p4r.Update(type=1))
    right = told == "NOT_FOUND, OK, INVALID_ARGUMENT"
    return "one for each update, in their order" if right else told


@case("a batch of 1000", "OK, 1000")
def _(s: Session) -> str:
    made = []
    for number in range(1000):
        one = refusal(1)
        one.match[1].exact.value = number.to_bytes(2).lstrip(b"\0") or b"\0"
        made.append(change(Update.INSERT, one))
    told = s.write(*made)
    return f"{told}, {s.reading_entries(table_id=refusal(1).table_id)}"
