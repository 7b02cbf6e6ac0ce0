# SPDX-License-Identifier: Apache-2.0
"""The site of the demonstration: four nodes, their feature peers, a user device, a server of the world."""

from __future__ import annotations

from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any, Final

from tools.lab import HostPlan

ACCESS, NORTH, SOUTH, BORDER = "access", "north", "south", "border"
"""Nodes: where devices tunnel to, two with feature peers, and the one towards the server."""

DEVICE, SERVER = "phone", "server"
GRAPH, STAR = "web", "star"
"""The graph, and the same peers in the star arrangement, which it is compared with."""

CUSTOMER: Final = "alice"
VNI: Final = 42
ADDRESS: Final = IPv4Interface("10.31.0.7/24")
"""Of the device, inside its tunnel."""

SITE_NAME, BLOCKED_NAME = "shop.example", "ads.example"
"""Both are the server; the content filter lets customers reach the first one only."""

_RULES: Final = """\
ct state established accept
tcp dport { 80, 5201 } accept
icmp type echo-request accept
udp dport 6083 accept comment "probes of graph trace"
tcp sport { 80, 5201 } tcp flags & (syn | ack) == ack accept comment "let in by a firewall before this one"
"""

_GRAPH: Final = f"""\
name: %(name)s
applies:
  - customers: [{CUSTOMER}]
    servers: [%(server)s]
    protocol: tcp
    ports: [80, 5201]
  - customers: [{CUSTOMER}]
    servers: [%(server)s]
    protocol: icmp
forward:
  - firewall
  - filter
  - statistics
  - branch:
      - when: {{protocol: tcp, ports: [80]}}
        path: [cache]
"""

_CUSTOMERS: Final = f"""\
customers:
  - name: {CUSTOMER}
    devices:
      - name: {DEVICE}
        addresses: [{ADDRESS.ip}]
        node: {ACCESS}
        tunnel: {{kind: vxlan, remote: %(remote)s, key: {VNI}}}
"""


def plans(folder: Path) -> list[HostPlan]:
    """The nodes; ``folder`` gets the firewalls' rules."""
    rules = [_written(rules_file(folder, name), _RULES) for name in ("fw1", "fw2")]
    tunnels = {"name": "up0", "role": "underlay", "tunnels": ["vxlan"]}
    names = [{"customers": [str(ADDRESS.network)], "names": [BLOCKED_NAME]}]
    return [
        HostPlan(ACCESS, settings={"port": [tunnels], "peer": [_peer("fw1", "firewall", rules=rules[0])]}),
        HostPlan(
            NORTH,
            settings={
                "peer": [
                    _peer("cf1", "filter", list=names),
                    _peer("ca1", "cache", shortcut={"graph": GRAPH, "idle_seconds": 3}),
                ]
            },
        ),
        HostPlan(
            SOUTH,
            settings={
                "peer": [_peer("st1", "statistics"), _peer("fw2", "firewall", rules=rules[1], spare=True)]
            },
        ),
        HostPlan(BORDER, edges=(SERVER,)),
    ]


def rules_file(folder: Path, firewall: str) -> Path:
    """Where a firewall has its rules."""
    return folder / f"{firewall}.nft"


def graph_file(folder: Path, name: str, server: str) -> Path:
    """The file of a graph towards an address of the server."""
    return _written(folder / f"{name}.yaml", _GRAPH % {"name": name, "server": server})


def customers_file(folder: Path, remote: str) -> Path:
    """The file of the one customer, whose device is at ``remote`` in the underlay."""
    return _written(folder / "customers.yaml", _CUSTOMERS % {"remote": remote})


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _peer(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "run": kind, **settings}
