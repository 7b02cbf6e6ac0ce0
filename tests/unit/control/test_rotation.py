# SPDX-License-Identifier: Apache-2.0
"""New SCIDs for a connection: make before break, stored before it is programmed, nothing left behind."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import grpc
import pytest
from finsy.proto import p4r

from control.store.base import Transaction
from moorline.api.v1 import moorline_pb2 as pb
from tests.unit.control.fake_node import FakeNode
from tests.unit.control.refusal import refused
from tests.unit.control.site import Site

GRACE = 0.2
LONG = 60.0


async def rotate(site: Site, scid: int) -> pb.Connection:
    connection: pb.Connection = await site.connections.RotateConnection(pb.RotateConnectionRequest(scid=scid))
    return connection


def accepted(node: FakeNode) -> set[int]:
    """The SCIDs of the entries of ``scid``."""
    return {int.from_bytes(key[0], "big") for key in node.plane.tables["scid"]}


def sent(node: FakeNode) -> set[int]:
    """The SCIDs with which the entries of ``connection`` send."""
    rows = node.plane.tables["connection"].values()
    return {int.from_bytes(node.plane.params(row)["scid"], "big") for row in rows}


async def retired(site: Site, scid: int) -> None:
    """Wait until nothing is accepted under ``scid`` any longer."""
    for node in site.nodes.values():
        await node.plane.until(lambda node=node: scid not in accepted(node))
    await site.until(lambda: scid not in site.controller.state.connections_by_scid)


async def test_both_ends_send_with_the_new_scid_and_accept_the_old_one_too(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=LONG) as site:
        one, two = await site.pair()
        old = (await site.lookup("laptop.demo", "files.demo")).scid
        rotated = await rotate(site, old)
        assert rotated.scid != old
        assert list(rotated.former_scids) == [old]
        assert [(leg.scid, leg.client_side, leg.server_side) for leg in rotated.legs] == [
            (rotated.scid, "one", "two")
        ]
        for node in (one, two):
            assert accepted(node) == {old, rotated.scid}
            assert sent(node) == {rotated.scid}
        assert (await site.connection(old)).scid == rotated.scid
        assert (await site.lookup("laptop.demo", "files.demo")).scid == rotated.scid


async def test_after_the_grace_time_the_old_scid_is_nobodys(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=GRACE) as site:
        one, two = await site.pair()
        old = (await site.lookup("laptop.demo", "files.demo")).scid
        new = (await rotate(site, old)).scid
        await retired(site, old)
        for node in (one, two):
            assert accepted(node) == sent(node) == {new}
        assert not (await site.connection(new)).former_scids
        with refused(grpc.StatusCode.NOT_FOUND, "there is no connection"):
            await site.connection(old)


async def test_nobody_sends_with_the_new_scid_before_both_ends_accept_it(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=LONG) as site:
        one, two = await site.pair()
        old = (await site.lookup("laptop.demo", "files.demo")).scid
        two.plane.gate.clear()
        asked = asyncio.create_task(rotate(site, old))
        await one.plane.until(lambda: len(accepted(one)) == 2)
        assert sent(one) == {old}
        two.plane.gate.set()
        rotated = await asked
        assert sent(one) == sent(two) == {rotated.scid}
        kinds = [update.type for node in (one, two) for batch in node.plane.writes[-1:] for update in batch]
        assert set(kinds) == {p4r.Update.MODIFY}


async def test_each_agent_is_told_of_one_replacement(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=GRACE) as site:
        one, two = await site.pair()
        old = (await site.lookup("laptop.demo", "files.demo")).scid
        new = (await rotate(site, old)).scid
        await retired(site, old)
        for node in (one, two):
            await node.told(lambda node=node: any(u.translation.scid == new for u in node.updates))
            rows = [u.translation for u in node.updates if u.HasField("translation")]
            assert [(row.scid, row.former_scid) for row in rows] == [(old, 0), (new, old)]
            assert not any(u.HasField("translation_removed") for u in node.updates)


async def test_a_watcher_sees_the_rotation_and_its_end(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=GRACE) as site:
        await site.pair()
        old = (await site.lookup("laptop.demo", "files.demo")).scid
        watch = site.connections.WatchConnections(pb.WatchConnectionsRequest())
        assert (await watch.read()).connection.scid == old
        new = (await rotate(site, old)).scid
        events = [await watch.read() for _ in range(2)]
        assert {event.kind for event in events} == {pb.ConnectionEvent.KIND_CHANGED}
        assert [event.connection.scid for event in events] == [new, new]
        assert not events[-1].connection.former_scids
        watch.cancel()


async def test_accounting_goes_on_over_rotations(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=GRACE) as site:
        one, _ = await site.pair()
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        ipv4 = min(one.plane.tables["connection"], key=lambda key: len(key[1]))
        for count in (10, 25, 31):
            one.plane.counters["connection", ipv4] = (count, count * 100)
            usage = (await site.connection(scid)).client_to_server
            assert (usage.packets, usage.bytes) == (count, count * 100)
            scid = (await rotate(site, scid)).scid
            usage = (await site.connection(scid)).client_to_server
            assert (usage.packets, usage.bytes) == (count, count * 100)


async def test_rotations_in_quick_succession_each_have_their_grace_time(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=LONG) as site:
        one, two = await site.pair()
        scids = [(await site.lookup("laptop.demo", "files.demo")).scid]
        for _ in range(8):
            scids.append((await rotate(site, scids[-1])).scid)
        assert len(set(scids)) == 9
        assert accepted(one) == accepted(two) == set(scids)
        assert (await site.connection(scids[3])).scid == scids[-1]
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "8 former paths"):
            await rotate(site, scids[-1])
        await site.suspend(scids[-1])
        assert not accepted(one) | accepted(two)
        assert (await site.lookup("laptop.demo", "files.demo")).scid == scids[-1]
        assert accepted(one) == accepted(two) == {scids[-1]}
        await site.connections.CloseConnection(pb.CloseConnectionRequest(scid=scids[-1]))
        assert not accepted(one) | accepted(two)
        state = site.controller.state
        assert not state.connections_by_scid
        assert [slots.used for slots in state.slots.values()] == [0, 0]


async def test_a_channel_that_is_down_comes_up_with_its_new_scid(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=LONG) as site:
        one, two = await site.pair()
        old = (await site.lookup("laptop.demo", "files.demo")).scid
        await site.suspend(old)
        new = (await rotate(site, old)).scid
        assert not accepted(one)
        with refused(grpc.StatusCode.NOT_FOUND, "there is no connection"):
            await site.connection(old)
        assert (await site.lookup("laptop.demo", "files.demo")).scid == new
        assert accepted(one) == accepted(two) == {new}


async def test_within_a_node_there_is_nothing_to_rotate(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.add_node("one")
        for name in ("a.demo", "b.demo"):
            await site.register(name, "one")
        scid = (await site.lookup("a.demo", "b.demo")).scid
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "there is nothing to rotate"):
            await rotate(site, scid)


async def test_only_an_end_or_an_operator_rotates(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        other = await site.add_node("other")
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        with refused(grpc.StatusCode.PERMISSION_DENIED, "has no end of this connection"):
            await other.stubs.ConnectionsStub(other.channel).RotateConnection(
                pb.RotateConnectionRequest(scid=scid)
            )
        answer = await one.stubs.ConnectionsStub(one.channel).RotateConnection(
            pb.RotateConnectionRequest(scid=scid)
        )
        assert answer.scid != scid


async def test_with_an_end_away_nothing_changes(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=LONG) as site:
        one, two = await site.pair()
        old = (await site.lookup("laptop.demo", "files.demo")).scid
        await two.plane.stop()
        await site.until(lambda: not site.plane("two").ready)
        with refused(grpc.StatusCode.UNAVAILABLE, "node two cannot be programmed now"):
            await rotate(site, old)
        assert accepted(one) == sent(one) == {old}
        assert site.controller.state.slots[site.controller.state.nodes["one"].id].used == 1


async def test_an_end_that_is_lost_while_the_path_is_prepared_undoes_it(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=LONG) as site:
        one, two = await site.pair()
        old = (await site.lookup("laptop.demo", "files.demo")).scid
        two.plane.gate.clear()
        asked = asyncio.create_task(rotate(site, old))
        await one.plane.until(lambda: len(accepted(one)) == 2)
        await two.plane.stop()
        with refused(grpc.StatusCode.UNAVAILABLE, "node two"):
            await asked
        two.plane.gate.set()
        await one.plane.until(lambda: accepted(one) == {old})
        assert sent(one) == {old}
        await two.start(two.addresses[0])
        await site.converged("two")
        assert accepted(two) == sent(two) == {old}
        assert (await rotate(site, old)).scid != old


async def test_an_end_that_is_lost_while_it_switches_is_switched_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.rotation.POLL_SECONDS", 0.02)
    async with Site(tmp_path, grace_seconds=GRACE) as site:
        one, two = await site.pair()
        old = (await site.lookup("laptop.demo", "files.demo")).scid
        reached, go_on = stop_at(site, 1, stored=False)
        asked = asyncio.create_task(rotate(site, old))
        await reached.wait()
        await two.plane.stop()
        await site.until(lambda: not site.plane("two").ready)
        go_on.set()
        assert (await asked).scid != old
        assert sent(two) == {old}
        await two.start(two.addresses[0])
        await two.plane.until(lambda: old not in sent(two))
        await retired(site, old)
        assert sent(one) == sent(two) == accepted(one) == accepted(two)


COMMITS = ("prepare", "switch", "retire")


@pytest.mark.parametrize("stored", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(3), ids=COMMITS)
async def test_a_controller_that_dies_at_any_step_converges(
    step: int, stored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies just before or just after it stores a step."""
    monkeypatch.setattr("control.rotation.POLL_SECONDS", 0.02)
    async with Site(tmp_path, grace_seconds=GRACE) as site:
        one, two = await site.pair()
        old = (await site.lookup("laptop.demo", "files.demo")).scid
        reached, _ = stop_at(site, step, stored=stored)
        asked = asyncio.create_task(rotate(site, old))
        await reached.wait()
        await site.stop()
        await asyncio.gather(asked, return_exceptions=True)
        both = [node.plane.tables["connection"].copy() for node in (one, two)]
        assert all(len(rows) == 2 for rows in both)
        await site.start()
        await site.converged("one", "two")
        (connection,) = (await site.connections.ListConnections(pb.ListConnectionsRequest())).connections
        assert (connection.scid != old) == ((step, stored) >= (1, True))
        for node in (one, two):
            await node.plane.until(lambda node=node: accepted(node) == {connection.scid})
            assert sent(node) == {connection.scid}
        for slots in site.controller.state.slots.values():
            await site.until(lambda slots=slots: slots.used == 1)
        assert (await rotate(site, connection.scid)).scid != connection.scid


def stop_at(site: Site, step: int, *, stored: bool) -> tuple[asyncio.Event, asyncio.Event]:
    """Let the store stand still at the commit of this step; the first event says so, the second ends it."""
    store, reached, go_on = site.controller.store, asyncio.Event(), asyncio.Event()
    commit, steps = store.commit, itertools.count()

    async def stop(transaction: Transaction) -> int:
        here = any(key.startswith("connection/") for key in transaction.puts) and next(steps) == step
        if here and not stored:
            reached.set()
            await go_on.wait()
        revision: int = await commit(transaction)
        if here and stored:
            reached.set()
            await go_on.wait()
        return revision

    store.commit = stop
    return reached, go_on
