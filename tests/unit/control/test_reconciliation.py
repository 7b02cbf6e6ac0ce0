# SPDX-License-Identifier: Apache-2.0
"""Data planes and controller come to agree, whichever was away and whatever changed meanwhile."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import grpc
import pytest
from finsy.proto import p4r

from moorline.api.v1 import moorline_pb2 as pb
from tests.unit.control.fake_node import FakeNode, Key
from tests.unit.control.refusal import refused
from tests.unit.control.site import Site

Tables = dict[str, dict[Key, Any]]


def tables(*nodes: FakeNode) -> list[Tables]:
    return [copy.deepcopy(node.plane.tables) for node in nodes]


async def connect(site: Site, count: int) -> list[int]:
    for number in range(count):
        await site.register(f"s{number}.demo", "two")
    return [(await site.lookup("laptop.demo", f"s{number}.demo")).scid for number in range(count)]


async def test_a_restarted_controller_writes_nothing_where_all_stands(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        scids = await connect(site, 20)
        await site.suspend(scids[3])
        before = tables(one, two)
        await site.stop()
        for node in (one, two):
            node.plane.writes.clear()
        await site.start()
        await site.converged("one", "two")
        assert tables(one, two) == before
        assert not any(batch for node in (one, two) for batch in node.plane.writes)
        assert (await site.lookup("laptop.demo", "s0.demo")).scid == scids[0]
        listed = await site.connections.ListConnections(pb.ListConnectionsRequest())
        assert [connection.scid for connection in listed.connections] == scids


async def test_an_emptied_data_plane_is_filled_again(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        await connect(site, 300)
        before = tables(one, two)
        await two.plane.stop()
        for table in two.plane.tables.values():
            table.clear()
        await two.start(two.addresses[0])
        await two.plane.until(lambda: tables(two) == before[1:])
        assert tables(one, two) == before


async def test_what_does_not_belong_is_taken_out_and_what_is_wrong_put_right(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        scids = await connect(site, 5)
        before = tables(one, two)
        await two.plane.stop()
        scid_rows, pair_rows = two.plane.tables["scid"], two.plane.tables["connection"]
        key, entry = next(iter(scid_rows.items()))
        stray = copy.deepcopy(entry)
        stray.match[0].exact.value = b"\x77" * 8
        scid_rows[(b"\x77" * 8,)] = stray
        entry.action.action.params[2].value = b"\x99"  # another node
        del pair_rows[next(iter(pair_rows))]
        peer = next(iter(two.plane.tables["locator"].values()))
        peer.action.action.params[1].value = b"\x01\x02"
        await two.start(two.addresses[0])
        await two.plane.until(lambda: tables(two) == before[1:])
        assert key in scid_rows
        assert len(scids) == len(scid_rows)


async def test_changes_made_while_a_node_was_away_reach_it(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        scids = await connect(site, 4)
        await two.stop()
        await site.until(lambda: not site.plane("two").ready)
        await site.connections.CloseConnection(pb.CloseConnectionRequest(scid=scids[0]))
        await site.suspend(scids[1])
        await one.report(["127.78.0.1"])
        await site.until(lambda: site.plane("one")._addresses() == [f"ipv4:127.78.0.1:{one.port}"])
        await site.converged("one")
        with refused(grpc.StatusCode.UNAVAILABLE, "node two cannot be programmed now"):
            await site.lookup("laptop.demo", "files.demo")
        await two.start(two.addresses[0])
        await two.attach(site.target)
        await site.converged("two")
        assert set(two.plane.tables["scid"]) == {(scid.to_bytes(8, "big"),) for scid in scids[2:]}
        (path,) = two.plane.tables["locator"].values()
        assert two.plane.params(path)["dst0"].endswith(bytes([127, 78, 0, 1]))
        assert (await site.lookup("laptop.demo", "s1.demo")).scid == scids[1]


async def test_changes_made_while_the_controller_was_away_reach_it(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        (scid,) = await connect(site, 1)
        await site.stop()
        await two.detach()
        two.addresses = ["127.78.0.2"]
        await two.plane.stop()
        await two.start("127.78.0.2")
        await site.start()
        await two.attach(site.target)
        await site.converged("one", "two")
        (path,) = one.plane.tables["locator"].values()
        assert one.plane.params(path)["dst0"].endswith(bytes([127, 78, 0, 2]))
        assert one.plane.entry("scid", scid) is not None


async def test_the_controller_follows_a_node_to_its_new_address(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        await two.plane.stop()
        await site.until(lambda: not site.plane("two").ready)
        two.port = 0
        await two.start("127.78.0.2")
        await two.detach()
        await two.attach(site.target)
        await site.converged("two")
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        assert two.plane.entry("scid", scid) is not None
        assert one.plane.entry("scid", scid) is not None


async def test_an_agent_that_restarts_gets_the_whole_translation_table(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        scids = await connect(site, 5)
        await site.suspend(scids[0])
        await one.detach()
        await one.attach(site.target)  # waits for "synchronized"
        rows = {u.translation.scid: u.translation for u in one.updates if u.HasField("translation")}
        assert set(rows) == set(scids)
        assert rows[scids[0]].status == pb.CHANNEL_STATUS_DOWN
        assert [u.WhichOneof("update") for u in one.updates][:2] == ["welcome", "endpoints"]
        assert one.updates[-1].HasField("synchronized")


async def test_a_data_plane_with_another_contract_is_not_programmed(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.pair()
        two = site.nodes["two"]
        await two.plane.stop()
        two.plane.p4info = copy.deepcopy(two.plane.p4info)
        two.plane.p4info.tables[0].match_fields[0].bitwidth += 1
        await two.start(two.addresses[0])
        await site.until(lambda: "runs another P4Info" in site.plane("two").problem)
        node = await site.admin.GetNode(pb.GetNodeRequest(name="two"))
        assert not node.converged
        assert "install the same version" in node.problem
        with refused(grpc.StatusCode.UNAVAILABLE, "runs another P4Info"):
            await site.lookup("laptop.demo", "files.demo")


async def test_what_a_data_plane_refused_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.southbound.dataplane.PING_INTERVAL", 0.02)
    async with Site(tmp_path) as site:
        _, two = await site.pair()
        await connect(site, 3)
        await two.plane.stop()
        two.plane.tables["scid"].clear()
        two.plane.refuse = lambda update: 8 if update.type == p4r.Update.INSERT else 0
        await two.start(two.addresses[0])
        await site.until(lambda: "a table of node two is full" in site.plane("two").problem)
        assert not (await site.admin.GetNode(pb.GetNodeRequest(name="two"))).converged
        two.plane.refuse = lambda update: 0
        await site.converged("two")
        assert len(two.plane.tables["scid"]) == 3
        assert not (await site.admin.GetNode(pb.GetNodeRequest(name="two"))).problem


async def test_a_defect_in_programming_is_said_and_programming_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Site(tmp_path) as site:
        _, two = await site.pair()
        with monkeypatch.context() as patch:
            patch.setattr("control.southbound.dataplane.reconcile_locators", _fail)
            await two.plane.stop()
            await two.start(two.addresses[0])
            await site.until(lambda: "look into the controller's log" in site.plane("two").problem)
        await site.converged("two")


async def _fail(*_: object) -> None:
    raise ZeroDivisionError
