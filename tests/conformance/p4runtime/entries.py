# SPDX-License-Identifier: Apache-2.0
"""Single entries: written, refused, and how their values are spelt."""

from __future__ import annotations

from finsy.proto import p4r

from tests.conformance.p4runtime.cases import case
from tests.conformance.p4runtime.session import (
    Session,
    Update,
    change,
    entry,
    ids,
    key_of,
    paths,
    refusal,
    way,
)

UNKNOWN_TABLE = 0x02FFFFFF
UNKNOWN_ACTION = 0x01FFFFFF


def _match(*fields: p4r.FieldMatch) -> p4r.TableEntry:
    """An entry of ``locator`` with these match fields."""
    made = paths(1)
    del made.match[:]
    made.match.extend(fields)
    return made


def _exact(number: int, value: bytes) -> p4r.FieldMatch:
    return p4r.FieldMatch(field_id=number, exact=p4r.FieldMatch.Exact(value=value))


def _action(name: str, *params: tuple[int, bytes]) -> p4r.TableEntry:
    """An entry of ``connection`` with an action of this name, or number."""
    made = key_of(refusal(1))
    made.action.action.action_id = ids().get(name, UNKNOWN_ACTION)
    for number, value in params:
        made.action.action.params.add(param_id=number, value=value)
    return made


ALL = ((1, b"\5"), (2, b"\6"), (3, b"\0"), (4, b"\0"), (5, b"\5\xdc"))
"""The parameters of ``encapsulate``."""


@case("insert", "OK")
def _(s: Session) -> str:
    return s.insert(way(5))


@case("insert again", "ALREADY_EXISTS, the first one stays")
def _(s: Session) -> str:
    s.insert(way(5))
    told = s.insert(way(6))
    (found,) = s.entries(table_id=way(5).table_id)
    return f"{told}, the first one {'stays' if found.action == way(5).action else 'is gone'}"


@case("modify", "OK, changed")
def _(s: Session) -> str:
    s.insert(way(5))
    told = s.modify(way(6))
    (found,) = s.entries(table_id=way(5).table_id)
    return f"{told}, {'changed' if found.action == way(6).action else 'as before'}"


@case("modify what is not there", "NOT_FOUND")
def _(s: Session) -> str:
    return s.modify(refusal(1))


@case("modify without an action", "OK")
def _(s: Session) -> str:
    s.insert(refusal(1))
    return s.modify(key_of(refusal(1)))


@case("delete by the key alone", "OK, gone")
def _(s: Session) -> str:
    s.insert(refusal(1))
    told = s.delete(key_of(refusal(1)))
    return f"{told}, {'there' if s.is_there(refusal(1)) else 'gone'}"


@case("delete with another action", "OK")
def _(s: Session) -> str:
    s.insert(refusal(1))
    return s.delete(way(5))


@case("delete what is not there", "NOT_FOUND")
def _(s: Session) -> str:
    return s.delete(refusal(1))


