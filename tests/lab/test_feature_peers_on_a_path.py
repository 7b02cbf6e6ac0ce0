# SPDX-License-Identifier: Apache-2.0
"""Peers that the agent runs, chained by a graph: what a user sees, and the short-cut of a long flow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.test_feature_peers_alone import SOON, connect, echoing, get
from tools.lab import HostPlan, Lab
from tools.lab.edges import ROUTER, edge_address
from tools.lab.waiting import wait_until

RULES = "ct state established,related accept\ntcp dport { 80, 5201 } accept\n"
GRAPH = """
name: web
applies:
  - prefixes: [{customers}]
forward: [firewall, filter, stats]
reverse: same
"""


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
    ]
    with Lab((HostPlan("gate", edges=("user", "net"), settings={"peer": peers}),)) as lab:
        lab.start()
        wait_until(lambda: states(lab) == {"up"}, "all peers were up", 30)
        for number, name in enumerate(("user", "net"), 1):
            # A host on the link of an edge port is known once it has spoken.
            lab.edges[name].place.run(
                "ping", "-c1", "-W1", str(edge_address(4, number, ROUTER).ip), check=False
            )
        apply(lab, folder / "web.yaml")
        yield lab


def states(lab: Lab) -> set[str]:
    return {row["state"] for row in lab.controller.ask("peer", "list")}


def apply(lab: Lab, path: Path) -> None:
    path.write_text(GRAPH.format(customers=lab.edges["user"].addresses[4].network))
    lab.controller.moorline("graph", "apply", str(path))


def test_what_the_peers_forbid_is_forbidden_and_the_rest_passes_all_of_them(lab: Lab) -> None:
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


def test_a_long_flow_gets_a_short_cut_on_the_way(lab: Lab) -> None:
    user, net = lab.edges["user"], lab.edges["net"]
    server = lab.run_beside(net.place.start("iperf3", "iperf3", "-s"))
    wait_until(lambda: bool(net.place.run("ss", "-Htln", "sport = 5201").stdout), "iperf3 listened")
    client = lab.run_beside(user.place.start("iperf3", "iperf3", "-c", net.ipv4, "-t", "60", "-R"))

    def by_shortcuts() -> int:
        paths = lab.controller.ask("graph", "show", "web")["paths"]
        return sum(path["shortcut_packets"] for path in paths)

    wait_until(lambda: by_shortcuts() > 1000, "the flow went by a short-cut", 30)
    assert client.running
    assert server.running
    before = lab.controller.events("gate")["st1-out", "rx"]
    passed = by_shortcuts()
    wait_until(lambda: by_shortcuts() > passed + 1000, "the flow went on", 30)
    assert lab.controller.events("gate")["st1-out", "rx"] - before < 100


def test_a_killed_agent_takes_no_peer_with_it(lab: Lab) -> None:
    user, net, gate = lab.edges["user"], lab.edges["net"], lab["gate"]
    with echoing(net.place, 80, net.ipv4):
        gate.kill()
        assert get(user.place, "good.example", net.ipv4) == b"ok"
        with pytest.raises(ConnectionResetError):
            get(user.place, "bad.example", net.ipv4)
        gate.start()
        lab.controller.wait_converged("gate")
        assert get(user.place, "good.example", net.ipv4) == b"ok"
