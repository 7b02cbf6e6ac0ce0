# SPDX-License-Identifier: Apache-2.0
"""Connections through relays: which rows stand where, under which SCIDs, and what follows when nodes move."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import grpc
import pytest
from finsy.proto import p4r

from control.southbound.contract import read_row
from control.store.base import Transaction
from moorline.addresses import mapped
from moorline.api.v1 import moorline_pb2 as pb
from moorline.wire import OVERHEAD_IPV6
from tests.unit.control.fake_node import FakeNode
from tests.unit.control.refusal import refused
from tests.unit.control.site import Site
from tests.unit.control.test_rotation import GRACE, LONG, accepted, retired, rotate, sent, stop_at

UP, DOWN = pb.CHANNEL_STATUS_UP, pb.CHANNEL_STATUS_DOWN


async def set_node(site: Site, name: str, *, via: str | None = None, border: bool | None = None) -> pb.Node:
    node: pb.Node = await site.admin.SetNode(pb.SetNodeRequest(name=name, via=via, border=border))
    return node


async def relayed(site: Site, *, border: bool = False) -> tuple[FakeNode, FakeNode, FakeNode]:
    """``one`` behind ``gate``, and ``two``; with their services."""
    gate = await site.add_node("gate")
    one, two = await site.pair()
    await set_node(site, "one", via="gate")
    if border:
        await set_node(site, "gate", border=True)
    return one, gate, two


def number_of(site: Site, node: str) -> int:
    return site.controller.state.nodes[node].id


def relays(node: FakeNode) -> dict[int, dict[str, int]]:
    """The parameters of the entries that relay, by SCID."""
    action = node.plane.actions["relay"]
    return {
        int.from_bytes(key[0], "big"): {
            name: int.from_bytes(value, "big") for name, value in node.plane.params(entry).items()
        }
        for key, entry in node.plane.tables["scid"].items()
        if entry.action.action.action_id == action
    }


def origins(node: FakeNode) -> dict[str, int]:
    """Which node an address belongs to, for a relay."""
    return {
        str(ip_address(key[0].rjust(16, b"\0")).ipv4_mapped): int.from_bytes(
            node.plane.params(entry)["node"], "big"
        )
        for key, entry in node.plane.tables["origin"].items()
    }


def neighbours(node: FakeNode) -> set[int]:
    return {int.from_bytes(key[0], "big") for key in node.plane.tables["locator"]}


def carried(node: FakeNode) -> set[int]:
    """The longest packets that the entries of ``connection`` let into a tunnel."""
    rows = node.plane.tables["connection"].values()
    return {int.from_bytes(node.plane.params(row)["mtu"], "big") for row in rows}


async def report_mtu(site: Site, node: FakeNode, mtu: int) -> None:
    node.mtu = mtu
    await node.report(node.addresses)
    known = site.controller.state.nodes[node.name]
    await site.until(lambda: known.locators[0].mtu == mtu)


def towards(node: FakeNode, table: str) -> set[int]:
    """The nodes that the entries of ``scid`` or ``connection`` name."""
    found = (node.plane.params(entry) for entry in node.plane.tables[table].values())
    return {int.from_bytes(params["node"], "big") for params in found}


async def test_a_relay_passes_packets_on_and_the_ends_know_only_the_relay(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, gate, two = await relayed(site)
        answer = await site.lookup("laptop.demo", "files.demo")
        one_id, gate_id, two_id = (number_of(site, name) for name in ("one", "gate", "two"))
        assert relays(gate) == {
            answer.scid: {
                "tenant": 0, "node0": one_id, "scid0": answer.scid, "node1": two_id, "scid1": answer.scid,
            }
        }  # fmt: skip
        assert origins(gate) == {one.addresses[0]: one_id, two.addresses[0]: two_id}
        assert neighbours(gate) == {one_id, two_id}
        for end in (one, two):
            assert accepted(end) == sent(end) == {answer.scid}
            assert towards(end, "scid") == towards(end, "connection") == neighbours(end) == {gate_id}
            assert not end.plane.tables["origin"]
        assert not gate.plane.tables["connection"]
        connection = await site.connection(answer.scid)
        assert [(leg.client_side, leg.server_side) for leg in connection.legs] == [
            ("one", "gate"),
            ("gate", "two"),
        ]
        shown = await site.admin.GetNode(pb.GetNodeRequest(name="gate"))
        assert (shown.connections, shown.relayed_connections) == (0, 1)
        listed = await site.connections.ListConnections(pb.ListConnectionsRequest(node="gate"))
        assert [c.scid for c in listed.connections] == [answer.scid]


async def test_senders_are_told_what_the_narrowest_node_carries(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=LONG) as site:
        one, gate, two = await relayed(site)
        await report_mtu(site, gate, 1400)
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        assert carried(one) == carried(two) == {1400 - OVERHEAD_IPV6}
        await set_node(site, "one", via="")
        rotated = await rotate(site, scid)
        assert carried(one) == carried(two) == {1500 - OVERHEAD_IPV6} == {rotated.parameters.mtu}


async def test_senders_are_told_when_a_node_carries_less_or_more(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, gate, two = await relayed(site)
        await site.lookup("laptop.demo", "files.demo")
        changes = (
            (gate, 1400, 1400),
            (two, 1390, 1390),
            (two, 1500, 1400),
            (gate, 1500, 1500),
        )
        for node, mtu, least in changes:
            await report_mtu(site, node, mtu)
            for end in (one, two):
                await end.plane.until(lambda end=end, least=least: carried(end) == {least - OVERHEAD_IPV6})
            answer = await site.lookup("laptop.demo", "files.demo")
            assert answer.parameters.mtu == least - OVERHEAD_IPV6


async def test_a_node_that_moves_and_is_as_wide_as_before_has_no_connection_rewritten(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        _, gate, two = await relayed(site)
        await report_mtu(site, gate, 1400)
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        two.plane.writes.clear()
        await gate.report([])
        await site.until(lambda: not site.controller.state.nodes["gate"].locators)
        assert (await site.connection(scid)).parameters.mtu == 1400 - OVERHEAD_IPV6
        await gate.report(["127.78.0.7"])
        await site.until(lambda: bool(site.controller.state.nodes["gate"].locators))
        await site.converged("gate")
        await site.register("other.demo", "one")
        # The rows of connections are written in order: before these there would be others.
        other = (await site.lookup("other.demo", "files.demo")).scid
        entries = site.controller.planes.entries
        rows = [read_row(update.entity.table_entry) for updates in two.plane.writes for update in updates]
        assert {entries.scid_of(row) for row in rows if row.table == entries.connection_table} == {other}


async def test_agents_are_told_of_their_neighbours_and_a_relay_of_no_key(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, gate, two = await relayed(site)
        await site.lookup("laptop.demo", "files.demo")
        names = {one: {"gate"}, two: {"gate"}, gate: {"one", "two"}}
        for node, peers in names.items():
            await node.told(
                lambda node=node, peers=peers: (
                    {u.peer.node for u in node.updates if u.HasField("peer")} == peers
                )
            )
        for end in (one, two):
            await end.told(lambda end=end: any(u.HasField("translation") for u in end.updates))
            (row,) = (u.translation for u in end.updates if u.HasField("translation"))
            assert row.peer_node_id != number_of(site, "gate")
        await gate.detach()
        await gate.attach(site.target)
        assert not any(u.HasField("translation") for u in gate.updates)


async def test_neighbours_share_a_key_and_a_relay_knows_whose_packets_it_passes_on(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, gate, two = await relayed(site)
        scid = (await site.lookup("laptop.demo", "files.demo")).scid

        def last(node: FakeNode, peer: str) -> pb.PeerChanged | None:
            said = [u.peer for u in node.updates if u.HasField("peer") and u.peer.node == peer]
            return said[-1] if said else None

        async def told(node: FakeNode, peer: str, *, relayed: bool) -> bytes:
            await node.told(lambda: (said := last(node, peer)) is not None and said.relayed is relayed)
            said = last(node, peer)
            assert said is not None
            return said.key

        keys = [await told(one, "gate", relayed=False), await told(gate, "one", relayed=True)]
        others = [await told(two, "gate", relayed=False), await told(gate, "two", relayed=True)]
        assert keys[0] == keys[1] != others[0] == others[1]
        assert len(keys[0]) == 32
        await site.register("own.demo", "gate")
        await site.lookup("own.demo", "files.demo")
        await site.connections.CloseConnection(pb.CloseConnectionRequest(scid=scid))
        assert await told(gate, "two", relayed=False) == others[0]  # a peer still, but not relayed
        await site.stop()
        await two.detach()
        await site.start()
        await two.attach(site.target)
        assert await told(two, "gate", relayed=False) == others[0]


async def test_at_a_border_each_leg_has_an_scid_of_its_own(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, gate, two = await relayed(site, border=True)
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        first, second = (leg.scid for leg in (await site.connection(scid)).legs)
        assert first == scid
        assert len({first & 0xFFFFFF, second & 0xFFFFFF}) == 2
        one_id, two_id = number_of(site, "one"), number_of(site, "two")
        ways = {"tenant": 0, "node0": one_id, "node1": two_id}
        assert relays(gate) == {
            first: {**ways, "scid0": 0, "scid1": second},
            second: {**ways, "scid0": first, "scid1": 0},
        }
        assert accepted(one) == sent(one) == {first}
        assert accepted(two) == sent(two) == {second}
        assert (await site.connection(second)).scid == first
        assert (await site.lookup("files.demo", "laptop.demo")).scid == second  # that of the asker's end
        for node, leg in ((one, first), (two, second)):
            await node.told(lambda n=node, s=leg: any(u.translation.scid == s for u in n.updates))
        await site.connections.CloseConnection(pb.CloseConnectionRequest(scid=second))
        assert not any(table for node in (one, gate, two) for table in node.plane.tables.values())
        assert [slots.used for slots in site.controller.state.slots.values()] == [0, 0, 0]


@pytest.mark.parametrize(
    ("vias", "way"),
    [
        ({}, "one two"),
        ({"one": "gate"}, "one gate two"),
        ({"two": "gate"}, "one gate two"),
        ({"one": "gate", "two": "gate"}, "one gate two"),
        ({"one": "gate", "two": "port"}, "one gate port two"),
        ({"one": "two"}, "one two"),
        ({"two": "one"}, "one two"),
    ],
)
async def test_the_way_follows_from_the_relays_of_both_ends(
    vias: dict[str, str], way: str, tmp_path: Path
) -> None:
    async with Site(tmp_path) as site:
        await asyncio.gather(*(site.add_node(name) for name in ("gate", "port")))
        one, two = await site.pair()
        for name, via in vias.items():
            assert (await set_node(site, name, via=via)).via == via
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        legs = (await site.connection(scid)).legs
        assert " ".join([legs[0].client_side, *(leg.server_side for leg in legs)]) == way
        names = way.split()
        assert towards(one, "connection") == {number_of(site, names[1])}
        assert towards(two, "connection") == {number_of(site, names[-2])}


async def test_a_slot_is_free_at_all_nodes_that_see_the_scid(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        gate = await site.add_node("gate")
        gate.capacity = 2
        await gate.detach()
        await gate.attach(site.target)
        await site.pair()
        await site.register("other.demo", "one")
        await site.register("more.demo", "one")
        await set_node(site, "one", via="gate")
        scids = {(await site.lookup(name, "files.demo")).scid for name in ("laptop.demo", "other.demo")}
        assert {scid & 0xFFFFFF for scid in scids} == {0, 1}
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "none of 2 connection slots is free"):
            await site.lookup("more.demo", "files.demo")
        await set_node(site, "gate", border=True)
        await site.connections.CloseConnection(pb.CloseConnectionRequest(scid=scids.pop()))
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "none of 2 connection slots is free"):
            await site.lookup("more.demo", "files.demo")  # a border sees two SCIDs
        assert site.controller.state.slots[number_of(site, "two")].used == 1


async def test_no_end_sends_before_the_relay_passes_on(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, gate, two = await relayed(site)
        gate.plane.gate.clear()
        asked = asyncio.create_task(site.lookup("laptop.demo", "files.demo"))
        await one.plane.until(lambda: bool(accepted(one)))
        assert not sent(one) | sent(two)
        gate.plane.gate.set()
        scid = (await asked).scid
        assert sent(one) == sent(two) == {scid}


async def test_a_relay_that_is_away_is_named(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        _, gate, _ = await relayed(site)
        await gate.stop()
        await site.until(lambda: not site.plane("gate").ready)
        with refused(grpc.StatusCode.UNAVAILABLE, "node gate cannot be programmed now"):
            await site.lookup("laptop.demo", "files.demo")


async def test_neighbours_without_a_family_in_common_are_named(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        _, gate, _ = await relayed(site)
        await gate.report(["::1"])
        await site.until(lambda: len(site.controller.state.nodes["gate"].locators[0].address) == 16)
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "nodes one and gate have no address family"):
            await site.lookup("laptop.demo", "files.demo")


# ---- settings ----------------------------------------------------------------------------------------------


async def test_relays_stand_behind_no_relay_and_exist(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        for name in ("one", "gate", "port"):
            await site.add_node(name)
        assert (await set_node(site, "one", via="gate", border=True)).border
        for name, via, code, why in (
            ("one", "one", grpc.StatusCode.INVALID_ARGUMENT, "node one cannot be its own relay"),
            ("one", "nobody", grpc.StatusCode.NOT_FOUND, "node 'nobody' is not known"),
            ("port", "one", grpc.StatusCode.FAILED_PRECONDITION, "node one is itself behind gate"),
            ("gate", "port", grpc.StatusCode.FAILED_PRECONDITION, "node gate is the relay of one"),
            ("gate", "one", grpc.StatusCode.FAILED_PRECONDITION, "node one is itself behind gate"),
        ):
            with refused(code, why):
                await set_node(site, name, via=via)
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "node gate is the relay of one"):
            await site.admin.RemoveNode(pb.RemoveNodeRequest(name="gate"))
        assert (await set_node(site, "one", via="")).border
        await site.stop()
        await site.start()
        shown = await site.admin.GetNode(pb.GetNodeRequest(name="one"))
        assert (shown.via, shown.border) == ("", True)
        await site.admin.RemoveNode(pb.RemoveNodeRequest(name="gate"))


async def test_only_an_operator_sets_a_node(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one = await site.add_node("one")
        with refused(grpc.StatusCode.PERMISSION_DENIED, "ask as an operator"):
            await one.stubs.NodesStub(one.channel).SetNode(pb.SetNodeRequest(name="one", border=True))


async def test_a_node_that_relays_is_not_removed(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await relayed(site)
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        await set_node(site, "one", via="")
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "node gate still relays connections"):
            await site.admin.RemoveNode(pb.RemoveNodeRequest(name="gate"))
        await site.connections.CloseConnection(pb.CloseConnectionRequest(scid=scid))
        await site.admin.RemoveNode(pb.RemoveNodeRequest(name="gate"))


async def test_settings_and_reports_at_once_are_all_stored(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one = await site.add_node("one")
        await asyncio.gather(
            set_node(site, "one", border=True), one.report(["127.78.0.9"]), set_node(site, "one", border=True)
        )
        await site.until(
            lambda: site.controller.state.nodes["one"].addresses[0] == ip_address("127.78.0.9").packed
        )
        await site.stop()
        await one.detach()
        await site.start()
        node = site.controller.state.nodes["one"]
        assert node.border
        assert node.addresses == (ip_address("127.78.0.9").packed,)


# ---- address changes ---------------------------------------------------------------------------------------


async def test_an_end_behind_a_relay_moves_and_only_its_relay_hears_of_it(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=GRACE) as site:
        one, gate, two = await relayed(site)
        await site.lookup("laptop.demo", "files.demo")
        former, one_id = one.addresses[0], number_of(site, "one")
        two.plane.writes.clear()
        await one.report(["127.78.0.1"])
        await gate.plane.until(lambda: "127.78.0.1" in origins(gate))
        assert origins(gate) == {
            "127.78.0.1": one_id,
            former: one_id,
            two.addresses[0]: number_of(site, "two"),
        }
        await gate.plane.until(lambda: former not in origins(gate))
        entry = gate.plane.entry("locator", one_id)
        assert entry is not None
        assert gate.plane.params(entry)["dst0"] == mapped(ip_address("127.78.0.1").packed).lstrip(b"\0")
        assert not any(two.plane.writes)


async def test_a_relay_moves_and_each_of_its_neighbours_has_one_entry_to_change(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, gate, two = await relayed(site)
        for number in range(20):
            await site.register(f"s{number}.demo", "two")
            await site.lookup("laptop.demo", f"s{number}.demo")
        for end in (one, two):
            end.plane.writes.clear()
        await gate.report(["127.78.0.7"])
        new = mapped(ip_address("127.78.0.7").packed).lstrip(b"\0")
        for end in (one, two):
            await end.plane.until(
                lambda end=end: (
                    [end.plane.params(e)["dst0"] for e in end.plane.tables["locator"].values()] == [new]
                )
            )
            (batch,) = end.plane.writes
            assert [update.type for update in batch] == [p4r.Update.MODIFY]
        assert set(origins(gate)) == {one.addresses[0], two.addresses[0]}


async def test_many_moves_within_the_grace_time_leave_no_origin_behind(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=GRACE) as site:
        one, gate, two = await relayed(site)
        await site.lookup("laptop.demo", "files.demo")
        for number in range(20):
            await one.report([f"127.78.1.{number + 1}"])
        await gate.plane.until(lambda: set(origins(gate)) == {"127.78.1.20", two.addresses[0]})


async def test_an_address_belongs_to_who_has_it_now(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=GRACE) as site:
        one, gate, two = await relayed(site)
        await site.lookup("laptop.demo", "files.demo")
        handed = one.addresses[0]
        await one.report(["127.78.0.1"])
        await gate.plane.until(lambda: "127.78.0.1" in origins(gate))
        await two.report([handed])
        await gate.plane.until(lambda: origins(gate).get(handed) == number_of(site, "two"))
        await site.until(lambda: not site.controller.state.nodes["one"].previous)
        await site.until(lambda: not site.controller.state.nodes["two"].previous)
        await gate.plane.until(lambda: len(origins(gate)) == 2)
        assert origins(gate)[handed] == number_of(site, "two")


# ---- reconciliation, and what was stored -------------------------------------------------------------------


@pytest.mark.parametrize("border", [False, True])
async def test_an_emptied_relay_is_filled_again(border: bool, tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        _, gate, _ = await relayed(site, border=border)
        for number in range(5):
            await site.register(f"s{number}.demo", "two")
            await site.lookup("laptop.demo", f"s{number}.demo")
        before = {name: dict(table) for name, table in gate.plane.tables.items()}
        await gate.plane.stop()
        for name in ("scid", "origin", "locator"):
            gate.plane.tables[name].clear()
        await gate.start(gate.addresses[0])
        await gate.plane.until(lambda: gate.plane.tables == before)


async def test_what_is_wrong_at_a_relay_is_put_right(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, gate, two = await relayed(site)
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        await gate.plane.stop()
        for table in ("origin", "scid"):
            for entry in gate.plane.tables[table].values():
                entry.action.action.params[-1].value = b"\x63"
        stray = p4r.TableEntry()
        stray.CopyFrom(next(iter(gate.plane.tables["origin"].values())))
        stray.match[0].exact.value = b"\x01"
        gate.plane.tables["origin"][(b"\x01",)] = stray
        await gate.start(gate.addresses[0])
        ends = {one.addresses[0]: number_of(site, "one"), two.addresses[0]: number_of(site, "two")}
        await gate.plane.until(
            lambda: (b"\x01",) not in gate.plane.tables["origin"] and relays(gate)[scid]["scid1"] == scid
        )
        assert origins(gate) == ends


@pytest.mark.parametrize("border", [False, True])
async def test_a_restarted_controller_writes_nothing_where_all_stands(border: bool, tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        nodes = await relayed(site, border=border)
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        legs = (await site.connection(scid)).legs
        await site.stop()
        for node in nodes:
            node.plane.writes.clear()
        await site.start()
        await site.converged("one", "gate", "two")
        assert not any(batch for node in nodes for batch in node.plane.writes)
        assert (await site.connection(legs[-1].scid)).legs == legs
        assert (await site.lookup("laptop.demo", "files.demo")).scid == scid


async def test_a_direct_connection_is_stored_as_it_was_before_there_were_paths(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.pair()
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        (entry,) = (await site.controller.store.scan("connection/")).entries
        assert not {"path", "upcoming", "former"} & set(json.loads(entry.value))
        assert entry.key == f"connection/{scid:016x}"


async def test_a_connection_whose_relay_is_gone_from_the_store_is_forgotten(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await relayed(site)
        await site.lookup("laptop.demo", "files.demo")
        await site.controller.store.commit(Transaction(deletes=frozenset(["node/gate"])))
        await site.stop()
        await site.start()
        assert not site.controller.state.connections
        assert not (await site.controller.store.scan("connection/")).entries


# ---- channels ----------------------------------------------------------------------------------------------


async def test_a_suspended_relayed_channel_holds_no_entries_and_comes_back(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        nodes = await relayed(site, border=True)
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        before = [dict(node.plane.tables["scid"]) for node in nodes]
        assert (await site.suspend(scid)).status == DOWN
        assert not any(node.plane.tables["scid"] for node in nodes)
        assert (await site.lookup("laptop.demo", "files.demo")).scid == scid
        assert [node.plane.tables["scid"] for node in nodes] == before


async def test_only_the_ends_say_that_a_channel_is_idle(tmp_path: Path) -> None:
    async with Site(tmp_path, idle_timeout_seconds=1) as site:
        one, gate, two = await relayed(site, border=True)
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        assert all(not entry.idle_timeout_ns for entry in gate.plane.tables["scid"].values())
        for end in (one, two):
            end.plane.elapsed_ns = 2_000_000_000
        (entry,) = two.plane.tables["scid"].values()
        assert entry.idle_timeout_ns == 1_000_000_000
        await two.plane.idle(entry)
        await gate.plane.until(lambda: not gate.plane.tables["scid"])
        assert (await site.connection(scid)).status == DOWN


async def test_a_former_scid_that_falls_silent_takes_no_channel_down(tmp_path: Path) -> None:
    async with Site(tmp_path, idle_timeout_seconds=1, grace_seconds=LONG) as site:
        one, two = await site.pair()
        old = (await site.lookup("laptop.demo", "files.demo")).scid
        former = one.plane.entry("scid", old)
        assert former is not None
        scid = (await rotate(site, old)).scid
        for end in (one, two):
            end.plane.elapsed_ns = 2_000_000_000
        await one.plane.idle(former)
        await rotate(site, scid)  # comes after it on the same stream's loop
        assert (await site.connection(scid)).status == UP


# ---- rotation over relays ----------------------------------------------------------------------------------


async def test_a_rotation_brings_a_direct_connection_onto_its_relay_and_back(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=GRACE) as site:
        gate = await site.add_node("gate")
        one, two = await site.pair()
        direct = (await site.lookup("laptop.demo", "files.demo")).scid
        await set_node(site, "one", via="gate")
        assert len((await site.connection(direct)).legs) == 1  # until it is rotated
        rotated = await rotate(site, direct)
        assert [leg.server_side for leg in rotated.legs] == ["gate", "two"]
        assert set(relays(gate)) == {rotated.scid}
        gate_id = number_of(site, "gate")
        await retired(site, direct)
        await one.plane.until(lambda: neighbours(one) == {gate_id})
        await two.plane.until(lambda: neighbours(two) == {gate_id})
        for node, gone in ((one, number_of(site, "two")), (two, number_of(site, "one"))):
            await node.told(lambda n=node, g=gone: any(u.peer_removed.node_id == g for u in n.updates))
        await set_node(site, "one", via="")
        back = await rotate(site, rotated.scid)
        assert [leg.server_side for leg in back.legs] == ["two"]
        await retired(site, rotated.scid)
        await gate.plane.until(lambda: not any(gate.plane.tables.values()))
        two_id = number_of(site, "two")
        await one.plane.until(lambda: neighbours(one) == {two_id})
        assert not site.controller.state.nodes["gate"].relayed


async def test_a_rotation_over_a_border_changes_every_leg(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=GRACE) as site:
        one, gate, two = await relayed(site, border=True)
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        before = {leg.scid for leg in (await site.connection(scid)).legs}
        after = {leg.scid for leg in (await rotate(site, scid)).legs}
        assert len(before | after) == 4
        await retired(site, scid)
        await gate.plane.until(lambda: accepted(gate) == after)
        for end in (one, two):
            await end.plane.until(partial(_accepts_but, end, after))
        assert accepted(one) | accepted(two) == after


def _accepts_but(end: FakeNode, scids: set[int]) -> bool:
    """Whether a node accepts some of these SCIDs, and no others."""
    return bool(accepted(end)) and accepted(end) <= scids


async def test_channels_that_are_down_find_their_new_relay(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        gate = await site.add_node("gate")
        one, _ = await site.pair()
        await site.register("other.demo", "one")
        scids = [(await site.lookup(name, "files.demo")).scid for name in ("laptop.demo", "other.demo")]
        for scid in scids:
            await site.suspend(scid)
        await set_node(site, "one", via="gate")
        rotated = {(await rotate(site, scid)).scid for scid in scids}
        assert not accepted(gate)
        for name in ("laptop.demo", "other.demo"):
            await site.lookup(name, "files.demo")
        assert accepted(gate) == rotated
        assert neighbours(one) == {number_of(site, "gate")}
        assert len(origins(gate)) == 2


@pytest.mark.parametrize("stored", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(3), ids=["prepare", "switch", "retire"])
async def test_a_controller_that_dies_while_it_changes_the_way_converges(
    step: int, stored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.rotation.POLL_SECONDS", 0.02)
    async with Site(tmp_path, grace_seconds=GRACE) as site:
        gate = await site.add_node("gate")
        one, two = await site.pair()
        old = (await site.lookup("laptop.demo", "files.demo")).scid
        await set_node(site, "one", via="gate")
        reached, _ = stop_at(site, step, stored=stored)
        asked = asyncio.create_task(rotate(site, old))
        await reached.wait()
        await site.stop()
        await asyncio.gather(asked, return_exceptions=True)
        await site.start()
        await site.converged("one", "gate", "two")
        (connection,) = (await site.connections.ListConnections(pb.ListConnectionsRequest())).connections
        switched = (step, stored) >= (1, True)
        assert len(connection.legs) == (2 if switched else 1)
        next_to_one = {number_of(site, "gate" if switched else "two")}
        await one.plane.until(lambda: accepted(one) == {connection.scid} and neighbours(one) == next_to_one)
        await gate.plane.until(lambda: accepted(gate) == ({connection.scid} if switched else set()))
        await gate.plane.until(lambda: len(origins(gate)) == (2 if switched else 0))
        await two.plane.until(lambda: accepted(two) == {connection.scid})
        assert sent(one) == sent(two) == {connection.scid}
