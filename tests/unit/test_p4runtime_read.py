# SPDX-License-Identifier: Apache-2.0
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from finsy.proto import p4r
from grpc import StatusCode

from dataplane.p4runtime import server
from dataplane.p4runtime.server import ENTITIES_PER_MESSAGE, READ_PAUSE, WRITES_LAST_NS
from tests.unit.fake_pipeline import exact_key
from tests.unit.p4runtime_fixtures import DEVICE, Peer, details_of, insert, serving

SECOND = 10**9


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    async with serving(tmp_path) as peer:
        await peer.become_primary()
        await peer.write(*map(insert, entries(peer)))
        yield peer


def entries(peer: Peer) -> list[p4r.TableEntry]:
    connection = [b"\1", b"\2"]
    return [
        peer.entry("port_role", [b"\3"], "underlay"),
        peer.entry("connection", [*connection, b"\1"], "reject"),
        peer.entry("connection", [*connection, b"\2"], "reject", metadata=b"x"),
        peer.entry("connection", [*connection, b"\3"], "encapsulate", [b"\1", b"\2", b"\3", b"\4", b"\5"]),
    ]


def by_bytes(found: list[p4r.TableEntry]) -> list[bytes]:
    return sorted(e.SerializeToString(deterministic=True) for e in found)


def count(peer: Peer, dst: bytes, packets: int) -> None:
    """As if the data plane had counted."""
    key = exact_key(peer.backend.binding.by_name["connection"], [(1, b"\1"), (2, b"\2"), (3, dst)])
    peer.backend.tables["connection"].set_counters(key, packets, packets * 100)


async def test_all_tables(peer: Peer) -> None:
    assert by_bytes(await peer.read_table()) == by_bytes(entries(peer))


async def test_one_table_one_key_one_action(peer: Peer) -> None:
    table = peer.table_id("connection")
    assert by_bytes(await peer.read_table(table_id=table)) == by_bytes(entries(peer)[1:])
    one = entries(peer)[3]
    assert await peer.read_table(table_id=table, match=one.match) == [one]
    reject = p4r.TableAction(action=entries(peer)[1].action.action)
    assert by_bytes(await peer.read_table(table_id=table, action=reject)) == by_bytes(entries(peer)[1:3])
    assert await peer.read_table(table_id=table, priority=4) == []


async def test_an_absent_key_gives_nothing(peer: Peer) -> None:
    absent = peer.entry("connection", [b"\1", b"\2", b"\x09"])
    assert await peer.read_table(table_id=absent.table_id, match=absent.match) == []


async def test_a_table_of_switches_is_empty(peer: Peer) -> None:
    fib = peer.backend.binding.p4info.table("fib").id
    entry = p4r.TableEntry(table_id=fib)
    assert await peer.read_table(table_id=fib) == []
    assert await peer.read_table(table_id=fib, is_default_action=True) == []
    wanted = p4r.DirectCounterEntry(table_entry=entry)
    assert await peer.read(p4r.Entity(direct_counter_entry=wanted)) == []


async def test_counters_only_when_asked_for(peer: Peer) -> None:
    count(peer, b"\3", 7)
    table, match = peer.table_id("connection"), entries(peer)[3].match
    [plain] = await peer.read_table(table_id=table, match=match)
    assert not plain.HasField("counter_data")
    [counted] = await peer.read_table(table_id=table, match=match, counter_data=p4r.CounterData())
    assert (counted.counter_data.packet_count, counted.counter_data.byte_count) == (7, 700)


async def test_time_since_last_hit_only_when_asked_for(peer: Peer) -> None:
    table, match = peer.table_id("connection"), entries(peer)[3].match
    asked = p4r.TableEntry.IdleTimeout()

    async def elapsed() -> int:
        [entry] = await peer.read_table(table_id=table, match=match, time_since_last_hit=asked)
        assert entry.HasField("time_since_last_hit")
        return entry.time_since_last_hit.elapsed_ns

    [plain] = await peer.read_table(table_id=table, match=match)
    assert not plain.HasField("time_since_last_hit")
    assert await elapsed() == 0
    peer.clock.now += 3 * SECOND
    assert await elapsed() == 3 * SECOND
    count(peer, b"\3", 7)
    assert await elapsed() == 0
    uplink = p4r.TableEntry(table_id=peer.table_id("uplink"), time_since_last_hit=asked)
    [(code, told)] = await errors(peer, p4r.Entity(table_entry=uplink))
    assert (code, told) == (3, "table uplink has no idle time-outs; leave time_since_last_hit unset")


