# SPDX-License-Identifier: Apache-2.0
"""Graphs through real feature peers: a customer and a server at edge ports, peers at a node between.

::

    customer --- entry --- router --- exit --- server
                             |
                            gate: filter, statistics, tap
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.lab import HostPlan, Lab
from tools.lab.edges import EdgeHost
from tools.lab.errors import LabError
from tools.lab.flow import PacedFlow
from tools.lab.waiting import wait_until

PEERS = [
    {"name": "st1", "kind": "statistics", "run": "statistics"},
    {"name": "st2", "kind": "statistics", "run": "statistics"},
    {"name": "tap1", "kind": "tap", "run": "tap"},
]
GRAPH = """
name: {name}
applies:
  - prefixes: ["{customer}"]
    servers: ["{server}"]
forward: {forward}
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    plans = (
        HostPlan("entry", edges=("customer",)),
        HostPlan("gate", settings={"peer": PEERS}),
        HostPlan("exit", edges=("server",)),
        HostPlan("laptop"),
        HostPlan("files"),
    )
    with Lab(plans, settings={"grace_seconds": 1.0}) as lab:
        lab.start()
        wait_until(lambda: all(row["state"] == "up" for row in peers(lab)), "the peers were up", 30)
        for host in lab.edges.values():  # a program at XDP knows only neighbours that the kernel knows
            wait_until(lambda host=host: greets(host), f"{host.name} reached its router", 20)
        yield lab


def greets(host: EdgeHost) -> bool:
    router = str(host.addresses[4].network[1])
    return host.place.run("ping", "-c1", "-W1", router, check=False).returncode == 0


def peers(lab: Lab) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lab.controller.ask("peer", "list")
    return found if len(found) == len(PEERS) else [{"state": "missing"}]


def apply(lab: Lab, folder: Path, forward: str) -> None:
    customer, server = (str(lab.edges[name].addresses[4].network) for name in ("customer", "server"))
    file = folder / "web.yaml"
    file.write_text(GRAPH.format(name="web", customer=customer, server=server, forward=forward))
    lab.controller.ask("graph", "apply", str(file))


def reaches(lab: Lab) -> bool:
    server = lab.edges["server"].ipv4
    return lab.edges["customer"].place.run("ping", "-c1", "-W1", server, check=False).returncode == 0


def visited(lab: Lab, path: str) -> dict[str, int]:
    (found,) = (one for one in lab.controller.ask("graph", "show", "web")["paths"] if one["path"] == path)
    return {one["name"]: one["packets"] for hop in found["hops"] for one in hop["instances"]}


def test_packets_go_through_the_peers_and_are_counted(lab: Lab, tmp_path: Path) -> None:
    assert not reaches(lab)
    apply(lab, tmp_path, "[tap, statistics]")
    wait_until(lambda: reaches(lab), "the server was reached", 20)
    before = visited(lab, "forward")
    lab.edges["customer"].place.run("ping", "-c10", "-i0.05", lab.edges["server"].ipv4)
    after = visited(lab, "forward")
    assert after["tap1"] - before["tap1"] == 10
    assert sorted(after[name] - before[name] for name in ("st1", "st2")) == [0, 10]


def test_a_trace_shows_each_peer(lab: Lab, tmp_path: Path) -> None:
    apply(lab, tmp_path, "[tap, statistics]")
    for trace in lab.controller.ask("graph", "trace", "web"):
        assert trace["reached"]
        kinds = [step["kind"] for step in trace["steps"] if step["instance"]]
        wanted = ["tap", "statistics"]
        assert kinds == (wanted if trace["path"] == "forward" else wanted[::-1])


def test_changes_lose_no_packet_in_peers_that_the_agent_runs(lab: Lab, tmp_path: Path) -> None:
    apply(lab, tmp_path, "[tap, statistics]")
    customer, server = lab.edges["customer"], lab.edges["server"]
    with PacedFlow(customer.place, server.place, server.ipv4, per_second=500) as flow:
        flow.run(1)
        for number in range(10):  # a hundred: test_graph_changes.py
            apply(lab, tmp_path, ("[statistics, tap]", "[statistics]", "[tap, statistics]")[number % 3])
        flow.run(1)
    assert flow.report.sent > 1000
    assert not flow.report.lost
    assert flow.report.duplicates == 0


def test_a_graph_that_is_deleted_leads_nobody(lab: Lab, tmp_path: Path) -> None:
    apply(lab, tmp_path, "[tap]")
    wait_until(lambda: reaches(lab), "the server was reached", 20)
    lab.controller.moorline("graph", "delete", "web")
    assert not reaches(lab)
    with pytest.raises(LabError, match="there is no graph"):
        lab.controller.moorline("graph", "show", "web")


def test_a_service_connection_changes_over_without_loss(lab: Lab, tmp_path: Path) -> None:
    lab["laptop"].register(lab.controller, "laptop.demo")
    files = lab["files"].register(lab.controller, "files.demo")
    file = tmp_path / "inspect.yaml"
    lab.controller.moorline("lookup", "laptop.demo", "files.demo")
    for graph in lab.controller.ask("graph", "list"):  # whose packets its peers could not tell apart
        lab.controller.moorline("graph", "delete", graph["name"])
    services = '{services: {client: "*.demo", server: files.demo}}'
    with PacedFlow(lab["laptop"].place, lab["files"].place, files.ipv4, per_second=500) as flow:
        flow.run(1)
        for forward in ("[tap]", "[statistics]", "[tap, statistics]") * 3:
            file.write_text(f"name: inspect\napplies: [{services}]\nforward: {forward}\n")
            lab.controller.ask("graph", "apply", str(file))
            flow.run(0.2)
        found = lab.controller.ask("graph", "show", "inspect")
        assert all(sum(one["packets"] for one in hop["instances"]) for hop in found["paths"][0]["hops"])
        lab.controller.moorline("graph", "delete", "inspect")
        flow.run(2)
    assert not flow.report.lost
