# SPDX-License-Identifier: Apache-2.0
"""Data channels: up by lookup and by packet, down on demand and for idleness, up again by themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from finsy.proto import p4r

from moorline.addresses import mapped
from moorline.api.v1 import moorline_pb2 as pb
from tests.unit.control.fake_node import FakeNode
from tests.unit.control.frames import frame
from tests.unit.control.refusal import refused
from tests.unit.control.site import Site

UP, DOWN, LOCAL = pb.CHANNEL_STATUS_UP, pb.CHANNEL_STATUS_DOWN, pb.CHANNEL_STATUS_LOCAL


def statuses(node: FakeNode, scid: int) -> list[int]:
    """What the agent was told of a connection, in order."""
    return [u.translation.status for u in node.updates if u.translation.scid == scid]


def payloads(node: FakeNode) -> list[bytes]:
    return [packet.payload for packet in node.plane.packet_outs]


async def test_both_ends_get_the_peer_and_an_agent_that_asks_the_key(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        asked = pb.LookupRequest(client="laptop.demo", server="files.demo")
        answer = await one.stubs.NamingStub(one.channel).Lookup(asked)
        again = await site.lookup("files.demo", "laptop.demo")
        assert again.scid == answer.scid
        assert not again.key
        assert len(answer.key) == 32
        for node in (one, two):
            await node.told(lambda node=node: statuses(node, answer.scid) == [UP])
            (row,) = (u.translation for u in node.updates if u.HasField("translation"))
            assert any(u.peer.node_id == row.peer_node_id for u in node.updates)


async def test_a_node_asks_for_its_own_services_only(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        await site.lookup("laptop.demo", "files.demo")
        for client, server in (("files.demo", "laptop.demo"), ("files.demo", "nobody.demo")):
            with refused(grpc.StatusCode.PERMISSION_DENIED, "node one may not act for node two"):
                request = pb.LookupRequest(client=client, server=server)
                await one.stubs.NamingStub(one.channel).Lookup(request)


async def test_many_connections_between_two_nodes_have_slots_of_their_own(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        for number in range(8):
            await site.register(f"c{number}.demo", "one")
            await site.register(f"s{number}.demo", "two")
        pairs = [(f"c{i}.demo", f"s{j}.demo") for i in range(8) for j in range(8)]
        answers = await asyncio.gather(*(site.lookup(*pair) for pair in pairs))
        assert len({answer.scid & 0xFFFFFF for answer in answers}) == len(pairs)
        assert len({answer.key for answer in answers}) == 1  # an operator's are empty
        for node in (one, two):
            assert len(node.plane.tables["scid"]) == len(pairs)
            assert len(node.plane.tables["locator"]) == 1


async def test_when_slots_are_used_up_that_is_said_and_a_closed_one_is_used_again(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        two = await site.add_node("two")
        two.capacity = 2
        await two.detach()
        await two.attach(site.target)
        await site.add_node("one")
        for number in range(3):
            await site.register(f"c{number}.demo", "one")
        await site.register("files.demo", "two")
        scids = [(await site.lookup(f"c{number}.demo", "files.demo")).scid for number in range(2)]
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "none of 2 .* scid, and connection, which"):
            await site.lookup("c2.demo", "files.demo")
        await site.connections.CloseConnection(pb.CloseConnectionRequest(scid=scids[0]))
        again = (await site.lookup("c2.demo", "files.demo")).scid
        assert again & 0xFFFFFF == scids[0] & 0xFFFFFF
        assert again not in scids


async def test_services_of_one_node_need_no_channel(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        await site.register("other.demo", "one")
        answer = await site.lookup("laptop.demo", "other.demo")
        connection = await site.connection(answer.scid)
        assert connection.status == LOCAL
        assert not one.plane.tables["scid"]
        await one.told(lambda: statuses(one, answer.scid) == [LOCAL])
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "are on one node and have no channel"):
            await site.suspend(answer.scid)
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "a connection to itself"):
            await site.lookup("laptop.demo", "laptop.demo")


async def test_a_suspended_channel_holds_no_entries_and_comes_back_by_a_lookup(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        before = dict(one.plane.tables["connection"])
        assert (await site.suspend(scid)).status == DOWN
        assert (await site.suspend(scid)).status == DOWN
        for node in (one, two):
            assert not node.plane.tables["scid"]
            assert not node.plane.tables["connection"]
        assert (await site.lookup("laptop.demo", "files.demo")).scid == scid
        assert (await site.connection(scid)).status == UP
        assert one.plane.tables["connection"] == before
        for node in (one, two):
            await node.told(lambda node=node: statuses(node, scid) == [UP, DOWN, UP])


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("sender", ["one", "two"])
async def test_a_suspended_channel_comes_back_when_either_program_sends(
    sender: str, family: str, restart: bool, tmp_path: Path
) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        answer = await site.lookup("laptop.demo", "files.demo")
        await site.suspend(answer.scid)
        if restart:
            await site.stop()
            await site.start()
            await site.converged("one", "two")
        ends = [getattr(answer, f"client_{family}"), getattr(answer, f"server_{family}")]
        node, source, destination = (one, *ends) if sender == "one" else (two, *reversed(ends))
        packets = [frame(source, destination, bytes([n])) for n in range(5)]
        for packet in packets:
            await node.plane.packet_in(1, packet)
        await node.plane.until(lambda: len(node.plane.packet_outs) == 5)
        assert payloads(node) == packets
        for end in (one, two):
            assert end.plane.entry("scid", answer.scid) is not None


async def test_the_first_packet_of_a_pair_makes_its_connection_and_is_not_lost(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        services = [site.controller.state.services[name] for name in ("laptop.demo", "files.demo")]
        source, destination = (service.ipv4 for service in services)
        one.plane.gate.clear()
        packets = [frame(source, destination, bytes([n])) for n in range(3)]
        for packet in packets:
            await one.plane.packet_in(1, packet)
        await two.plane.until(lambda: len(two.plane.tables["scid"]) == 1)
        assert not one.plane.packet_outs  # held until both ends stand
        one.plane.gate.set()
        await one.plane.until(lambda: len(one.plane.packet_outs) == 3)
        assert payloads(one) == packets
        assert one.plane.entry("connection", 0, mapped(source), mapped(destination)) is not None


async def test_packets_that_come_before_a_data_plane_takes_changes_wait_until_it_does(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        services = [site.controller.state.services[name] for name in ("laptop.demo", "files.demo")]
        packets = [frame(*(service.ipv4 for service in services), bytes([n])) for n in range(3)]
        one.plane.early = list(packets)
        site.plane("one").redial()
        await one.plane.until(lambda: len(one.plane.packet_outs) == 3)
        assert payloads(one) == packets


async def test_packets_sent_at_the_same_time_all_get_there_in_order(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        packets = [bytes([number]) for number in range(20)]
        messages = [p4r.StreamMessageRequest(packet=p4r.PacketOut(payload=packet)) for packet in packets]
        await asyncio.gather(*map(site.plane("one").send, messages))
        await one.plane.until(lambda: len(one.plane.packet_outs) == 20)
        assert payloads(one) == packets


async def test_a_denied_pair_is_refused_by_the_data_plane_until_a_rule_allows_it(tmp_path: Path) -> None:
    async with Site(tmp_path, default_rule="deny") as site:
        one, _ = await site.pair()
        services = [site.controller.state.services[name] for name in ("laptop.demo", "files.demo")]
        source, destination = (service.ipv4 for service in services)
        key = (0, mapped(source), mapped(destination))
        await one.plane.packet_in(1, frame(source, destination))
        await one.plane.until(lambda: one.plane.entry("connection", *key) is not None)
        entry = one.plane.entry("connection", *key)
        assert entry is not None
        assert entry.action.action.action_id == one.plane.actions["reject"]
        assert entry.idle_timeout_ns == 5 * 10**9
        await site.put_rule("10", "*", "*", allow=True)
        await one.plane.until(lambda: one.plane.entry("connection", *key) is None)
        await one.plane.packet_in(1, frame(source, destination))
        await one.plane.until(lambda: len(one.plane.packet_outs) == 1)
        entry = one.plane.entry("connection", *key)
        assert entry is not None
        assert entry.action.action.action_id == one.plane.actions["encapsulate"]


async def refused_pair(site: Site) -> tuple[FakeNode, tuple[int, bytes, bytes]]:
    """A node that has an entry against packets to an address of nobody's, and the entry's key."""
    one, _ = await site.pair()
    source = site.controller.state.services["laptop.demo"].ipv4
    key = (0, mapped(source), mapped(bytes(4)))
    await one.plane.packet_in(1, frame(source, bytes(4)))
    await one.plane.until(lambda: one.plane.entry("connection", *key) is not None)
    return one, key


async def test_an_idle_refusal_is_taken_out(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, key = await refused_pair(site)
        entry = one.plane.entry("connection", *key)
        assert entry is not None
        await one.plane.idle(entry)
        await one.plane.until(lambda: one.plane.entry("connection", *key) is None)


async def test_a_refusal_does_not_outlive_its_time_though_the_program_never_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.rejects.LIFE", 0.05)
    async with Site(tmp_path) as site:
        one, key = await refused_pair(site)
        await one.plane.until(lambda: one.plane.entry("connection", *key) is None)


async def test_packets_in_anothers_name_make_no_connection(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        services = [site.controller.state.services[name] for name in ("laptop.demo", "files.demo")]
        source, destination = (service.ipv4 for service in services)
        await one.plane.packet_in(1, frame(destination, source))  # files.demo is not on one
        await one.plane.until(lambda: len(one.plane.tables["connection"]) == 1)
        for broken in (b"", b"\0" * 14, frame(source, destination)[:-1]):
            await one.plane.packet_in(1, broken)
        assert not site.controller.state.connections


async def test_an_idle_channel_is_taken_down_once_both_ends_are_idle(tmp_path: Path) -> None:
    async with Site(tmp_path, idle_timeout_seconds=10) as site:
        one, two = await site.pair()
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        entry = one.plane.entry("scid", scid)
        assert entry is not None
        assert entry.idle_timeout_ns == 10 * 10**9
        one.plane.elapsed_ns = 11 * 10**9
        two.plane.elapsed_ns = 3 * 10**9  # two still receives
        reads = two.plane.reads
        await one.plane.idle(entry)
        await two.plane.until(lambda: two.plane.reads > reads)
        await site.until(lambda: not site.controller.planes.listener._idle._checks)
        assert (await site.connection(scid)).status == UP
        two.plane.elapsed_ns = 12 * 10**9
        await two.plane.idle(entry)
        await one.told(lambda: DOWN in statuses(one, scid))
        await two.plane.until(lambda: not two.plane.tables["scid"])
        assert (await site.connection(scid)).status == DOWN


async def test_an_end_that_refuses_its_entries_leaves_nothing_behind(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        two.plane.refuse = lambda update: (
            8 if update.entity.table_entry.table_id == two.plane.ids["scid"] else 0
        )
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "a table of node two is full"):
            await site.lookup("laptop.demo", "files.demo")
        for node in (one, two):
            assert not node.plane.tables["scid"]
            assert not node.plane.tables["connection"]
            assert not node.plane.tables["locator"]
        two.plane.refuse = lambda update: 0
        await site.lookup("laptop.demo", "files.demo")


async def test_a_watch_tells_what_is_and_what_happens(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        first = (await site.lookup("laptop.demo", "files.demo")).scid
        events = site.connections.WatchConnections(pb.WatchConnectionsRequest())

        async def upcoming() -> tuple[int, int, int]:
            event = await events.read()
            return event.kind, event.connection.scid, event.connection.status

        assert await upcoming() == (pb.ConnectionEvent.KIND_PRESENT, first, UP)
        await site.suspend(first)
        assert await upcoming() == (pb.ConnectionEvent.KIND_CHANGED, first, DOWN)
        await site.register("other.demo", "two")
        second = (await site.lookup("laptop.demo", "other.demo")).scid
        assert await upcoming() == (pb.ConnectionEvent.KIND_ADDED, second, UP)
        await site.connections.CloseConnection(pb.CloseConnectionRequest(scid=second))
        assert await upcoming() == (pb.ConnectionEvent.KIND_REMOVED, second, UP)
        await one.report(["127.78.0.1"])
        assert await upcoming() == (pb.ConnectionEvent.KIND_CHANGED, first, DOWN)
        events.cancel()


async def test_unknown_connections_are_not_found(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        with refused(grpc.StatusCode.NOT_FOUND, "there is no connection 00000000000000ff"):
            await site.connection(255)