async def test_the_default_entry(peer: Peer) -> None:
    [entry] = await peer.read_table(table_id=peer.table_id("connection"), is_default_action=True)
    assert entry == p4r.TableEntry(
        table_id=peer.table_id("connection"),
        is_default_action=True,
        is_const=True,
        action=p4r.TableAction(action=p4r.Action(action_id=peer.backend.binding.p4info.action("miss").id)),
    )


async def test_direct_counters(peer: Peer) -> None:
    count(peer, b"\3", 7)

    async def counters(**asked: object) -> dict[bytes, int]:
        wanted = p4r.DirectCounterEntry(table_entry=p4r.TableEntry(**asked))
        found = await peer.read(p4r.Entity(direct_counter_entry=wanted))
        return {
            e.direct_counter_entry.table_entry.match[-1].exact.value: e.direct_counter_entry.data.packet_count
            for e in found
        }

    table = peer.table_id("connection")
    assert await counters(table_id=table) == {b"\1": 0, b"\2": 0, b"\3": 7}
    assert await counters(table_id=table, match=entries(peer)[3].match) == {b"\3": 7}
    assert sum((await counters()).values()) == 7
    assert len(await peer.read(p4r.Entity(direct_counter_entry=p4r.DirectCounterEntry()))) == 4


async def test_indirect_counters(peer: Peer) -> None:
    peer.backend.counters["port_events"].cells[65] = (3, 300)
    [number] = peer.backend.binding.p4info.counters
    one = p4r.CounterEntry(counter_id=number, index=p4r.Index(index=65))
    assert await peer.read(p4r.Entity(counter_entry=one)) == [
        p4r.Entity(
            counter_entry=p4r.CounterEntry(
                counter_id=number,
                index=p4r.Index(index=65),
                data=p4r.CounterData(packet_count=3, byte_count=300),
            )
        )
    ]
    for entry in (p4r.CounterEntry(counter_id=number), p4r.CounterEntry()):
        found = await peer.read(p4r.Entity(counter_entry=entry))
        assert len(found) == 32768
        assert found[65].counter_entry.data.packet_count == 3
        assert found[65].counter_entry.index.index == 65


