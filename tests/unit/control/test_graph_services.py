# SPDX-License-Identifier: Apache-2.0
"""Service connections led by graphs, short-cuts, traces, and the API of all this."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest

from control.graphs.probe import Probe
from moorline.addresses import mapped
from moorline.api.v1 import graphs_pb2 as graphs_pb
from moorline.api.v1 import moorline_pb2 as pb
from moorline.api.v1.graphs_pb2_grpc import GraphsStub
from moorline.wire import FIRST_SI, OAM_PORT
from tests.unit.control.fake_node import FakeNode, canonical
from tests.unit.control.graph_site import GraphSite, Packet, Walk, action_of, peer, values
from tests.unit.control.test_graphs import PACKET, WEB, three_nodes

INSPECT = """
name: inspect
applies: [{services: {client: "*.demo", server: files.demo}}]
forward: [firewall, stats]
"""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[GraphSite]:
    async with GraphSite(tmp_path, grace_seconds=0.05) as site:
        yield site


def stub(site: GraphSite) -> Any:
    return GraphsStub(site.channel)


async def services(site: GraphSite) -> tuple[FakeNode, FakeNode, FakeNode]:
    """A laptop and a server, and a node between with two peers."""
    laptop, server = await site.add_graph_node("laptop"), await site.add_graph_node("server")
    gate = await site.add_graph_node("gate", peer("fw1", "firewall", 20), peer("s1", "stats", 21))
    await site.register("laptop.demo", "laptop")
    await site.register("files.demo", "server")
    return laptop, gate, server


def rows(node: FakeNode) -> dict[tuple[int, int], dict[str, int]]:
    """Entries of ``connection`` by source and destination."""
    return {
        (int.from_bytes(key[1]), int.from_bytes(key[2])): values(node.plane, entry)
        for key, entry in node.plane.tables["connection"].items()
        if action_of(node.plane, entry) == "encapsulate"
    }


def delivers(node: FakeNode) -> list[int]:
    """Who may have sent what a node delivers; 0: anybody that it knows."""
    entries = node.plane.tables["scid"].values()
    return [values(node.plane, one)["node"] for one in entries]


def walk(site: GraphSite, answer: pb.LookupResponse, *, back: bool = False) -> tuple[list[str], str]:
    """The peers that a packet of a connection visits, and where its path ends."""
    ends = answer.client_ipv4, answer.server_ipv4
    source, destination = (str(ip_address(end)) for end in (ends[::-1] if back else ends))
    node = "server" if back else "laptop"
    spi = rows(site.nodes[node])[number(source), number(destination)]["spi"]
    if not spi:
        return [], node
    way = Walk(site, Packet(source, destination))
    return [*way.from_end(node, spi)], way.ended


def number(address: str) -> int:
    return int.from_bytes(mapped(address))


async def test_a_connection_goes_through_the_peers_in_both_directions(site: GraphSite):
    laptop, gate, server = await services(site)
    await site.apply(INSPECT)
    answer = await site.lookup("laptop.demo", "files.demo")
    assert walk(site, answer) == (["fw1", "s1"], "gate")
    assert walk(site, answer, back=True) == (["s1", "fw1"], "gate")
    assert delivers(laptop) == delivers(server) == [0]
    ids = {name: node.id for name, node in site.controller.state.nodes.items()}
    there = rows(gate)[int.from_bytes(mapped(answer.client_ipv4)), int.from_bytes(mapped(answer.server_ipv4))]
    assert (there["scid"], there["node"]) == (answer.scid, ids["server"])
    origins = {values(server.plane, one)["node"] for one in server.plane.tables["origin"].values()}
    assert ids["gate"] in origins
    await site.connections.CloseConnection(pb.CloseConnectionRequest(scid=answer.scid))
    for node in (laptop, gate, server):
        assert not rows(node)


async def test_a_standing_connection_changes_over_and_back(site: GraphSite):
    laptop, gate, _ = await services(site)
    answer = await site.lookup("laptop.demo", "files.demo")
    assert walk(site, answer) == ([], "laptop")
    before = delivers(laptop)
    await site.apply(INSPECT)
    assert walk(site, answer) == (["fw1", "s1"], "gate")
    await site.apply(INSPECT.replace("[firewall, stats]", "[stats]"))
    assert walk(site, answer) == (["s1"], "gate")
    passing = rows(gate)
    await site.controller.graphs.delete("inspect")
    assert walk(site, answer) == ([], "laptop")
    assert rows(gate) in (passing, {})  # what is on its way still comes to the end
    await gate.plane.until(lambda: not rows(gate))
    await laptop.plane.until(lambda: delivers(laptop) == before)
    assert not site.controller.state.nodes["gate"].relayed


async def test_a_restarted_controller_leads_connections_as_before(site: GraphSite):
    laptop, gate, _ = await services(site)
    await site.apply(INSPECT)
    answer = await site.lookup("laptop.demo", "files.demo")
    await site.stop()
    gate.plane.tables["connection"].clear()
    writes = len(laptop.plane.writes)
    await site.start()
    for node in site.nodes.values():
        await node.attach(site.target)
    await site.converged(*site.nodes)
    assert walk(site, answer) == (["fw1", "s1"], "gate")
    assert walk(site, answer, back=True) == (["s1", "fw1"], "gate")
    touched = {u.entity.table_entry.table_id for batch in laptop.plane.writes[writes:] for u in batch}
    assert laptop.plane.ids["connection"] not in touched


async def test_a_relay_on_the_way_or_a_last_peer_at_the_end_is_refused(site: GraphSite):
    await services(site)
    await site.apply(INSPECT)
    await site.admin.SetNode(pb.SetNodeRequest(name="laptop", via="gate"))
    with pytest.raises(grpc.aio.AioRpcError, match="service paths go straight"):
        await site.lookup("laptop.demo", "files.demo")
    await site.admin.SetNode(pb.SetNodeRequest(name="laptop", via=""))
    await site.report_peers(site.nodes["server"], peer("s2", "stats", 21))
    await site.until(lambda: len(site.controller.graphs.layout.kinds["stats"].instances) == 2)
    with pytest.raises(grpc.aio.AioRpcError, match="the last peer has to be at another node"):
        await site.lookup("laptop.demo", "files.demo")


async def test_usage_counts_what_ends_send_not_what_passes(site: GraphSite):
    laptop, gate, _ = await services(site)
    await site.apply(INSPECT)
    answer = await site.lookup("laptop.demo", "files.demo")
    key = canonical(0), canonical(mapped(answer.client_ipv4)), canonical(mapped(answer.server_ipv4))
    laptop.plane.counters["connection", key] = 10, 1000
    gate.plane.counters["connection", key] = 20, 2000
    connection = await site.connection(answer.scid)
    assert (connection.client_to_server.packets, connection.server_to_client.packets) == (10, 0)


# ---- short-cuts --------------------------------------------------------------------------------------------


def flow() -> graphs_pb.Flow:
    return graphs_pb.Flow(
        source=ip_address(PACKET.source).packed,
        destination=ip_address(PACKET.destination).packed,
        protocol=6,
        source_port=PACKET.source_port,
        destination_port=PACKET.destination_port,
    )


async def test_a_shortcut_passes_peers_by_until_it_is_idle_everywhere(site: GraphSite):
    await three_nodes(site)
    await site.apply(WEB)
    watch = stub(site).WatchShortcuts(graphs_pb.WatchShortcutsRequest())
    first = asyncio.ensure_future(watch.read())
    await site.until(lambda: bool(site.controller.shortcuts._watchers))
    request = graphs_pb.RequestShortcutRequest(graph="web", flow=flow(), idle_seconds=10)
    shortcut = await stub(site).RequestShortcut(request)
    assert site.walk("one", PACKET) == site.walk("three", PACKET.back) == []
    other = Packet(PACKET.source, PACKET.destination, source_port=40001)
    assert site.walk("one", other) == ["fw1", "filter1", "stats1"]
    await site.apply(WEB.replace("[firewall, filter, stats]", "[filter, stats]"))
    assert site.walk("one", PACKET) == []
    one, three = site.nodes["one"].plane, site.nodes["three"].plane
    for plane, packets in ((one, 7), (three, 5)):
        for key in plane.tables["shortcut"]:
            if (int.from_bytes(key[4]) == PACKET.source_port) == (plane is one):
                plane.counters["shortcut", key] = packets, 100 * packets
    for plane in (one, three):
        plane.elapsed_ns = 11 * 10**9 if plane is one else 10**9
        for entry in list(plane.tables["shortcut"].values()):
            await plane.idle(entry)
    listed = await stub(site).ListShortcuts(graphs_pb.ListShortcutsRequest())
    assert [(s.packets, s.packets_back) for s in listed.shortcuts] == [(7, 5)]  # in use at three
    three.elapsed_ns = 10 * 10**9
    await three.idle(next(iter(three.tables["shortcut"].values())))
    events = [await first, await watch.read()]
    assert [event.kind for event in events] == [1, 2]
    assert events[1].shortcut.id == shortcut.id
    assert (events[1].shortcut.bytes, events[1].shortcut.bytes_back) == (700, 500)
    assert not one.tables["shortcut"] and not three.tables["shortcut"]
    assert site.walk("one", PACKET) == ["filter1", "stats1"]
    watch.cancel()


async def test_a_node_is_told_of_its_own_shortcuts(site: GraphSite):
    await three_nodes(site)
    await site.apply(WEB)
    nodes = [GraphsStub(site.nodes[name].channel) for name in ("one", "two")]
    request = graphs_pb.RequestShortcutRequest(graph="web", flow=flow(), idle_seconds=10)
    await nodes[0].RequestShortcut(request)
    listed = [await one.ListShortcuts(graphs_pb.ListShortcutsRequest()) for one in (*nodes, stub(site))]
    assert [len(listing.shortcuts) for listing in listed] == [1, 0, 1]


async def test_a_shortcut_goes_on_with_a_kind_and_ends_with_its_graph(site: GraphSite):
    await three_nodes(site)
    await site.apply(WEB)
    request = graphs_pb.RequestShortcutRequest(graph="web", flow=flow(), until="stats", idle_seconds=10)
    await stub(site).RequestShortcut(request)
    await stub(site).RequestShortcut(request)
    assert site.walk("one", PACKET) == ["stats1"]
    assert site.walk("three", PACKET.back) == ["stats1", "filter1", "fw1"]
    await site.stop()
    await site.start()
    assert len(site.controller.shortcuts.all()) == 1
    for node in site.nodes.values():
        await node.attach(site.target)
    await site.converged(*site.nodes)
    await stub(site).DeleteGraph(graphs_pb.DeleteGraphRequest(name="web"))
    assert site.controller.shortcuts.all() == []
    assert not site.nodes["one"].plane.tables["shortcut"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"graph": "nobody"}, "there is no graph"),
        ({"until": "nat"}, "nat is not on path forward of graph web: choose from firewall, filter, stats"),
        ({"idle_seconds": 0}, "give it 1 to"),
        (
            {"flow": graphs_pb.Flow(source=bytes(4), destination=bytes(4), protocol=6)},
            "does not lead this flow",
        ),
        ({"flow": graphs_pb.Flow(source=bytes(4), destination=bytes(16))}, "of one family"),
        ({"flow": graphs_pb.Flow(source=bytes(3), destination=bytes(4))}, "neither IPv4"),
    ],
)
async def test_a_shortcut_that_means_nothing_is_refused(site: GraphSite, fields: dict[str, Any], why: str):
    await three_nodes(site)
    await site.apply(WEB)
    request = {"graph": "web", "flow": flow(), "idle_seconds": 10} | fields
    with pytest.raises(grpc.aio.AioRpcError, match=why):
        await stub(site).RequestShortcut(graphs_pb.RequestShortcutRequest(**request))


# ---- the API -----------------------------------------------------------------------------------------------


async def test_a_file_is_compared_applied_shown_and_deleted(site: GraphSite):
    await three_nodes(site)
    request = graphs_pb.ApplyGraphRequest(text=WEB, source="web.yaml")
    diff = await stub(site).DiffGraph(request)
    assert {change.what: change.after for change in diff.changes}[
        "path forward"
    ] == "firewall > filter > stats"
    assert not site.controller.graphs.all()
    applied = await stub(site).ApplyGraph(request)
    assert applied.changes == diff.changes
    assert not (await stub(site).ApplyGraph(request)).changes
    changed = graphs_pb.ApplyGraphRequest(text=WEB.replace("filter, stats", "stats"), source="web.yaml")
    (forward, _) = (await stub(site).DiffGraph(changed)).changes
    assert (forward.before, forward.after) == ("firewall > filter > stats", "firewall > stats")
    two = site.nodes["two"].plane
    for key, entry in two.tables["path_hop"].items():
        if action_of(two, entry) == "to_peer":
            two.counters["path_hop", key] = 3, 300
    shown = await stub(site).GetGraph(graphs_pb.GetGraphRequest(name="web"))
    assert [[hop.instances[0].packets for hop in path.hops] for path in shown.paths] == [[0, 3, 3], [3, 3, 0]]
    assert [path.key for path in shown.paths] == ["forward", "reverse"]
    (listed,) = (await stub(site).ListGraphs(graphs_pb.ListGraphsRequest())).graphs
    assert listed.applies == ["10.20.0.0/16 to 203.0.113.0/24 tcp port 80, 443"]
    await stub(site).DeleteGraph(graphs_pb.DeleteGraphRequest(name="web"))
    with pytest.raises(grpc.aio.AioRpcError, match="there is no graph 'web'"):
        await stub(site).GetGraph(graphs_pb.GetGraphRequest(name="web"))
    with pytest.raises(grpc.aio.AioRpcError, match="unknown key fowrard"):
        bad = graphs_pb.ApplyGraphRequest(text=WEB.replace("forward", "fowrard"), source="x.yaml")
        await stub(site).ApplyGraph(bad)


async def test_counts_go_on_when_a_graph_is_changed(site: GraphSite):
    await three_nodes(site)
    await site.apply(WEB)
    two = site.nodes["two"].plane
    for key, entry in two.tables["path_hop"].items():
        if action_of(two, entry) == "to_peer":
            two.counters["path_hop", key] = 3, 300
    await site.apply(WEB.replace("443", "444"))
    await two.until(lambda: len({key[0] for key in two.tables["path_hop"]}) == 2)
    for key, entry in two.tables["path_hop"].items():
        if action_of(two, entry) == "to_peer":
            two.counters["path_hop", key] = 2, 200
    shown = await stub(site).GetGraph(graphs_pb.GetGraphRequest(name="web"))
    assert [hop.instances[0].packets for hop in shown.paths[0].hops] == [0, 5, 5]


async def test_what_several_read_at_once_is_counted_once(site: GraphSite, monkeypatch: pytest.MonkeyPatch):
    await three_nodes(site)
    await site.apply(WEB)
    two = site.nodes["two"].plane

    def count(packets: int) -> None:
        for key, entry in two.tables["path_hop"].items():
            if action_of(two, entry) == "to_peer":
                two.counters["path_hop", key] = packets, 100 * packets

    plane = site.controller.planes.of(site.controller.state.nodes["two"])
    has_read, may_tell, real = asyncio.Event(), asyncio.Event(), plane.read

    async def read(*entities: Any) -> AsyncIterator[Any]:
        batches = [batch async for batch in real(*entities)]
        if not has_read.is_set():
            has_read.set()
            await may_tell.wait()
        for batch in batches:
            yield batch

    monkeypatch.setattr(plane, "read", read)
    count(3)
    early = asyncio.create_task(site.controller.graph_counters.refresh())
    await has_read.wait()
    count(5)
    late = asyncio.create_task(site.controller.graph_counters.refresh())
    await asyncio.wait([late], timeout=0.5)
    may_tell.set()
    await asyncio.gather(early, late)
    shown = await stub(site).GetGraph(graphs_pb.GetGraphRequest(name="web"))
    assert [hop.instances[0].packets for hop in shown.paths[0].hops] == [0, 5, 5]


async def test_a_row_that_went_and_came_again_counts_from_zero(site: GraphSite):
    await three_nodes(site)
    await site.apply(WEB)
    two, counters = site.nodes["two"].plane, site.controller.graph_counters
    rows = {k: one for k, one in two.tables["path_hop"].items() if action_of(two, one) == "to_peer"}
    for key in rows:
        two.counters["path_hop", key] = 3, 300
    await counters.refresh()
    for key in rows:
        del two.tables["path_hop"][key]
    await counters.refresh()
    two.tables["path_hop"] |= rows
    for key in rows:
        two.counters["path_hop", key] = 4, 400
    shown = await stub(site).GetGraph(graphs_pb.GetGraphRequest(name="web"))
    assert [hop.instances[0].packets for hop in shown.paths[0].hops] == [0, 7, 7]


# ---- traces ------------------------------------------------------------------------------------------------


async def tell(site: GraphSite, lost_at: str = "", astray: int = 0) -> None:
    """Do what data planes do with a probe: walk, and tell of each place; then of an index (0: none) that a
    peer may have made up.
    """
    (entry,) = (node for node in site.nodes.values() if node.plane.packet_outs)
    frame = entry.plane.packet_outs.pop().payload
    spi, si = int.from_bytes(frame[14 + 20 + 8 + 8 + 12 :][:3]), frame[14 + 20 + 8 + 8 + 15]
    inner = frame[14 + 20 + 8 + 24 :]
    source, destination = (str(ip_address(inner[at : at + 4])) for at in (12, 16))
    port, to = int.from_bytes(inner[20:22]), int.from_bytes(inner[22:24])
    assert (to, si) == (OAM_PORT, FIRST_SI)
    way = Walk(site, Packet(source, destination, 17, port, to))
    seen: list[tuple[str, int, int]] = []
    look_up = way.look_up

    def watched(node: str, spi: int, si: int, instance: int) -> tuple[str, dict[str, int]]:
        seen.append((node, si, instance))
        return look_up(node, spi, si, instance)

    way.look_up = watched  # type: ignore[method-assign]
    for name in way.step(entry.name, spi, si):
        if name == lost_at:
            break
    if astray:
        seen.append((entry.name, astray, 0))
    for node, index, instance in seen:
        await site.nodes[node].plane.sighting(spi, index, instance, port)


async def traced(site: GraphSite, lost_at: str = "", astray: int = 0, **fields: Any) -> list[graphs_pb.Trace]:
    asked = asyncio.create_task(_trace(site, **fields))
    while not asked.done():
        with suppress(ValueError):
            await tell(site, lost_at, astray)
        await asyncio.sleep(0.01)
    return list((await asked).traces)


async def _trace(site: GraphSite, **fields: Any) -> graphs_pb.TraceGraphResponse:
    answer: graphs_pb.TraceGraphResponse = await stub(site).TraceGraph(graphs_pb.TraceGraphRequest(**fields))
    return answer


async def test_a_trace_shows_each_place_in_order(site: GraphSite):
    await three_nodes(site)
    await site.apply(WEB)
    there, back = await traced(site, name="web")
    assert there.reached and back.reached
    assert [(s.node, s.kind, s.instance) for s in there.steps] == [
        ("one", "firewall", "fw1"),
        ("one", "filter", ""),
        ("two", "filter", "filter1"),
        ("two", "stats", "stats1"),
        ("two", "", ""),
    ]
    assert [s.instance for s in back.steps if s.instance] == ["stats1", "filter1", "fw1"]
    for node in site.nodes.values():
        assert all(entry.priority < 10**6 for entry in node.plane.tables["classifier"].values())


async def test_a_trace_tells_where_the_packet_was_lost(site: GraphSite, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("control.graphs.trace.PATIENCE", 0.3)
    await three_nodes(site)
    await site.apply(WEB)
    customer = ip_address("10.20.9.9").packed
    (trace,) = await traced(site, "filter1", name="web", path="forward", customer=customer)
    assert not trace.reached and trace.source == customer
    assert "lost after peer filter1 of node two" in trace.problem
    with pytest.raises(grpc.aio.AioRpcError, match="choose from forward, reverse"):
        await _trace(site, name="web", path="sideways")


async def test_a_place_that_the_path_does_not_have_is_not_its_end(
    site: GraphSite, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("control.graphs.trace.PATIENCE", 0.3)
    await three_nodes(site)
    await site.apply(WEB)
    (trace,) = await traced(site, "fw1", 7, name="web", path="forward")
    assert not trace.reached
    assert [(step.index, step.kind, step.instance) for step in trace.steps][-1] == (7, "", "")
    assert "lost at node one" in trace.problem


async def test_a_trace_of_a_service_path_needs_a_connection(site: GraphSite):
    await services(site)
    await site.apply(INSPECT)
    (first, _) = (await _trace(site, name="inspect")).traces
    assert not first.reached and "no connection takes it" in first.problem
    await site.lookup("laptop.demo", "files.demo")
    traces = await traced(site, name="inspect")
    assert [[s.instance for s in t.steps if s.instance] for t in traces] == [["fw1", "s1"], ["s1", "fw1"]]


def test_a_probe_is_a_sound_packet_of_a_node_to_itself():
    scapy = pytest.importorskip("scapy.all")
    for source, locator in (
        (bytes([10, 0, 0, 1]), bytes([192, 0, 2, 1])),
        (bytes(15) + b"\1", bytes(15) + b"\2"),
    ):
        frame = Probe(4711, source, source, 5, 0x1234, 0xABCDEF).frame(locator)
        packet = scapy.Ether(frame)
        assert packet[scapy.UDP].dport == 6081
        inner = (scapy.IP if len(source) == 4 else scapy.IPv6)(
            frame[14 + (20 if len(locator) == 4 else 40) + 32 :]
        )
        sound = inner.copy()
        del sound[scapy.UDP].chksum
        if len(source) == 4:
            del sound.chksum
        assert bytes(sound) == bytes(inner)
        assert inner[scapy.UDP].sport == 4711
