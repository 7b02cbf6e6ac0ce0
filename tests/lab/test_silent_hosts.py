# SPDX-License-Identifier: Apache-2.0
"""Hosts at edge ports that never spoke: their first packet, from the far end of a graph, reaches them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.lab import HostPlan, Lab
from tools.lab.namespace import Namespace
from tools.lab.waiting import wait_until

GRAPH = """
name: web
applies:
  - prefixes: {customers}
forward: [stats]
reverse: same
"""
PEERS = [{"name": "st1", "kind": "stats", "run": "statistics"}]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    plans = (HostPlan("west", edges=("user",), settings={"peer": PEERS}), HostPlan("east", edges=("net",)))
    with Lab(plans) as lab:
        lab.start()
        wait_until(
            lambda: [row["state"] for row in lab.controller.ask("peer", "list")] == ["up"], "it is up", 30
        )
        graph = tmp_path_factory.mktemp("graphs") / "web.yaml"
        graph.write_text(GRAPH.format(customers=lab.edges["user"].port["prefixes"]))
        lab.controller.moorline("graph", "apply", str(graph))
        yield lab


def neighbours(node: Namespace, address: str) -> str:
    return node.run("ip", "neigh", "show", "to", address).stdout


@pytest.mark.parametrize("family", [4, 6])
def test_the_first_packet_to_a_host_that_never_spoke_arrives(lab: Lab, family: int) -> None:
    user, net = lab.edges["user"], lab.edges["net"]
    east, target = lab.hosts["east"].place, str(net.addresses[family].ip)
    # What its kernel said of itself when it came up is forgotten.
    for edge, node in ((net, "east"), (user, "west")):
        lab.hosts[node].place.run("ip", "neigh", "flush", "dev", edge.port_interface)
    assert "lladdr" not in neighbours(east, target)
    answered = user.place.run("ping", "-c1", "-W5", target, check=False)
    assert answered.returncode == 0, answered.stdout
    assert "managed" in neighbours(east, target)
    assert lab.controller.events("east").get(("up0", "drop_no_neighbour"), 0) >= 1


def test_an_address_that_nobody_has_is_given_up(lab: Lab) -> None:
    user, net = lab.edges["user"], lab.edges["net"]
    east, nobody = lab.hosts["east"].place, str(net.addresses[4].ip + 70)
    assert user.place.run("ping", "-c1", "-W1", nobody, check=False).returncode != 0
    wait_until(lambda: not neighbours(east, nobody), "the neighbour was given up", 20)