async def errors(peer: Peer, *asked: p4r.Entity) -> list[tuple[int, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await peer.read(*asked)
    assert caught.value.code() == StatusCode.UNKNOWN
    return details_of(caught.value)


def table_entry(**fields: object) -> p4r.Entity:
    return p4r.Entity(table_entry=p4r.TableEntry(**fields))


async def test_bad_requests(peer: Peer) -> None:
    table = peer.table_id("connection")
    [number] = peer.backend.binding.p4info.counters
    direct = p4r.DirectCounterEntry
    absent = peer.entry("connection", [b"\1", b"\2", b"\x09"])
    default = p4r.TableEntry(table_id=table, is_default_action=True)
    unset = p4r.TableAction(action_profile_group_id=1)
    cases: list[tuple[p4r.Entity, int, str]] = [
        (p4r.Entity(), 3, "a request without an entity"),
        (table_entry(table_id=7), 3, "there is no table 7"),
        (table_entry(priority=3), 3, "a read of all tables cannot select"),
        (table_entry(table_id=table, match=absent.match[:2]), 3, "lacks the match field dst"),
        (table_entry(table_id=table, action=unset), 3, "takes actions"),
        (
            table_entry(table_id=table, action=p4r.TableAction(action=p4r.Action(action_id=5))),
            3,
            "no action 5",
        ),
        (p4r.Entity(direct_counter_entry=direct(table_entry=absent)), 5, "no entry with this key"),
        (p4r.Entity(direct_counter_entry=direct(table_entry=default)), 12, "is not counted"),
        (p4r.Entity(counter_entry=p4r.CounterEntry(counter_id=7)), 3, "there is no counter 7"),
        (p4r.Entity(counter_entry=p4r.CounterEntry(index=p4r.Index(index=0))), 3, "an index needs a counter"),
        (
            p4r.Entity(counter_entry=p4r.CounterEntry(counter_id=number, index=p4r.Index(index=-1))),
            3,
            "the index -1 is negative",
        ),
        (
            p4r.Entity(counter_entry=p4r.CounterEntry(counter_id=number, index=p4r.Index(index=32768))),
            11,
            "beyond its size; give 0 to 32767",
        ),
        (
            p4r.Entity(register_entry=p4r.RegisterEntry(register_id=7)),
            3,
            "there is no register_entry 7",
        ),
    ]
    told = await errors(peer, *(entity for entity, _, _ in cases))
    for (_, code, message), (given, text) in zip(cases, told, strict=True):
        assert given == code, text
        assert message in text


async def test_what_can_be_answered_is_answered_before_the_error(peer: Peer) -> None:
    request = p4r.ReadRequest(
        device_id=DEVICE, entities=[table_entry(table_id=7), table_entry(table_id=peer.table_id("port_role"))]
    )
    found = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for response in peer.stub.Read(request):
            found.extend(response.entities)
    assert [code for code, _ in details_of(caught.value)] == [3, 0]
    assert len(found) == 1


async def test_all_of_what_there_is_none_of_is_nothing(peer: Peer) -> None:
    nothing = [
        p4r.Entity(action_profile_member=p4r.ActionProfileMember()),
        p4r.Entity(action_profile_group=p4r.ActionProfileGroup()),
        p4r.Entity(meter_entry=p4r.MeterEntry()),
        p4r.Entity(direct_meter_entry=p4r.DirectMeterEntry()),
        p4r.Entity(register_entry=p4r.RegisterEntry()),
        p4r.Entity(value_set_entry=p4r.ValueSetEntry()),
        p4r.Entity(digest_entry=p4r.DigestEntry()),
        p4r.Entity(extern_entry=p4r.ExternEntry()),
        p4r.Entity(
            packet_replication_engine_entry=p4r.PacketReplicationEngineEntry(
                multicast_group_entry=p4r.MulticastGroupEntry()
            )
        ),
    ]
    assert await peer.read(*nothing) == []


@pytest.mark.parametrize(
    "request_", [p4r.ReadRequest(device_id=9), p4r.ReadRequest(device_id=DEVICE, role="reader")]
)
async def test_refused_reader(peer: Peer, request_: p4r.ReadRequest) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in peer.stub.Read(request_):
            pass
    assert caught.value.code() == StatusCode.NOT_FOUND


async def test_a_read_shows_one_moment(peer: Peer) -> None:
    """Entries written while the answer is on its way are not in it."""
    many = [
        peer.entry("connection", [b"\4", b"\2", n.to_bytes(2, "big").lstrip(b"\0")], "reject")
        for n in range(1, 2001)
    ]
    await peer.write(*map(insert, many))
    call = peer.stub.Read(
        p4r.ReadRequest(device_id=DEVICE, entities=[p4r.Entity(table_entry=p4r.TableEntry())])
    )
    first = await call.read()
    await peer.write(*[p4r.Update(type=p4r.Update.DELETE, entity=p4r.Entity(table_entry=e)) for e in many])
    found = len(first.entities)
    while (response := await call.read()) is not grpc.aio.EOF:
        found += len(response.entities)
    assert found == 2004
    assert len(await peer.read_table()) == 4


async def test_a_read_leaves_most_of_the_time_to_writes(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    keys = [number.to_bytes(2) for number in range(256, 256 + 2 * ENTITIES_PER_MESSAGE)]
    await peer.write(*(insert(peer.entry("connection", [b"\1", b"\1", key], "reject")) for key in keys))
    monkeypatch.setattr(server, "asyncio", SimpleNamespace(sleep=pause))
    peer.clock.step = 1_000_000
    assert len(await peer.read_table()) == len(keys) + 4
    assert pauses == [READ_PAUSE / 1000] * 2
    peer.clock.now += WRITES_LAST_NS
    assert len(await peer.read_table()) == len(keys) + 4
    assert len(pauses) == 2
