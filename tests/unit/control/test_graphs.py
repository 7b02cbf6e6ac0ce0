# SPDX-License-Identifier: Apache-2.0
"""Graphs applied to nodes, and packets that walk their tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from control.errors import NotFoundError, PreconditionError, StoreError
from control.store.base import Transaction
from moorline.api.v1 import moorline_pb2 as pb
from moorline.errors import MoorlineError
from moorline.wire import PeerHeader
from tests.unit.control.fake_node import FakeNode
from tests.unit.control.graph_site import GraphSite, LostError, Packet, action_of, edge, peer

WEB = """
name: web
applies:
  - prefixes: [10.20.0.0/16]
    servers: [203.0.113.0/24]
    protocol: tcp
    ports: [80, 443]
forward: [firewall, filter, stats]
"""
PACKET = Packet("10.20.0.7", "203.0.113.5")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[GraphSite]:
    async with GraphSite(tmp_path, grace_seconds=0.05) as site:
        yield site


async def three_nodes(site: GraphSite) -> None:
    await site.add_graph_node("one", peer("fw1", "firewall", 20), ports=(edge("10.20.0.0/16"),))
    await site.add_graph_node("two", peer("filter1", "filter", 20), peer("stats1", "stats", 21))
    await site.add_graph_node("three", ports=(edge("203.0.113.0/24"),))


async def test_a_packet_visits_the_peers_in_order_and_the_answer_in_reverse(site: GraphSite):
    await three_nodes(site)
    await site.apply(WEB)
    assert site.walk("one", PACKET) == ["fw1", "filter1", "stats1"]
    assert site.walk("three", PACKET.back) == ["stats1", "filter1", "fw1"]
    assert site.walk("one", Packet("10.20.0.7", "203.0.113.5", destination_port=22)) == []
    assert site.walk("one", Packet("10.21.0.7", "203.0.113.5")) == []


async def test_who_applies_too_many_versions_waits_until_the_first_is_gone(
    site: GraphSite, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("control.graphs.graphs.MAX_FORMER", 2)
    await three_nodes(site)
    async with asyncio.timeout(20):
        for port in range(440, 448):
            await site.apply(WEB.replace("443", str(port)))
            assert len(site.controller.graphs.graph("web").former) <= 2
    assert site.walk("one", Packet("10.20.0.7", "203.0.113.5", destination_port=447)) != []


async def test_former_versions_are_forgotten_though_the_store_refused_at_first(
    site: GraphSite, monkeypatch: pytest.MonkeyPatch
):
    await three_nodes(site)
    await site.apply(WEB)
    graph, commit = site.controller.graphs.graph("web"), site.controller.store.commit
    await site.until(lambda: graph.settled)
    await site.apply(WEB.replace("443", "8443"))
    refused = asyncio.Event()

    async def refuse(transaction: Transaction) -> int:
        if graph.key not in transaction.puts:
            return await commit(transaction)
        refused.set()
        raise StoreError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(site.controller.store, "commit", refuse)
        async with asyncio.timeout(10):
            await refused.wait()
    assert graph.former
    await site.until(lambda: not graph.former and graph.settled)


async def test_a_deleted_graph_leaves_nothing_behind(site: GraphSite):
    await three_nodes(site)
    await site.apply(WEB)
    await site.controller.graphs.delete("web")
    assert site.walk("one", PACKET) == []
    tables = ("path_hop", "resume", "classifier", "origin", "locator")
    for node in site.nodes.values():
        await node.plane.until(lambda plane=node.plane: not any(plane.tables[name] for name in tables))
    with pytest.raises(NotFoundError):
        await site.controller.graphs.delete("web")
    await site.stop()
    await site.start()
    assert site.controller.graphs.all() == []


async def test_a_change_leads_by_the_new_version_and_forgets_the_old(site: GraphSite):
    await three_nodes(site)
    await site.apply(WEB)
    for _ in range(5):
        await site.apply(WEB.replace("[firewall, filter, stats]", "[filter, firewall]"))
        assert site.walk("one", PACKET) == ["filter1", "fw1"]
        await site.apply(WEB)
        assert site.walk("one", PACKET) == ["fw1", "filter1", "stats1"]
    one = site.nodes["one"].plane
    await one.until(lambda: len({key[0] for key in one.tables["path_hop"]}) == 2)
    assert site.walk("one", PACKET) == ["fw1", "filter1", "stats1"]
    assert site.walk("three", PACKET.back) == ["stats1", "filter1", "fw1"]


async def test_a_restarted_controller_and_node_converge(site: GraphSite):
    await three_nodes(site)
    await site.apply(WEB)
    two = site.nodes["two"].plane
    await two.until(lambda: len({key[0] for key in two.tables["path_hop"]}) == 2)
    before = set(two.tables["path_hop"]), set(two.tables["resume"])
    await site.stop()
    two.tables["path_hop"].clear()
    two.tables["resume"].clear()
    await site.start()
    for node in site.nodes.values():
        await node.attach(site.target)
    await site.converged(*site.nodes)
    assert (set(two.tables["path_hop"]), set(two.tables["resume"])) == before
    assert site.walk("one", PACKET) == ["fw1", "filter1", "stats1"]


async def test_a_dead_peer_is_passed_by_or_shut(site: GraphSite):
    await three_nodes(site)
    await site.apply(WEB.replace("filter,", "{peer: filter, fail: open},"))
    two = site.nodes["two"]
    await site.report_peers(two, peer("filter1", "filter", 20, up=False), two.feature_peers[1])
    await site.until(lambda: site.walk("one", PACKET) == ["fw1", "stats1"])
    assert site.walk("three", PACKET.back) == ["stats1", "fw1"]
    await site.report_peers(
        two, *(peer(p.name, p.kind, p.ports[0].number, up=False) for p in two.feature_peers)
    )
    await site.until(lambda: shut(site))


async def test_customers_are_spread_and_only_those_of_a_lost_instance_move(site: GraphSite):
    names = [f"fw{n}" for n in range(1, 5)]
    one = await site.add_graph_node(
        "one", *(peer(n, "firewall", 20 + at) for at, n in enumerate(names)), ports=(edge(),)
    )
    two = await site.add_graph_node("two", peer("spare", "firewall", 20, spare=True), peer("s", "stats", 21))
    await site.apply(WEB.replace("[firewall, filter, stats]", "[firewall, stats]"))
    customers = [f"10.20.0.{4 * n + 1}" for n in range(60)]

    def takers() -> dict[str, str]:
        found = {}
        for customer in customers:
            there = site.walk("one", Packet(customer, "203.0.113.5"))
            back = site.walk("one", Packet(customer, "203.0.113.5").back)
            if there != back[::-1]:
                raise LostError(f"{customer} goes by {there}, and back by {back}")
            found[customer] = there[0]
        return found

    before = takers()
    assert set(before.values()) == set(names)
    alive = {name: peer(name, "firewall", 20 + at) for at, name in enumerate(names)}
    await site.report_peers(
        one, *(p for n, p in alive.items() if n != "fw2"), peer("fw2", "firewall", 21, up=False)
    )
    await follows(site, lambda: "fw2" not in takers().values())
    after = takers()
    assert all(after[customer] == before[customer] for customer in customers if before[customer] != "fw2")
    assert "spare" not in after.values()
    await site.report_peers(one, *(peer(n, "firewall", 20 + at, up=False) for at, n in enumerate(names)))
    await follows(site, lambda: set(takers().values()) == {"spare"})
    await site.report_peers(one, *alive.values())
    await follows(site, lambda: takers() == before)
    assert two.plane.tables["member"]


async def test_drained_customers_stay_until_they_are_idle(site: GraphSite):
    one = await site.add_graph_node(
        "one", peer("a", "firewall", 20), peer("b", "firewall", 21), ports=(edge(),)
    )
    await site.apply(
        WEB.replace("10.20.0.0/16", "10.20.1.0/24").replace("firewall, filter, stats", "firewall")
    )

    def taker(host: int) -> str:
        return site.walk("one", Packet(f"10.20.1.{host}", "203.0.113.5"))[0]

    before = {host: taker(host) for host in range(256)}
    assert set(before.values()) == {"a", "b"}
    await site.controller.peers.drain("a", wanted=True)
    await one.plane.until(lambda: len(one.plane.tables["affinity"]) == list(before.values()).count("a"))
    await site.until(lambda: not site.controller.graphs.layout.kinds["firewall"].buckets.count("a"))
    assert {host: taker(host) for host in range(256)} == before
    assert site.controller.drains.pinned("a") == list(before.values()).count("a")
    host = next(host for host, name in before.items() if name == "a")
    one.plane.elapsed_ns = 1
    entries = list(one.plane.tables["affinity"].values())
    await one.plane.idle(entries[0])  # not idle in truth
    one.plane.elapsed_ns = 31 * 10**9
    for entry in entries:
        await one.plane.idle(entry)
    await one.plane.until(lambda: not one.plane.tables["affinity"])
    assert taker(host) == "b"
    await site.controller.peers.drain("a", wanted=False)
    await site.until(lambda: taker(host) == "a")


async def test_branches_decide_once_and_a_nat_is_found_on_the_way_back(site: GraphSite):
    nat = [peer(f"nat{n}", "nat", 21 + n, rewrites=True, addresses=[bytes([192, 0, 2, n])]) for n in (1, 2)]
    await site.add_graph_node("one", peer("fw1", "firewall", 20), *nat, ports=(edge(),))
    await site.add_graph_node("two", peer("filter1", "filter", 20), ports=(edge(),))
    await site.apply("""
