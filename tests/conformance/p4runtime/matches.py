# SPDX-License-Identifier: Apache-2.0
"""Entries with ternary fields, priorities and prefixes: written, refused, read."""

from __future__ import annotations

from finsy.proto import p4r

from tests.conformance.p4runtime.cases import case
from tests.conformance.p4runtime.session import Session, Update, change, entry, ids, key_of

TENANT, VLAN, DESTINATION = 2, 3, 6
"""Fields of ``classifier``."""

NETWORK = bytes.fromhex("20010db8") + bytes(12)


def _ternary(number: int, value: bytes, mask: bytes) -> p4r.FieldMatch:
    return p4r.FieldMatch(field_id=number, ternary=p4r.FieldMatch.Ternary(value=value, mask=mask))


TENANT_5 = _ternary(TENANT, b"\5", b"\xff")
NETWORK_32 = _ternary(DESTINATION, NETWORK, b"\xff" * 4 + bytes(12))


def _class(*fields: p4r.FieldMatch, priority: int = 10, action: str = "deny") -> p4r.TableEntry:
    made = entry("classifier", (), action, priority=priority)
    made.match.extend(fields)
    return made


def _route(length: int | None, value: bytes = NETWORK, node: int = 7, **fields: int) -> p4r.TableEntry:
    """A route; a length of ``None`` leaves the destination out."""
    made = entry("route", [b"\1"], "route_node", [bytes([node])], **fields)
    if length is not None:
        prefix = p4r.FieldMatch.LPM(value=value, prefix_len=length)
        made.match.append(p4r.FieldMatch(field_id=2, lpm=prefix))
    return made


def _as_written(s: Session, made: p4r.TableEntry) -> str:
    return "read as it was written" if s.entries(table_id=made.table_id) == [made] else "otherwise"


@case("a ternary entry", "OK, read as it was written")
def _(s: Session) -> str:
    made = _class(TENANT_5, NETWORK_32)
    told = s.insert(made)
    return (
        f"{told}, {'read as it was written' if s.entries(table_id=made.table_id) == [made] else 'otherwise'}"
    )


@case("a ternary entry that matches everything", "OK, read as it was written")
def _(s: Session) -> str:
    made = _class()
    told = s.insert(made)
    return (
        f"{told}, {'read as it was written' if s.entries(table_id=made.table_id) == [made] else 'otherwise'}"
    )


@case("a ternary entry without a priority", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_class(TENANT_5, priority=0))


@case("a negative priority", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_class(TENANT_5, priority=-1))


@case("a ternary value with ones outside its mask", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_class(_ternary(TENANT, b"\5", b"\4")))


@case("a ternary field with a mask of zeros", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_class(_ternary(TENANT, b"\0", b"\0")))


