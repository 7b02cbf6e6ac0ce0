# SPDX-License-Identifier: Apache-2.0
"""Edge ports, peer ports and feature peers in a node's file, and the rows of these ports."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from dataplane.agent.config import NodeConfig
from dataplane.agent.facts import PortFact, locator_rows, port_rows
from dataplane.agent.ports import Ports, choose_hooks
from dataplane.agent.state import NodeState
from dataplane.bpf.hook import Hook
from moorline.addresses import mapped
from moorline.config import ConfigError, Section, parse
from moorline.feature_peers import PortSharing
from moorline.paths import Locator
from moorline.wire import PeerHeader, Tunnel

FILE = """
[[node.port]]
name = "eth0"
tunnels = ["gre", "vxlan"]

[[node.port]]
name = "wan0"
role = "edge"
tenant = 7
prefixes = ["0.0.0.0/0", "::/0"]

[[node.port]]
name = "vnet0"
role = "peer"
tenant = 7

[[node.peer]]
name = "ids1"
kind = "ids"
ports = ["vnet0"]
macs = ["02:00:00:00:00:01"]
header = "qinq"

[[node.peer]]
name = "fw1"
kind = "firewall"
run = "firewall"
rules = "/etc/moorline/fw1.nft"
tenant = 7
"""


class File(Section):
    node: NodeConfig


def read(text: str) -> NodeConfig:
    return parse(tomllib.loads(text), File, "moorline.toml").node


def test_the_ports_of_a_node_with_peers() -> None:
    netlink: Any = None
    config = read(FILE)
    ports = Ports(config, choose_hooks(config), NodeState(), netlink, netlink)
    assert {port.hook for port in ports} == {Hook.XDP}
    facts = {ports.numbered(fact.number).interface: fact for fact in ports.facts()}  # type: ignore[union-attr]
    assert facts["vnet0"].sharing == PortSharing(PeerHeader.QINQ, by_mac=False)
    assert facts["eth0"].tunnels == (Tunnel.GRE, Tunnel.VXLAN)
    assert {name: fact.role for name, fact in facts.items()} == {
        **{"ml0p": "access", "eth0": "underlay", "wan0": "edge", "vnet0": "peer"},
        **{"fw1-in": "peer", "fw1-out": "peer"},
    }
    assert {facts[name].tenant for name in ("wan0", "vnet0", "fw1-in", "fw1-out")} == {7}


def test_the_hook_of_a_node_without_peers_is_as_ever() -> None:
    assert choose_hooks(NodeConfig(ports=[{"name": "nowhere0"}])) == {"ml0p": Hook.TC, "nowhere0": Hook.TC}


def test_the_rows_of_edge_and_peer_ports() -> None:
    rows = port_rows(
        [
            PortFact(3, "edge", tenant=7, hops=1),
            PortFact(4, "peer", tenant=8, sharing=PortSharing(PeerHeader.GRE, by_mac=True)),
        ]
    )
    assert rows["port_role", (("ingress_port", 3),)] == ("edge", (("tenant", 7), ("hops", 1)))
    peer = (("tenant", 8), ("header", 4), ("by_mac", 1))
    assert rows["port_role", (("ingress_port", 4),)] == ("peer", peer)


def test_tunnels_of_devices_are_opened_at_the_addresses_of_their_port() -> None:
    one, other, former = (bytes([192, 0, 2, last]) for last in (1, 2, 3))
    own = (Locator(one, 2, "eth0", 1500), Locator(other, 3, "eth1", 1500))
    rows = locator_rows(own, [former], {2: (Tunnel.IPIP,)})
    opened = {tuple(value for _, value in match) for table, match in rows if table == "terminate"}
    numbers = [int.from_bytes(mapped(address)) for address in (one, other, former)]
    assert opened == {(numbers[0], 1), (numbers[0], 4), (numbers[1], 1), (numbers[2], 1)}


@pytest.mark.parametrize(
    ("was", "put", "expected"),
    [
        ('role = "edge"', 'role = "edge"\nhook = "tc"', 'interface wan0 has the hook "tc"'),
        (
            '[[node.port]]\nname = "eth0"',
            '[node]\naccess_hook = "tc"\n[[node.port]]\nname = "eth0"',
            "ml0p has",
        ),
        ('["vnet0"]', '["eth0"]', "peer ids1 is at eth0: add [[node.port]]"),
        ('["vnet0"]', '["vnet0", "vnet1"]', "has 2 ports and 1 macs"),
        ('macs = ["02:00:00:00:00:01"]', "", "has 1 ports and 0 macs"),
        ('"ids1"\n', '"fw1"\n', "peer fw1 is given twice"),
        ('"fw1"', '"a-firewall-1"', "shorten the name to 11"),
        ('rules = "/etc/moorline/fw1.nft"', "", "peer fw1 is a firewall: name the file"),
        (
            'rules = "/etc/moorline/fw1.nft"',
            "cache_megabytes = 1",
            'cache_megabytes belongs to run = "cache"',
        ),
        ('run = "firewall"', 'run = "nat"', 'rules belongs to run = "firewall"'),
        ('run = "firewall"', 'run = "firewall"\nmacs = []', "which chooses macs: leave it out"),
        ('run = "firewall"', 'run = "firewall"\naddresses = ["192.0.2.1"]', "a NAT has addresses"),
        ('header = "qinq"', "tenant = 3", "peer ids1 has its tenant from its ports"),
        ('tunnels = ["gre", "vxlan"]', "tenant = 3", "an underlay port has no tenant"),
        ('name = "wan0"', 'name = "fw1-in"', "interface fw1-in is named twice"),
        ('name = "wan0"', 'name = "wan 0"', "without blanks and slashes"),
        ('["vnet0"]', '["vnet/0"]', "without blanks and slashes"),
        ('["vnet0"]', '[""]', "has 1 to 15 octets"),
    ],
)
def test_what_is_wrong_is_named(was: str, put: str, expected: str) -> None:
    assert was in FILE
    with pytest.raises(ConfigError) as refusal:
        read(FILE.replace(was, put, 1))
    assert expected in str(refusal.value)
