# SPDX-License-Identifier: Apache-2.0
"""All ports at XDP, in a lab of their own; and what a host looks like when its node has left."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tools.lab import HostPlan, Lab
from tools.lab.flow import PacedFlow
from tools.lab.programs import Host
from tools.lab.tcp import connect, listen, receive

AT_XDP = {"access_hook": "xdp", "port": [{"name": "up0", "role": "underlay", "hook": "xdp"}]}

PARTS = {
    "interfaces": ("ip", "-o", "link"),
    "filters": ("tc", "qdisc"),
    "rules": ("ip", "rule"),
    "rules6": ("ip", "-6", "rule"),
    "routes": ("ip", "route"),
    "routes6": ("ip", "-6", "route"),
    "neighbours": ("ip", "neighbour", "show", "proto", "61"),
    "offloads": ("ethtool", "-k", "up0"),
    "settings": ("sh", "-c", "grep -rs . /proc/sys/net/ipv[46]/conf/up0 || true"),  # some cannot be read
}
"""What a node may change on its host, and how to see it."""


def settings_of(host: Host) -> dict[str, str]:
    return {part: re.sub(r"xdpid \d+", "", host.place.run(*words).stdout) for part, words in PARTS.items()}


@pytest.fixture(scope="module")
def before() -> dict[str, dict[str, str]]:
    return {}


@pytest.fixture(scope="module")
def lab(before: dict[str, dict[str, str]]) -> Iterator[Lab]:
    with Lab([HostPlan("server", settings=AT_XDP), HostPlan("laptop", settings=AT_XDP)]) as lab:
        for host in lab.hosts.values():
            # A veth takes packets from XDP only where it joins segments.
            lab.router.run("ethtool", "-K", host.uplink.router_interface, "gro", "on")
            before[host.name] = settings_of(host)
        yield lab.start()


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_transfer_both_ways(lab: Lab, family: str):
    client = lab["laptop"].register(lab.controller, f"client-{family}.test")
    server = lab["server"].register(lab.controller, f"server-{family}.test")
    ours, theirs = getattr(client, family), getattr(server, family)
    content = bytes(range(256)) * 4000
    with (
        listen(lab["server"].place, theirs, 8000) as listener,
        connect(lab["laptop"].place, theirs, 8000, source=ours) as near,
    ):
        far, _ = listener.accept()
        with far:
            for sender, receiver in ((near, far), (far, near)):
                for at in range(0, len(content), 64_000):
                    sender.sendall(content[at : at + 64_000])
                    assert receive(receiver, 64_000) == content[at : at + 64_000]


def test_agents_that_are_killed_and_come_back_lose_nothing(lab: Lab):
    lab["laptop"].register(lab.controller, "killer.test")
    server = lab["server"].register(lab.controller, "killed.test")
    with listen(lab["server"].place, server.ipv4, 8001):
        connect(lab["laptop"].place, server.ipv4, 8001).close()
    with PacedFlow(lab["laptop"].place, lab["server"].place, server.ipv4) as flow:
        flow.run(0.3)
        for host in lab.hosts.values():
            host.kill()
            flow.run(0.2)
            host.start()
            lab.controller.wait_converged(host.name)
            flow.run(0.2)
    assert flow.report.lost == []


def test_a_node_that_leaves_leaves_the_host_as_it_was(lab: Lab, before: dict[str, dict[str, str]]):
    host = lab["laptop"]
    assert settings_of(host) != before["laptop"]
    host.kill()  # what it could have tidied up in good order is left to the command
    host.moorline("node", "leave")
    assert settings_of(host) == before["laptop"]
    assert not (host.folder / "state").exists()
    assert not list((host.folder / "state").parent.glob("*.sock"))
    again = host.moorline("node", check=False)
    assert again.returncode == 1
    assert "this machine is no node yet" in again.stderr
    host.moorline("node", "leave")  # a second time there is nothing to do
