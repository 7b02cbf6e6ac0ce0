# SPDX-License-Identifier: Apache-2.0
"""A graph on a BMv2 switch: it classifies at its edge port, and leads packets through a peer of its own.

::

    customer ---+
    neighbour --+ gate (switch) --- router --- exit --- server
       firewall-+
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.lab import HostPlan, Lab, SwitchPlan
from tools.lab.waiting import wait_until

pytestmark = pytest.mark.bmv2

PINGS = 5
GRAPH = """
name: inspect
applies:
  - prefixes: ["{customer}/32"]
forward: [firewall]
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    switch = SwitchPlan("gate", edges=("customer", "neighbour"), peers=("firewall",))
    with Lab((HostPlan("exit", edges=("server",)),), switches=(switch,)) as lab:
        lab.start()
        file = lab.folder / "inspect.yaml"
        file.write_text(GRAPH.format(customer=lab.edges["customer"].ipv4))
        lab.controller.moorline("graph", "apply", str(file))
        yield lab


def through_peer(lab: Lab) -> dict[str, int]:
    """Packets that the peer was given, by path."""
    return {
        path["path"]: one["packets"]
        for path in lab.controller.ask("graph", "show", "inspect")["paths"]
        for hop in path["hops"]
        for one in hop["instances"]
    }


@pytest.mark.parametrize("server", ["server", "neighbour"])
def test_a_customer_of_a_switch_is_led_through_its_peer(lab: Lab, server: str) -> None:
    customer, address = lab.edges["customer"], lab.edges[server].ipv4

    def reaches() -> bool:
        return customer.place.run("ping", "-c1", "-W1", address, check=False).returncode == 0

    wait_until(reaches, f"{server} was reached", 20)
    before = through_peer(lab)
    customer.place.run("ping", f"-c{PINGS}", "-i0.05", address)
    after = through_peer(lab)
    assert {path: after[path] - before[path] for path in after} == {"forward": PINGS, "reverse": PINGS}


def test_a_trace_comes_through_the_peer_of_a_switch_to_the_end(lab: Lab) -> None:
    traces = lab.controller.ask("graph", "trace", "inspect")
    assert [trace["path"] for trace in traces] == ["forward", "reverse"]
    for trace in traces:
        assert trace["reached"], trace
        assert [step["instance"] for step in trace["steps"] if step["instance"]] == ["firewall"]
