# SPDX-License-Identifier: Apache-2.0
"""Peers that the agent runs, chained by a graph: what a user sees, and the short-cut of a long flow."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from ipaddress import ip_address
from pathlib import Path

import pytest

from dataplane.peers.builtin import statistics
from dataplane.peers.namespace import Namespace as PeerNamespace
from tests.lab.test_feature_peers_alone import (
    SOON,
    cache_status,
    connect,
    echoing,
    get,
    listen,
    origin,
    passes,
)
from tools.lab import HostPlan, Lab
from tools.lab.edges import edge_address
from tools.lab.name_server import name_server
from tools.lab.on_link import GATEWAY
from tools.lab.waiting import wait_until

Lead = Callable[..., None]
RULES = "ct state established,related accept\ntcp dport { 80, 5201 } accept\n"
GRAPH = """
name: web
applies:
  - prefixes: [{customers}]
forward: {hops}
reverse: same
"""
NAT = "10.30.77.1"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("peers")
    (folder / "rules.nft").write_text(RULES)
    peers = [
        {"name": "fw1", "kind": "firewall", "run": "firewall", "rules": folder / "rules.nft"},
        {
            **{"name": "cf1", "kind": "filter", "run": "filter"},
            "list": [{"customers": ["10.30.0.0/16"], "names": ["bad.example"]}],
        },
        {
            **{"name": "st1", "kind": "stats", "run": "statistics"},
            "shortcut": {"graph": "web", "megabytes": 1, "idle_seconds": 60},
        },
        {"name": "ca1", "kind": "cache", "run": "cache", "shortcut": {"graph": "web"}},
        {"name": "nat1", "kind": "nat", "run": "nat", "addresses": [NAT]},
        {"name": "tap1", "kind": "tap", "run": "tap"},
    ]
    with Lab((HostPlan("gate", edges=("user", "net"), settings={"peer": peers}),)) as lab:
        lab.start()
        wait_until(lambda: states(lab) == {"up"}, "all peers were up", 30)
        for number, name in enumerate(("user", "net"), 1):
            # A host on the link of an edge port is known once it has spoken.
            lab.edges[name].place.run(
                "ping", "-c1", "-W1", str(edge_address(4, number, GATEWAY).ip), check=False
            )
        yield lab


def states(lab: Lab) -> set[str]:
    return {row["state"] for row in lab.controller.ask("peer", "list")}


@pytest.fixture
def lead(lab: Lab, tmp_path: Path) -> Callable[..., None]:
    """Leads the user's packets through peers of these kinds."""

    def lead(*kinds: str) -> None:
        path = tmp_path / "web.yaml"
        customers = lab.edges["user"].addresses[4].network
        path.write_text(GRAPH.format(customers=customers, hops=f"[{', '.join(kinds)}]"))
        lab.controller.moorline("graph", "apply", str(path))

    return lead


def by_shortcuts(lab: Lab) -> int:
    paths = lab.controller.ask("graph", "show", "web")["paths"]
    return sum(path["shortcut_packets"] for path in paths)


def received(lab: Lab, customer: str) -> int:
    """Packets that statistics know of."""
    place = PeerNamespace(f"{lab.name}-gate-st1")
    listing = asyncio.run(place.run("nft", "-j", "list", "table", "inet", "moorline"))
    return statistics.usage(listing)[ip_address(customer)].received_packets


def test_what_the_peers_forbid_is_forbidden_and_the_rest_passes_all_of_them(lab: Lab, lead: Lead) -> None:
    lead("firewall", "filter", "stats")
    user, net = lab.edges["user"], lab.edges["net"]
    before = lab.controller.events("gate")
    with echoing(net.place, 80, net.ipv4):
        assert get(user.place, "good.example", net.ipv4) == b"ok"
        with pytest.raises(ConnectionResetError):
            get(user.place, "bad.example", net.ipv4)
    with pytest.raises(TimeoutError):
        connect(user.place, 81, net.ipv4, SOON)
    events = lab.controller.events("gate")
    for interface in ("fw1-in", "fw1-out", "cf1-in", "cf1-out", "st1-in", "st1-out"):
        assert events.get((interface, "tx"), 0) > before.get((interface, "tx"), 0), interface
        dropped = {event for at, event in events if at == interface and event.startswith("drop")}
        assert not any(events[interface, event] > before.get((interface, event), 0) for event in dropped)


def test_a_long_flow_gets_a_short_cut_on_the_way(lab: Lab, lead: Lead) -> None:
    lead("firewall", "filter", "stats")
    user, net = lab.edges["user"], lab.edges["net"]
    server = lab.run_beside(net.place.start("iperf3", "iperf3", "-s"))
    wait_until(lambda: bool(net.place.run("ss", "-Htln", "sport = 5201").stdout), "iperf3 listened")
    client = lab.run_beside(
        user.place.start("iperf3", "iperf3", "-c", net.ipv4, "-t", "60", "-b", "500M", "-R")
    )

    wait_until(lambda: by_shortcuts(lab) > 1000, "the flow went by a short-cut", 30)
    assert client.running
    assert server.running
    before = lab.controller.events("gate")["st1-out", "rx"]
    passed = by_shortcuts(lab)
    wait_until(lambda: by_shortcuts(lab) > passed + 1000, "the flow went on", 30)
    assert lab.controller.events("gate")["st1-out", "rx"] - before < 100

    client.stop()
    seen = received(lab, user.ipv4)
    passed = by_shortcuts(lab)
    lab.controller.moorline("graph", "delete", "web")
    wait_until(lambda: received(lab, user.ipv4) > seen, "the peer was told what went past it")
    assert received(lab, user.ipv4) - seen > passed // 2, "most of it were packets to the user"


def test_a_killed_agent_takes_no_peer_with_it(lab: Lab, lead: Lead) -> None:
    lead("firewall", "filter", "stats")
    user, net, gate = lab.edges["user"], lab.edges["net"], lab["gate"]
    with echoing(net.place, 80, net.ipv4):
        gate.kill()
        assert get(user.place, "good.example", net.ipv4) == b"ok"
        with pytest.raises(ConnectionResetError):
            get(user.place, "bad.example", net.ipv4)
        gate.start()
        lab.controller.wait_converged("gate")
        assert get(user.place, "good.example", net.ipv4) == b"ok"


def test_a_cache_answers_and_the_flow_that_it_answers_goes_straight_to_it(lab: Lab, lead: Lead) -> None:
    lead("firewall", "cache", "tap")
    user, net = lab.edges["user"], lab.edges["net"]
    resolver = lab.controller.place.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names = {"site.example": (net.ipv4,)}
    with name_server(resolver, lab.controller.address, names), origin(net.place, net.ipv4) as asked:
        connection = HTTPConnection(net.ipv4, 80)
        connection.sock = connect(user.place, 80, net.ipv4)

        def fetch() -> str:
            connection.request("GET", "/page", headers={"Host": "site.example"})
            answer = connection.getresponse()
            assert answer.read() == b"site.example"
            return cache_status(answer)

        assert fetch() == "MISS"
        wait_until(lambda: fetch() == "HIT" and by_shortcuts(lab) > 0, "the flow went by a short-cut")
        connection.close()
        assert asked == [(user.ipv4, "/page")]


def test_a_nat_on_a_path(lab: Lab, lead: Lead) -> None:
    lead("stats", "nat")
    user, net = lab.edges["user"], lab.edges["net"]
    with listen(net.place, 80, net.ipv4) as port, connect(user.place, 80, net.ipv4) as one:
        other, (source, _) = port.accept()
        with other:
            assert source == NAT
            assert passes(one, other)
