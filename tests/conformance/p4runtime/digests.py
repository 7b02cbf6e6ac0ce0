# SPDX-License-Identifier: Apache-2.0
"""Digests: configured, told, acknowledged."""

from __future__ import annotations

import time

from finsy.proto import p4r

from tests.conformance.p4runtime.cases import case
from tests.conformance.p4runtime.session import Session, SilenceError, Update, digest, ids
from tests.conformance.p4runtime.traffic import mapped

UNKNOWN_DIGEST = 0x17FFFFFF
SECOND = 1_000_000_000
SCIDS = (0x1111111111000001, 0x1111111111000002, 0x1111111111000003)
MILLISECOND = 0.002
QUIET = 0.5
"""Seconds without a message after which none is taken to come."""


def _read(s: Session, digest_id: int | None = None) -> str:
    entry = p4r.DigestEntry(digest_id=ids()["scid_unknown"] if digest_id is None else digest_id)
    return s.reading(p4r.Entity(digest_entry=entry))


def _configure(s: Session, max_list_size: int = 1, **config: int) -> None:
    s.prepare()
    s.write_all([digest(Update.INSERT, max_list_size=max_list_size, **config)])


def _provoke(s: Session, scid: int) -> None:
    """A packet with an unknown SCID, in a millisecond of its own: a host's programs tell no more."""
    time.sleep(MILLISECOND)
    s.wires.underlay.send(s.wires.from_a_node(scid))


def _list(s: Session, patience: float = 5.0) -> p4r.DigestList:
    told: p4r.DigestList = s.primary.next("digest", patience)
    return told


def _provoked_again(s: Session) -> p4r.DigestList:
    """The list that comes once an acknowledgement has been heard, whenever that is."""
    for _ in range(20):
        _provoke(s, SCIDS[0])
        try:
            return _list(s, 0.25)
        except SilenceError:
            pass
    raise SilenceError("an acknowledgement was not heard")


def _scids(told: p4r.DigestList) -> list[int]:
    return [int.from_bytes(data.struct.members[1].bitstring) for data in told.data]


def _is_quiet(s: Session) -> bool:
    try:
        _list(s, QUIET)
    except SilenceError:
        return True
    return False


@case("a digest inserted", "OK, 1")
def _(s: Session) -> str:
    return f"{s.write(digest(Update.INSERT, max_list_size=1))}, {_read(s)}"


@case("a digest inserted again", "ALREADY_EXISTS")
def _(s: Session) -> str:
    s.write(digest(Update.INSERT))
    return s.write(digest(Update.INSERT))


@case("a digest modified that was not inserted", "NOT_FOUND")
def _(s: Session) -> str:
    return s.write(digest(Update.MODIFY))


@case("a digest deleted that was not inserted", "NOT_FOUND")
def _(s: Session) -> str:
    return s.write(digest(Update.DELETE))


@case("a digest that was not inserted read", "0")
def _(s: Session) -> str:
    return _read(s)


@case("all digests read", "1")
def _(s: Session) -> str:
    s.write(digest(Update.INSERT))
    return _read(s, 0)


@case("an unknown digest", "written: INVALID_ARGUMENT; read: INVALID_ARGUMENT")
def _(s: Session) -> str:
    written = s.write(digest(Update.INSERT, UNKNOWN_DIGEST))
    return f"written: {written}; read: {_read(s, UNKNOWN_DIGEST)}"


@case("a digest with a negative limit", "INVALID_ARGUMENT", ruins=True)
def _(s: Session) -> str:
    return s.write(digest(Update.INSERT, max_timeout_ns=-1))


@case("the configuration of a digest", "read back", ruins=True)
def _(s: Session) -> str:
    wanted = {"max_timeout_ns": SECOND, "max_list_size": 3, "ack_timeout_ns": 2 * SECOND}
    s.write(digest(Update.INSERT))
    s.write(digest(Update.MODIFY, **wanted))
    asked = p4r.DigestEntry(digest_id=ids()["scid_unknown"])
    (found,) = s.read(p4r.Entity(digest_entry=asked))
    return "read back" if found.digest_entry.config == p4r.DigestEntry.Config(**wanted) else "another"


@case("a packet with an unknown SCID", "told with port, SCID and source")
def _(s: Session) -> str:
    _configure(s)
    _provoke(s, SCIDS[0])
    (data,) = _list(s).data
    told = [member.bitstring for member in data.struct.members]
    wanted = [bytes([s.wires.underlay.port]), SCIDS[0].to_bytes(8), mapped("192.0.2.99")]
    return "told with port, SCID and source" if told == wanted else str(told)


@case("a digest with nothing limited", "told at once")
def _(s: Session) -> str:
    _configure(s, max_list_size=0)
    _provoke(s, SCIDS[0])
    return "not told" if _is_quiet(s) else "told at once"


@case("a packet with an unknown SCID, where no digest is wanted", "not told")
def _(s: Session) -> str:
    s.prepare()
    _provoke(s, SCIDS[0])
    return "not told" if _is_quiet(s) else "told"


@case("a digest to a backup", "not told")
def _(s: Session) -> str:
    _configure(s)
    backup = s.stream()
    backup.arbitrate(s.election - 1)
    _provoke(s, SCIDS[0])
    _list(s)
    try:
        backup.next("digest", QUIET)
    except SilenceError:
        return "not told"
    return "told"


@case("the same digest twice, with acknowledgements wanted", "told once; once more when acknowledged")
def _(s: Session) -> str:
    _configure(s, ack_timeout_ns=3600 * SECOND)
    _provoke(s, SCIDS[0])
    first = _list(s)
    _provoke(s, SCIDS[0])
    once = _is_quiet(s)
    ack = p4r.DigestListAck(digest_id=first.digest_id, list_id=first.list_id)
    s.primary.send(digest_ack=ack)
    again = _provoked_again(s)
    told = "told once" if once else "told twice"
    return f"{told}; {'once more' if again.list_id > first.list_id else 'the same list'} when acknowledged"


@case("the same digest twice, with no acknowledgements wanted", "told twice")
def _(s: Session) -> str:
    _configure(s)
    for _ in range(2):
        _provoke(s, SCIDS[0])
        _list(s)
    return "told twice"


@case("digests in one list", "told together", ruins=True)
def _(s: Session) -> str:
    _configure(s, max_list_size=2, max_timeout_ns=3600 * SECOND, ack_timeout_ns=3600 * SECOND)
    for scid in SCIDS[:2]:
        _provoke(s, scid)
    return "told together" if _scids(_list(s)) == [*SCIDS[:2]] else "apart"


@case("a list that does not fill", "told when its time is over", ruins=True)
def _(s: Session) -> str:
    _configure(s, max_list_size=9, max_timeout_ns=SECOND // 5, ack_timeout_ns=3600 * SECOND)
    _provoke(s, SCIDS[0])
    return "told when its time is over" if _scids(_list(s)) == [SCIDS[0]] else "another"


@case("an acknowledgement of an unknown digest", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    s.primary.send(digest_ack=p4r.DigestListAck(digest_id=UNKNOWN_DIGEST, list_id=1))
    return s.primary.error()


@case("an acknowledgement of a list that was never sent", "silence")
def _(s: Session) -> str:
    s.write(digest(Update.INSERT))
    s.primary.send(digest_ack=p4r.DigestListAck(digest_id=ids()["scid_unknown"], list_id=1 << 40))
    return s.primary.error()