@case("a ternary field given as exact", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    exact = p4r.FieldMatch(field_id=TENANT, exact=p4r.FieldMatch.Exact(value=b"\5"))
    return s.insert(_class(exact))


@case("a ternary field twice", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_class(TENANT_5, TENANT_5))


@case("an unknown ternary field", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_class(_ternary(99, b"\1", b"\1")))


@case("a ternary value too wide", "OUT_OF_RANGE")
def _(s: Session) -> str:
    return s.insert(_class(_ternary(VLAN, b"\x10\0", b"\x0f\xff")))


@case("a mask too wide", "OUT_OF_RANGE")
def _(s: Session) -> str:
    return s.insert(_class(_ternary(VLAN, b"\1", b"\x10\1")))


@case("a mask without octets", "OUT_OF_RANGE")
def _(s: Session) -> str:
    return s.insert(_class(_ternary(VLAN, b"\1", b"")))


@case("leading zeros of value and mask", "OK, taken away")
def _(s: Session) -> str:
    told = s.insert(_class(_ternary(TENANT, b"\0\0\5", b"\0\0\xff")))
    (found,) = s.entries(table_id=ids()["classifier"])
    return f"{told}, {'taken away' if list(found.match) == [TENANT_5] else 'kept'}"


@case("the same match and priority again", "ALREADY_EXISTS")
def _(s: Session) -> str:
    s.insert(_class(TENANT_5, NETWORK_32))
    return s.insert(_class(NETWORK_32, TENANT_5, action="bypass"))


@case("the same match with another priority", "OK, 2 entries")
def _(s: Session) -> str:
    s.insert(_class(TENANT_5))
    told = s.insert(_class(TENANT_5, priority=11))
    return f"{told}, {len(s.entries(table_id=ids()['classifier']))} entries"


@case("the same priority with another match", "OK")
def _(s: Session) -> str:
    s.insert(_class(TENANT_5))
    return s.insert(_class(NETWORK_32))


@case("a ternary entry modified", "OK, changed")
def _(s: Session) -> str:
    s.insert(_class(TENANT_5))
    told = s.modify(_class(TENANT_5, action="bypass"))
    (found,) = s.entries(table_id=ids()["classifier"])
    return f"{told}, {'changed' if found == _class(TENANT_5, action='bypass') else 'as before'}"


@case("a ternary entry modified by another priority", "NOT_FOUND")
def _(s: Session) -> str:
    s.insert(_class(TENANT_5))
    return s.modify(_class(TENANT_5, priority=11))


@case("a ternary entry deleted, of two with its match", "OK, the other stays")
def _(s: Session) -> str:
    s.insert(_class(TENANT_5))
    s.insert(_class(TENANT_5, priority=11))
    told = s.delete(key_of(_class(TENANT_5, priority=11)))
    stays = s.entries(table_id=ids()["classifier"]) == [_class(TENANT_5)]
    return f"{told}, {'the other stays' if stays else 'otherwise'}"


@case("a ternary entry deleted without its priority", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    s.insert(_class(TENANT_5))
    return s.delete(_class(TENANT_5, priority=0))


def _fill(s: Session) -> None:
    entries = (_class(TENANT_5), _class(TENANT_5, priority=11), _class(NETWORK_32), _class(priority=1))
    s.write_all(change(Update.INSERT, one) for one in entries)


@case("all entries of a ternary table", "4")
def _(s: Session) -> str:
    _fill(s)
    return s.reading_entries(table_id=ids()["classifier"])


@case("ternary entries by match and priority", "1")
def _(s: Session) -> str:
    _fill(s)
    return s.reading_entries(table_id=ids()["classifier"], match=[TENANT_5], priority=11)


@case("ternary entries by priority", "2")
def _(s: Session) -> str:
    _fill(s)
    return s.reading_entries(table_id=ids()["classifier"], priority=10)


@case("the direct counter of a ternary entry", "read: 1; written: OK")
def _(s: Session) -> str:
    _fill(s)
    key = key_of(_class(TENANT_5, priority=11))
    asked = p4r.DirectCounterEntry(table_entry=key)
    read = s.reading(p4r.Entity(direct_counter_entry=asked))
    asked.data.packet_count = 3
    written = s.write(p4r.Update(type=Update.MODIFY, entity=p4r.Entity(direct_counter_entry=asked)))
    return f"read: {read}; written: {written}"


@case("a prefix", "OK, read as it was written")
def _(s: Session) -> str:
    told = s.insert(_route(32))
    return f"{told}, {_as_written(s, _route(32))}"


@case("a prefix that matches everything, left out", "OK, read as it was written")
def _(s: Session) -> str:
    told = s.insert(_route(None))
    return f"{told}, {_as_written(s, _route(None))}"


@case("a prefix of no bits", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_route(0, bytes(16)))


@case("a prefix longer than its field", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_route(129))


@case("a prefix of negative length", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_route(-1))


@case("a prefix with ones behind its length", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_route(16))


@case("a prefix with a priority", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_route(32, priority=5))


@case("prefixes of two lengths", "OK, OK")
def _(s: Session) -> str:
    return f"{s.insert(_route(32))}, {s.insert(_route(48))}"


@case("the same prefix again", "ALREADY_EXISTS")
def _(s: Session) -> str:
    s.insert(_route(32))
    return s.insert(_route(32, node=8))


@case("a prefix deleted", "OK, the longer stays")
def _(s: Session) -> str:
    s.insert(_route(32))
    s.insert(_route(48))
    told = s.delete(key_of(_route(32)))
    stays = s.entries(table_id=ids()["route"]) == [_route(48)]
    return f"{told}, {'the longer stays' if stays else 'otherwise'}"


@case("100 entries with different masks", "OK")
def _(s: Session) -> str:
    masks = (bytes([1 + number // 255, 1 + number % 255]) for number in range(100))
    made = [_class(_ternary(TENANT, b"\0", mask), priority=n) for n, mask in enumerate(masks, 1)]
    return s.write(*(change(Update.INSERT, one) for one in made)).rpartition(", ")[2]
