# SPDX-License-Identifier: Apache-2.0
"""Writes over a real channel: one test for each thing that can be wrong with an entry."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest
from finsy.proto import p4r
from grpc import StatusCode

from dataplane.contract.p4info import MatchKind
from tests.unit.fake_pipeline import exact_key
from tests.unit.p4runtime_fixtures import FakeBackend, Peer, delete, insert, modify, serving, update

ROLLBACK = p4r.WriteRequest.ROLLBACK_ON_ERROR
ATOMIC = p4r.WriteRequest.DATAPLANE_ATOMIC

NODE, TENANT = b"\x05", b"\x07"
DELIVER = (b"\x02", TENANT, NODE, b"\x0a\0\0\1", b"\x0a\0\0\2", b"\0", b"\0", b"\0")


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    async with serving(tmp_path, FakeBackend({"uplink": 4, "terminate": 4})) as peer:
        stream = await peer.become_primary()
        yield peer
        await stream.close()


def scid(
    peer: Peer, number: bytes = b"\x09", params: tuple[bytes, ...] = DELIVER, **f: object
) -> p4r.TableEntry:
    return peer.entry("scid", [number], "deliver", params, **f)


async def test_insert_read_modify_delete(peer: Peer) -> None:
    await peer.write(insert(scid(peer)))
    assert await peer.read_table(table_id=peer.table_id("scid")) == [scid(peer)]
    changed = scid(peer, params=(b"\x03", *DELIVER[1:]))
    await peer.write(modify(changed))
    assert await peer.read_table(table_id=peer.table_id("scid")) == [changed]
    await peer.write(delete(peer.entry("scid", [b"\x09"])))
    assert await peer.read_table(table_id=peer.table_id("scid")) == []


MATCHES = {
    MatchKind.EXACT: lambda number: exact(number, bytes([number])),
    MatchKind.TERNARY: lambda number: ternary(number, bytes([number]), b"\x0f"),
    MatchKind.LPM: lambda number: lpm(number, b"\x20\x01" + bytes(14), 16),
}


async def test_every_table_takes_every_action(peer: Peer) -> None:
    for table in peer.backend.binding.p4info.tables.values():
        for action in table.actions.values():
            entry = p4r.TableEntry(table_id=table.id, priority=int(table.has_priority))
            entry.match.extend(MATCHES[field.kind](field.id) for field in table.match)
            entry.action.action.action_id = action.id
            for param in action.params:
                value = min(param.id, (1 << param.width) - 1)
                entry.action.action.params.add(param_id=param.id, value=bytes([value]))
            await peer.write(insert(entry))
            assert await peer.read_table(table_id=table.id) == [entry]
            await peer.write(modify(entry))
            await peer.write(delete(entry))
            assert await peer.read_table(table_id=table.id) == []


async def test_leading_zeros_are_gone_when_read(peer: Peer) -> None:
    await peer.write(insert(scid(peer, b"\0\0\x09", (b"\0\x02", *DELIVER[1:]))))
    assert await peer.read_table(table_id=peer.table_id("scid")) == [scid(peer)]


Make = Callable[[Peer], p4r.Update]


def with_action_id(entry: p4r.TableEntry, action_id: int) -> p4r.TableEntry:
    entry.action.action.action_id = action_id
    return entry


def with_action(entry: p4r.TableEntry, action: p4r.TableAction) -> p4r.TableEntry:
    entry.action.CopyFrom(action)
    return entry


def with_match(entry: p4r.TableEntry, *matches: p4r.FieldMatch) -> p4r.TableEntry:
    entry.ClearField("match")
    entry.match.extend(matches)
    return entry


def exact(number: int, value: bytes) -> p4r.FieldMatch:
    return p4r.FieldMatch(field_id=number, exact=p4r.FieldMatch.Exact(value=value))


def ternary(number: int, value: bytes, mask: bytes) -> p4r.FieldMatch:
    return p4r.FieldMatch(field_id=number, ternary=p4r.FieldMatch.Ternary(value=value, mask=mask))


def lpm(number: int, value: bytes, length: int) -> p4r.FieldMatch:
    return p4r.FieldMatch(field_id=number, lpm=p4r.FieldMatch.LPM(value=value, prefix_len=length))


LPM = p4r.FieldMatch(field_id=1, lpm=p4r.FieldMatch.LPM(value=b"\1", prefix_len=8))

BAD: dict[str, tuple[StatusCode, str, Make]] = {
    "unknown table": (
        StatusCode.INVALID_ARGUMENT,
        "there is no table 77",
        lambda p: insert(p4r.TableEntry(table_id=77)),
    ),
    "unknown match field": (
        StatusCode.INVALID_ARGUMENT,
        "table scid has no match field 9",
        lambda p: insert(with_match(scid(p), exact(1, b"\1"), exact(9, b"\1"))),
    ),
    "missing match field": (
        StatusCode.INVALID_ARGUMENT,
        "table connection lacks the match field dst",
        lambda p: insert(p.entry("connection", [b"\1", b"\2"], "reject")),
    ),
    "no match field": (
        StatusCode.INVALID_ARGUMENT,
        "table scid lacks the match field scid",
        lambda p: insert(p.entry("scid", [], "deliver", DELIVER)),
    ),
    "match field twice": (
        StatusCode.INVALID_ARGUMENT,
        "scid is given twice",
        lambda p: insert(with_match(scid(p), exact(1, b"\1"), exact(1, b"\1"))),
    ),
    "wrong match kind": (
        StatusCode.INVALID_ARGUMENT,
        "the match field 1 is exact but has lpm",
        lambda p: insert(with_match(scid(p), LPM)),
    ),
    "match without value": (
        StatusCode.INVALID_ARGUMENT,
        "the match field 1 is exact but has no value",
        lambda p: insert(with_match(scid(p), p4r.FieldMatch(field_id=1))),
    ),
    "match too wide": (
        StatusCode.OUT_OF_RANGE,
        "the match field ingress_port is 0x200, which needs 10 bits; it has 9",
        lambda p: insert(p.entry("port_role", [b"\x02\x00"], "underlay")),
    ),
    "match empty": (
        StatusCode.OUT_OF_RANGE,
        "the match field scid has an empty value",
        lambda p: insert(scid(p, b"")),
    ),
    "address too wide": (
        StatusCode.OUT_OF_RANGE,
        "the match field outer_dst is 0x1.* needs 129 bits",
        lambda p: insert(p.entry("terminate", [b"\1" + bytes(16), b"\1"], "open")),
    ),
    "priority": (
        StatusCode.INVALID_ARGUMENT,
        "only exact match fields, so an entry cannot have the priority 3",
        lambda p: insert(scid(p, priority=3)),
    ),
    "unknown action": (
        StatusCode.INVALID_ARGUMENT,
        "there is no action 99; table scid takes",
        lambda p: insert(with_action_id(scid(p), 99)),
    ),
    "action of another table": (
        StatusCode.INVALID_ARGUMENT,
        "table scid does not take the action open",
        lambda p: insert(p.entry("scid", [b"\1"], "open")),
    ),
    "action only for the default": (
        StatusCode.PERMISSION_DENIED,
        "the action unknown_scid may only be the default",
        lambda p: insert(p.entry("scid", [b"\1"], "unknown_scid")),
    ),
    "no action": (
        StatusCode.INVALID_ARGUMENT,
        "an entry to insert needs an action",
        lambda p: insert(p.entry("scid", [b"\1"])),
    ),
    "empty action": (
        StatusCode.INVALID_ARGUMENT,
        "takes an action, not nothing in it",
        lambda p: insert(with_action(p.entry("scid", [b"\1"]), p4r.TableAction())),
    ),
    "action profile member": (
        StatusCode.INVALID_ARGUMENT,
        "takes an action, not action_profile_member_id",
        lambda p: insert(with_action(scid(p), p4r.TableAction(action_profile_member_id=4))),
    ),
    "missing parameter": (
        StatusCode.INVALID_ARGUMENT,
        "table scid, action deliver lacks the parameter hops",
        lambda p: insert(scid(p, params=DELIVER[:-1])),
    ),
    "unknown parameter": (
        StatusCode.INVALID_ARGUMENT,
        "table scid, action deliver has no parameter 9",
        lambda p: insert(scid(p, params=(*DELIVER, b"\1"))),
    ),
    "parameter too wide": (
        StatusCode.OUT_OF_RANGE,
        "the parameter port is 0x200, which needs 10 bits; it has 9",
        lambda p: insert(scid(p, params=(b"\x02\x00", *DELIVER[1:]))),
    ),
    "parameter empty": (
        StatusCode.OUT_OF_RANGE,
        "the parameter port has an empty value",
        lambda p: insert(scid(p, params=(b"", *DELIVER[1:]))),
    ),
    "parameter for an action that has none": (
        StatusCode.INVALID_ARGUMENT,
        "action open has no parameter 1; it takes none",
        lambda p: insert(p.entry("terminate", [b"\1", b"\1"], "open", [b"\1"])),
    ),
    "idle time-out where there is none": (
        StatusCode.INVALID_ARGUMENT,
        "table uplink has no idle time-outs",
        lambda p: insert(p.entry("uplink", [b"\1"], "set_source", [b"\1"] * 4, idle_timeout_ns=1)),
    ),
    "negative idle time-out": (
        StatusCode.INVALID_ARGUMENT,
        "the idle time-out of -1 ns is negative",
        lambda p: insert(scid(p, idle_timeout_ns=-1)),
    ),
    "time since last hit": (
        StatusCode.INVALID_ARGUMENT,
        "time_since_last_hit can only be read",
        lambda p: insert(scid(p, time_since_last_hit=p4r.TableEntry.IdleTimeout())),
    ),
    "meter": (
        StatusCode.INVALID_ARGUMENT,
        "table scid has no direct meter",
        lambda p: insert(scid(p, meter_config=p4r.MeterConfig(cir=1))),
    ),
    "const": (
        StatusCode.INVALID_ARGUMENT,
        "is_const cannot be written",
        lambda p: insert(scid(p, is_const=True)),
    ),
    "negative counter": (
        StatusCode.INVALID_ARGUMENT,
        "the byte_count -2 is negative",
        lambda p: insert(scid(p, counter_data=p4r.CounterData(byte_count=-2))),
    ),
    "insert the default entry": (
        StatusCode.INVALID_ARGUMENT,
        "the default entry of table scid is always there and cannot be inserted",
        lambda p: insert(p.entry("scid", [], "unknown_scid", is_default_action=True)),
    ),
    "delete the default entry": (
        StatusCode.INVALID_ARGUMENT,
        "the default entry of table scid is always there and cannot be deleted",
        lambda p: delete(p.entry("scid", [], is_default_action=True)),
    ),
    "modify a constant default entry": (
        StatusCode.PERMISSION_DENIED,
        "the default entry of table scid is constant",
        lambda p: modify(p.entry("scid", [], "unknown_scid", is_default_action=True)),
    ),
    "default entry with a match": (
        StatusCode.INVALID_ARGUMENT,
        "takes neither match fields nor priority",
        lambda p: modify(p.entry("scid", [b"\1"], "unknown_scid", is_default_action=True)),
    ),
    "idle time-out of the default entry": (
        StatusCode.INVALID_ARGUMENT,
        "a default entry has no idle time-out",
        lambda p: modify(p.entry("scid", [], "unknown_scid", is_default_action=True, idle_timeout_ns=1)),
    ),
    "modify what is not there": (
        StatusCode.NOT_FOUND,
        "table scid has no entry with this key",
        lambda p: modify(scid(p)),
    ),
    "modify without action what is not there": (
        StatusCode.NOT_FOUND,
        "table scid has no entry with this key",
        lambda p: modify(p.entry("scid", [b"\1"])),
    ),
    "delete what is not there": (
        StatusCode.NOT_FOUND,
        "table connection has no entry with this key",
        lambda p: delete(p.entry("connection", [b"\1", b"\2", b"\3"])),
    ),
    "no type": (
        StatusCode.INVALID_ARGUMENT,
        "an update of the type 0 says nothing",
        lambda p: update(p4r.Update.UNSPECIFIED, scid(p)),
    ),
    "no entity": (
        StatusCode.INVALID_ARGUMENT,
        "an update without an entity",
        lambda _: p4r.Update(type=p4r.Update.INSERT),
    ),
    "an entity that the program has none of": (
        StatusCode.UNIMPLEMENTED,
        "this data plane has no register_entry",
        lambda _: p4r.Update(
            type=p4r.Update.MODIFY, entity=p4r.Entity(register_entry=p4r.RegisterEntry(register_id=1))
        ),
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_entry(peer: Peer, name: str) -> None:
    code, message, make = BAD[name]
    [(number, told)] = await peer.errors(make(peer))
    assert number == code.value[0], told
    assert re.search(message, told), told
    assert await peer.read_table() == []


async def test_duplicate(peer: Peer) -> None:
    await peer.write(insert(scid(peer)))
    [(code, told)] = await peer.errors(insert(scid(peer, params=(b"\x03", *DELIVER[1:]))))
    assert (code, "has an entry with this key already" in told) == (StatusCode.ALREADY_EXISTS.value[0], True)
    assert await peer.read_table(table_id=peer.table_id("scid")) == [scid(peer)]


async def test_full_table(peer: Peer) -> None:
    entries = [peer.entry("terminate", [bytes([n]), b"\1"], "open") for n in range(1, 6)]
    await peer.write(*map(insert, entries[:4]))
    [(code, told)] = await peer.errors(insert(entries[4]))
    assert code == StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert told == "table terminate is full with 4 entries; delete some first"
    await peer.write(delete(entries[0]), insert(entries[4]))


async def test_taken_slot(peer: Peer) -> None:
    await peer.write(insert(scid(peer, b"\x01\x00\x00\x09")))
    [(code, told)] = await peer.errors(insert(scid(peer, b"\x02\x00\x00\x09")))
    assert code == StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert "another entry in slot 9" in told


async def test_errors_are_in_the_order_of_the_updates(peer: Peer) -> None:
    codes = await peer.errors(
        insert(scid(peer)), insert(scid(peer)), delete(scid(peer, b"\x0a")), insert(scid(peer, b"\x0b"))
    )
    assert [code for code, _ in codes] == [0, 6, 5, 0]
    assert codes[0] == (0, "")
    assert len(await peer.read_table(table_id=peer.table_id("scid"))) == 2


async def test_rollback_restores_everything(peer: Peer) -> None:
    old = scid(peer, metadata=b"mine", idle_timeout_ns=5)
    await peer.write(insert(old), insert(scid(peer, b"\x0a")))
    peer.backend.tables["scid"].set_counters(
        exact_key(peer.backend.binding.by_name["scid"], [(1, b"\x09")]), 3, 300
    )
    counter = peer.backend.binding.p4info.counters
    before = await peer.read_table(counter_data=p4r.CounterData())
    codes = await peer.errors(
        modify(scid(peer, params=(b"\x03", *DELIVER[1:]), counter_data=p4r.CounterData(packet_count=9))),
        delete(scid(peer, b"\x0a")),
        insert(scid(peer, b"\x0b")),
        delete(scid(peer)),
        cell(next(iter(counter)), 5, 7),
        insert(scid(peer, b"")),
        insert(scid(peer, b"\x0c")),
        atomicity=ROLLBACK,
    )
    assert [code for code, _ in codes] == [10, 10, 10, 10, 10, 11, 10]
    assert await peer.read_table(counter_data=p4r.CounterData()) == before
    assert peer.backend.counters["port_events"].cells[5] == (0, 0)
    await peer.write(insert(scid(peer, b"\x0c")), atomicity=ROLLBACK)


async def test_atomic_for_the_data_plane_is_one_update(peer: Peer) -> None:
    await peer.write(insert(scid(peer)), atomicity=ATOMIC)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await peer.write(modify(scid(peer)), delete(scid(peer)), atomicity=ATOMIC)
    assert caught.value.code() == StatusCode.UNIMPLEMENTED
    assert "2 updates cannot be made in one step" in caught.value.details()


async def test_unknown_atomicity(peer: Peer) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await peer.write(insert(scid(peer)), atomicity=9)
    assert caught.value.code() == StatusCode.INVALID_ARGUMENT


async def test_modify_without_action_keeps_it(peer: Peer) -> None:
    await peer.write(insert(scid(peer)))
    await peer.write(modify(peer.entry("scid", [b"\x09"], counter_data=p4r.CounterData(packet_count=4))))
    [entry] = await peer.read_table(table_id=peer.table_id("scid"), counter_data=p4r.CounterData())
    assert entry == scid(peer, counter_data=p4r.CounterData(packet_count=4))


async def test_metadata_is_kept_with_the_entry(peer: Peer) -> None:
    entry = scid(peer, metadata=b"who", controller_metadata=77, idle_timeout_ns=10**12)
    await peer.write(insert(entry), insert(scid(peer, b"\x0a")))
    table = peer.table_id("scid")
    assert await peer.read_table(table_id=table, metadata=b"who") == [entry]
    assert await peer.read_table(table_id=table, controller_metadata=77) == [entry]
    assert await peer.read_table(table_id=table, controller_metadata=78) == []
    await peer.write(modify(scid(peer)))
    assert await peer.read_table(table_id=table, metadata=b"who") == []


# ---- counters ----


def direct(entry: p4r.TableEntry, packets: int | None, kind: int = p4r.Update.MODIFY) -> p4r.Update:
    counter = p4r.DirectCounterEntry(table_entry=entry)
    if packets is not None:
        counter.data.packet_count = packets
    return p4r.Update(type=p4r.Update.Type.ValueType(kind), entity=p4r.Entity(direct_counter_entry=counter))


def cell(counter: int, index: int | None, packets: int | None, kind: int = p4r.Update.MODIFY) -> p4r.Update:
    entry = p4r.CounterEntry(counter_id=counter)
    if index is not None:
        entry.index.index = index
    if packets is not None:
        entry.data.packet_count = packets
    return p4r.Update(type=p4r.Update.Type.ValueType(kind), entity=p4r.Entity(counter_entry=entry))


async def test_direct_counter_is_set(peer: Peer) -> None:
    await peer.write(insert(scid(peer, counter_data=p4r.CounterData(packet_count=2, byte_count=9))))
    [entry] = await peer.read_table(table_id=peer.table_id("scid"), counter_data=p4r.CounterData())
    assert (entry.counter_data.packet_count, entry.counter_data.byte_count) == (2, 9)
    await peer.write(direct(scid(peer), 5), direct(scid(peer), None))
    [found] = await peer.read(
        p4r.Entity(direct_counter_entry=p4r.DirectCounterEntry(table_entry=peer.entry("scid", [b"\x09"])))
    )
    assert found.direct_counter_entry.data.packet_count == 5
    assert found.direct_counter_entry.table_entry == peer.entry("scid", [b"\x09"])


async def test_bad_direct_counters(peer: Peer) -> None:
    await peer.write(insert(scid(peer)))
    codes = await peer.errors(
        direct(scid(peer), 5, p4r.Update.INSERT),
        direct(scid(peer), 5, p4r.Update.DELETE),
        direct(scid(peer, b"\x0a"), 5),
        direct(scid(peer, b"\x0a"), None),
        direct(scid(peer), -5),
        direct(peer.entry("scid", [], is_default_action=True), 5),
        direct(p4r.TableEntry(), 5),
    )
    assert [code for code, _ in codes] == [3, 3, 5, 5, 3, 12, 3]


async def test_indirect_counter_is_set(peer: Peer) -> None:
    [number] = peer.backend.binding.p4info.counters
    await peer.write(cell(number, 3, 5), cell(number, 3, None))
    cells = peer.backend.counters["port_events"].cells
    assert cells[3] == (5, 0)
    await peer.write(cell(number, None, 1))
    assert set(cells) == {(1, 0)}


async def test_bad_indirect_counters(peer: Peer) -> None:
    [number] = peer.backend.binding.p4info.counters
    codes = await peer.errors(
        cell(number, 0, 1, p4r.Update.INSERT),
        cell(number, 0, 1, p4r.Update.DELETE),
        cell(number, -1, 1),
        cell(number, 1 << 20, 1),
        cell(number, 0, -1),
        cell(7, 0, 1),
    )
    assert [code for code, _ in codes] == [3, 3, 3, 11, 3, 3]


# ---- who may write ----


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ({"device": 9}, StatusCode.NOT_FOUND, "there is no device 9 here; the only one is 1"),
        ({"role": "reader"}, StatusCode.NOT_FOUND, "there is no role reader"),
        (
            {"election_id": 7},
            StatusCode.PERMISSION_DENIED,
            "with election id 7 does not come from the primary",
        ),
        ({"election_id": None}, StatusCode.PERMISSION_DENIED, "with no election id does not come"),
    ],
)
async def test_refused_writer(
    peer: Peer, arguments: dict[str, object], code: StatusCode, message: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await peer.write(insert(scid(peer)), **arguments)  # type: ignore[arg-type]
    assert caught.value.code() == code
    assert message in caught.value.details()
    assert await peer.read_table() == []


async def test_without_a_primary_nobody_writes(tmp_path: Path) -> None:
    async with serving(tmp_path) as peer:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await peer.write(insert(scid(peer)))
        assert caught.value.code() == StatusCode.PERMISSION_DENIED
        assert "there is no primary" in caught.value.details()


async def test_a_large_batch_is_written(peer: Peer) -> None:
    def connection(number: int) -> p4r.TableEntry:
        return peer.entry(
            "connection", [b"\1", b"\2", number.to_bytes(3, "big").lstrip(b"\0")], "encapsulate", [b"\1"] * 5
        )

    entries = [connection(n) for n in range(1, 5001)]
    await peer.write(*map(insert, entries))
    found = await peer.read_table(table_id=peer.table_id("connection"))
    assert sorted(e.SerializeToString() for e in found) == sorted(e.SerializeToString() for e in entries)
    errors = await peer.errors(*map(insert, entries))
    assert {code for code, _ in errors} == {6}


async def test_a_table_of_switches_takes_nothing(peer: Peer) -> None:
    fib = peer.backend.binding.p4info.table("fib").id
    entry = p4r.TableEntry(table_id=fib)
    entry.match.add(field_id=1).exact.value = b"\1"
    counter = p4r.Update(
        type=p4r.Update.MODIFY,
        entity=p4r.Entity(direct_counter_entry=p4r.DirectCounterEntry(table_entry=entry)),
    )
    for change in (insert(entry), modify(entry), delete(entry), counter):
        [(code, told)] = await peer.errors(change)
        assert code == StatusCode.UNIMPLEMENTED.value[0]
        assert told == "table fib is for switches only; a host asks its kernel instead, so leave it out"
