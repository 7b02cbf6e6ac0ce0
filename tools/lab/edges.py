# SPDX-License-Identifier: Apache-2.0
"""Plain hosts at edge ports: user devices, and servers of the world outside."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any

from tools.lab.namespace import Interface, Namespace, connect
from tools.lab.on_link import HostOnLink, settle


def edge_address(family: int, network: int, host: int) -> Interface:
    """Address number ``host`` (1 = the node) of an edge network, outside the virtual prefixes."""
    if family == 4:
        return IPv4Interface(f"10.30.{network}.{host}/24")
    return IPv6Interface(f"fd30:0:0:{network:x}::{host:x}/64")


@dataclass(frozen=True)
class EdgeHost(HostOnLink):
    """A host at an edge port of a node."""

    port_interface: str
    """The node's own, the edge port."""
    interface: str = "eth0"

    @property
    def port(self) -> dict[str, Any]:
        """The port in the file of the node."""
        prefixes = [str(address.network) for address in self.addresses.values()]
        return {"name": self.port_interface, "role": "edge", "prefixes": prefixes}


def lay_at_edge(node: Namespace, interface: str, name: str, place: Namespace, network: int) -> EdgeHost:
    """Tie a plain host to an interface of a node that its kernel knows."""
    connect(node, interface, place, EdgeHost.interface)
    # As a program at XDP has it at the other end of a veth pair.
    place.run("ethtool", "-K", EdgeHost.interface, "tx", "off", "gro", "on")
    addresses, gateways = settle(place, EdgeHost.interface, edge_address, network)
    for gateway in gateways.values():
        node.add_address(interface, gateway)
    return EdgeHost(name, place, addresses, interface)