name: branched
applies: [{prefixes: [10.20.0.0/16]}]
forward:
  - firewall
  - branch:
      - when: {protocol: tcp, ports: [80, 8000-8010]}
        path: [filter, nat]
      - when: {servers: [203.0.113.0/24]}
        path: []
      - path: [nat]
""")
    web = site.walk("one", Packet("10.20.0.7", "203.0.113.5", destination_port=8007))
    assert web[:2] == ["fw1", "filter1"] and web[2] in ("nat1", "nat2")
    assert site.walk("one", Packet("10.20.0.7", "203.0.113.5", destination_port=22)) == ["fw1"]
    other = site.walk("one", Packet("10.20.0.7", "198.51.100.5", destination_port=22))
    assert other == ["fw1", web[2]]
    for number in (1, 2):  # an answer to the address of a NAT begins with this one
        answer = Packet("198.51.100.5", f"192.0.2.{number}", source_port=22, destination_port=999)
        assert site.walk("two", answer) == [f"nat{number}", "fw1"]
        answer = Packet("203.0.113.5", f"192.0.2.{number}", source_port=80, destination_port=999)
        assert site.walk("two", answer) == [f"nat{number}", "filter1", "fw1"]


async def test_peers_without_labels_serve_several_graphs_in_the_same_place(site: GraphSite):
    plain = peer("fw1", "firewall", 20, 22, header=PeerHeader.NONE)
    await site.add_graph_node("one", plain, peer("s", "stats", 24), ports=(edge(),))
    await site.apply(WEB.replace("[firewall, filter, stats]", "[firewall, stats]"))
    assert site.walk("one", PACKET) == ["fw1", "s"]
    assert site.walk("one", PACKET.back) == ["s", "fw1"]
    other = WEB.replace("name: web", "name: other").replace("10.20.", "10.30.")
    await site.apply(other.replace("[firewall, filter, stats]", "[firewall]") + "reverse: none\n")
    assert site.walk("one", PACKET) == ["fw1", "s"]
    assert site.walk("one", Packet("10.30.0.7", "203.0.113.5")) == ["fw1"]
    with pytest.raises(PreconditionError, match="without a label on several paths"):
        await site.apply(other.replace("[firewall, filter, stats]", "[stats, firewall]"))
    assert site.walk("one", Packet("10.30.0.7", "203.0.113.5")) == ["fw1"]


async def test_routes_lead_to_edge_ports_and_their_nodes(site: GraphSite):
    await three_nodes(site)
    await site.apply(WEB)
    for name, port in (("one", True), ("two", False), ("three", False)):
        plane = site.nodes[name].plane
        rows = {key: action_of(plane, row) for key, row in plane.tables["route"].items()}
        assert len(rows) == 2
        (mine,) = (action for key, action in rows.items() if b"\x0a\x14\0\0" in key[1])
        assert mine == ("route_port" if port else "route_node")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("filter,", "fliter,"), "unknown kind of peers: did you mean filter"),
        (("filter,", "filter, firewall,"), "which would be a loop"),
        (("name: web", "name: web\ntenant: 7"), "but peer .* for tenant 0"),
        (("protocol: tcp", "protocol: icmp"), "ports of protocol 1, which has none"),
        (
            ("[firewall, filter, stats]", "[{branch: [{when: {protocol: 47, ports: [9]}, path: [stats]}]}]"),
            "ports of protocol 47, which has none",
        ),
    ],
)
async def test_what_cannot_work_is_refused(site: GraphSite, change: tuple[str, str], why: str):
    await three_nodes(site)
    with pytest.raises(MoorlineError, match=why):
        await site.apply(WEB.replace(*change))
    assert not site.nodes["one"].plane.tables["path_hop"]
    assert site.controller.graphs.all() == []


async def test_overlaps_and_narrow_links_are_refused(site: GraphSite):
    await three_nodes(site)
    await site.apply(WEB)
    other = WEB.replace("name: web", "name: other").replace("10.20.0.0/16", "10.20.3.0/24")
    with pytest.raises(PreconditionError, match="both apply to packets from"):
        await site.apply(other)
    await site.apply(other.replace("name: other", "name: other\npriority: 101") + "reverse: none\n")
    await site.nodes["two"].send(pb.NodeReport(locators=narrow(site.nodes["two"])))
    await site.until(lambda: site.controller.state.nodes["two"].mtu == 1300)
    with pytest.raises(PreconditionError, match="carries 1228"):
        await site.apply(WEB.replace("443", "444"))


async def follows(site: GraphSite, holds: Callable[[], bool]) -> None:
    """Wait until something holds; while nodes do not agree yet, packets may go to and fro."""

    def held() -> bool:
        with suppress(LostError):
            return holds()
        return False

    await site.until(held)


def narrow(node: FakeNode) -> pb.LocatorsChanged:
    node.mtu = 1300
    return node.locators()


def shut(site: GraphSite) -> bool:
    try:
        site.walk("one", PACKET)
    except LostError as reason:
        return str(reason) == "closed"
    return False
