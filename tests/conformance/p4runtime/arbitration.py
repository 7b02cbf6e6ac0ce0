# SPDX-License-Identifier: Apache-2.0
"""Who is the primary, and what the others may do."""

from __future__ import annotations

from finsy.proto import p4r

from tests.conformance.p4runtime.cases import case
from tests.conformance.p4runtime.session import Session, Update, change, contract, refusal

UNKNOWN_DEVICE = 77


@case("a higher election id", "OK; the former primary: ALREADY_EXISTS")
def _(s: Session) -> str:
    return f"{s.stream().arbitrate(s.election + 1)}; the former primary: {s.primary.status()}"


@case("a lower election id", "ALREADY_EXISTS")
def _(s: Session) -> str:
    return s.stream().arbitrate(s.election - 1)


@case("what a backup is told of the election id", "the primary's")
def _(s: Session) -> str:
    stream = s.stream()
    stream.announce(s.election - 1)
    told = stream.next("arbitration").election_id
    return "the primary's" if (told.high << 64 | told.low) == s.election else "another"


@case("no election id", "ALREADY_EXISTS")
def _(s: Session) -> str:
    return s.stream().arbitrate(None)


@case("no election id, twice", "ALREADY_EXISTS, ALREADY_EXISTS")
def _(s: Session) -> str:
    return ", ".join(s.stream().arbitrate(None) for _ in range(2))


@case("an election id in use", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.stream().arbitrate(s.election)


@case("the primary's own election id again", "OK")
def _(s: Session) -> str:
    return s.primary.arbitrate(s.election)


@case("the primary raises its election id", "OK; with the new one: OK; with the old one: PERMISSION_DENIED")
def _(s: Session) -> str:
    old, new = s.election, s.election + 5
    told = s.primary.arbitrate(new)
    s.election = new
    with_new, with_old = s.insert(refusal(1)), s.write(change(Update.INSERT, refusal(2)), election=old)
    return f"{told}; with the new one: {with_new}; with the old one: {with_old}"


@case("the primary lowers its election id", "NOT_FOUND; the backup: NOT_FOUND")
def _(s: Session) -> str:
    backup = s.stream()
    backup.arbitrate(s.election - 1)
    return f"{s.primary.arbitrate(s.election - 2)}; the backup: {backup.status()}"


@case("the primary leaves", "the backup: NOT_FOUND; it writes: PERMISSION_DENIED")
def _(s: Session) -> str:
    backup = s.stream()
    backup.arbitrate(s.election - 1)
    s.primary.close()
    told = backup.status()
    written = s.write(change(Update.INSERT, refusal(1)), election=s.election - 1)
    return f"the backup: {told}; it writes: {written}"


@case("the primary comes back", "OK")
def _(s: Session) -> str:
    s.primary.close()
    return s.stream().arbitrate(s.election)


@case("nobody is the primary and a lower id comes", "NOT_FOUND")
def _(s: Session) -> str:
    s.primary.close()
    return s.stream().arbitrate(s.election - 1)


@case("an unknown device", "NOT_FOUND")
def _(s: Session) -> str:
    return s.stream().arbitrate(s.election + 1, device=UNKNOWN_DEVICE)


@case("another device on the same stream", "FAILED_PRECONDITION")
def _(s: Session) -> str:
    return s.primary.arbitrate(s.election, device=UNKNOWN_DEVICE)


@case("a role that nobody agreed upon", "NOT_FOUND")
def _(s: Session) -> str:
    return s.stream().arbitrate(s.election + 1, role=p4r.Role(name="gardener"))


@case("another role on the same stream", "FAILED_PRECONDITION")
def _(s: Session) -> str:
    return s.primary.arbitrate(s.election, role=p4r.Role(name="gardener"))


@case("a write of a backup", "PERMISSION_DENIED")
def _(s: Session) -> str:
    s.stream().arbitrate(s.election - 1)
    return s.write(change(Update.INSERT, refusal(1)), election=s.election - 1)


@case("a write with an id that nobody announced", "PERMISSION_DENIED")
def _(s: Session) -> str:
    return s.write(change(Update.INSERT, refusal(1)), election=s.election + 7)


@case("a write without an election id", "PERMISSION_DENIED")
def _(s: Session) -> str:
    return s.write(change(Update.INSERT, refusal(1)), election=None)


@case("a write without an election id while nobody has a stream", "PERMISSION_DENIED")
def _(s: Session) -> str:
    s.primary.close()
    return s.write(change(Update.INSERT, refusal(1)), election=None)


@case("a write to an unknown device", "NOT_FOUND")
def _(s: Session) -> str:
    return s.write(change(Update.INSERT, refusal(1)), device_id=UNKNOWN_DEVICE)


@case("a write in an unknown role", "NOT_FOUND")
def _(s: Session) -> str:
    return s.write(change(Update.INSERT, refusal(1)), role="gardener")


@case("a read of an unknown device", "NOT_FOUND")
def _(s: Session) -> str:
    return s.reading(p4r.Entity(table_entry=p4r.TableEntry()), device_id=UNKNOWN_DEVICE)


@case("a read without a stream", "1")
def _(s: Session) -> str:
    s.insert(refusal(1))
    s.primary.close()
    return s.reading_entries(table_id=refusal(1).table_id)


@case("a pipeline configuration of a backup", "PERMISSION_DENIED")
def _(s: Session) -> str:
    s.stream().arbitrate(s.election - 1)
    return s.set_config("VERIFY", contract(), election=s.election - 1)