@case("an update of no type", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.write(change(Update.UNSPECIFIED, refusal(1)))


@case("an update without an entity", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.write(p4r.Update(type=Update.INSERT))


@case("no table", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(p4r.TableEntry(match=refusal(1).match, action=refusal(1).action))


@case("an unknown table", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(p4r.TableEntry(table_id=UNKNOWN_TABLE, match=refusal(1).match, action=refusal(1).action))


@case("an unknown match field", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_match(_exact(9, b"\1")))


@case("a match field missing", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_match())


@case("a match field twice", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_match(_exact(1, b"\1"), _exact(1, b"\1")))


@case("a match field too many", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_match(_exact(1, b"\1"), _exact(2, b"\1")))


@case("a match of another kind", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_match(p4r.FieldMatch(field_id=1, lpm=p4r.FieldMatch.LPM(value=b"\1", prefix_len=16))))


@case("a match field too wide", "OUT_OF_RANGE")
def _(s: Session) -> str:
    return s.insert(_match(_exact(1, b"\1\0\0")))


@case("a match field too wide by a bit", "OUT_OF_RANGE")
def _(s: Session) -> str:
    port = entry("uplink", [b"\x02\x00"], "set_source", [b"\1", b"\1", b"\0", b"\1"])
    return s.insert(port)


@case("a match field without octets", "OUT_OF_RANGE")
def _(s: Session) -> str:
    return s.insert(_match(_exact(1, b"")))


@case("a priority in a table of exact fields", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(refusal(1, priority=5))


@case("insert without an action", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(key_of(refusal(1)))


@case("an unknown action", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_action("none"))


@case("an action of another table", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_action("underlay"))


@case("an action for the default entry only", "PERMISSION_DENIED")
def _(s: Session) -> str:
    return s.insert(_action("miss"))


@case("an action profile's member", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    made = key_of(refusal(1))
    made.action.action_profile_member_id = 1
    return s.insert(made)


@case("a parameter missing", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_action("encapsulate", *ALL[:4]))


@case("an unknown parameter", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_action("encapsulate", *ALL[:4], (9, b"\1")))


@case("a parameter too many", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_action("encapsulate", *ALL, (9, b"\1")))


@case("a parameter twice", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(_action("encapsulate", *ALL, ALL[0]))


@case("a parameter too wide", "OUT_OF_RANGE")
def _(s: Session) -> str:
    return s.insert(_action("encapsulate", *ALL[:3], (4, b"\1\0"), ALL[4]))


@case("a parameter without octets", "OUT_OF_RANGE")
def _(s: Session) -> str:
    return s.insert(_action("encapsulate", *ALL[:3], (4, b""), ALL[4]))


@case("leading zeros", "OK, taken away")
def _(s: Session) -> str:
    made = way(5)
    made.match[0].exact.value = b"\0\0\1"
    made.action.action.params[0].value = bytes(7) + b"\5"
    told = s.insert(made)
    (found,) = s.entries(table_id=made.table_id)
    plain = (found.match[0].exact.value, found.action.action.params[0].value) == (b"\1", b"\5")
    return f"{told}, {'taken away' if plain else 'kept'}"


@case("more leading zeros than the field has octets", "OK")
def _(s: Session) -> str:
    return s.insert(_match(_exact(1, bytes(9) + b"\1")))


@case("the number 0", "one octet")
def _(s: Session) -> str:
    s.insert(way(5))
    (found,) = s.entries(table_id=way(5).table_id)
    return "one octet" if found.action.action.params[2].value == b"\0" else "otherwise"


@case("the default entry inserted", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    made = _action("miss")
    del made.match[:]
    made.is_default_action = True
    return s.insert(made)


@case("the default entry deleted", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.delete(p4r.TableEntry(table_id=refusal(1).table_id, is_default_action=True))


@case("the default entry modified, which is constant", "PERMISSION_DENIED")
def _(s: Session) -> str:
    made = _action("reject")
    del made.match[:]
    made.is_default_action = True
    return s.modify(made)


@case("the default entry with a match field", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    made = _action("miss")
    made.is_default_action = True
    return s.modify(made)


@case("a direct meter's values in a table without", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    return s.insert(refusal(1, meter_config=p4r.MeterConfig(cir=1, cburst=1, pir=1, pburst=1)))


@case("metadata", "kept")
def _(s: Session) -> str:
    s.insert(refusal(1, metadata=b"for the controller"))
    (found,) = s.entries(table_id=refusal(1).table_id)
    return "kept" if found.metadata == b"for the controller" else "lost"


@case("controller metadata", "kept")
def _(s: Session) -> str:
    s.insert(refusal(1, controller_metadata=9))
    (found,) = s.entries(table_id=refusal(1).table_id)
    return "kept" if found.controller_metadata == 9 else "lost"


@case("an entity that the contract has none of", "UNIMPLEMENTED")
def _(s: Session) -> str:
    register = p4r.RegisterEntry(register_id=0x16000001)
    return s.write(p4r.Update(type=Update.MODIFY, entity=p4r.Entity(register_entry=register)))


@case("an entry of a switch's own table, fib", "OK")
def _(s: Session) -> str:
    made = entry("fib", [b"\1"], "next_hop", [b"\2", b"\2"])
    prefix = p4r.FieldMatch.LPM(value=bytes.fromhex("20010db8") + bytes(12), prefix_len=32)
    made.match.append(p4r.FieldMatch(field_id=2, lpm=prefix))
    told = s.insert(made)
    s.delete(key_of(made))
    return told


@case("a table that is full", "RESOURCE_EXHAUSTED")
def _(s: Session) -> str:
    size = 64  # of uplink, the smallest; an agent keeps rows of its own there
    made = [
        entry("uplink", [number.to_bytes(2).lstrip(b"\0")], "set_source", [b"\1", b"\1", b"\0", b"\1"])
        for number in range(100, 100 + size + 1)
    ]
    told = s.write(*(change(Update.INSERT, one) for one in made))
    s.write(*(change(Update.DELETE, key_of(one)) for one in made))
    return told.rpartition(", ")[2]
