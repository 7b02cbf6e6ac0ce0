# SPDX-License-Identifier: Apache-2.0
"""Graphs applied to nodes, and packets that walk their tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control.errors import NotFoundError
from tests.unit.control.graph_site import GraphSite, LostError, Packet, edge, peer

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


def shut(site: GraphSite) -> bool:
    try:
        site.walk("one", PACKET)
    except LostError as reason:
        return str(reason) == "closed"
    return False
