# SPDX-License-Identifier: Apache-2.0
"""Plain hosts: nothing of Moorline is in them, they have a gateway."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address
from typing import Final

from moorline.api.v1 import moorline_pb2 as api
from tools.lab.namespace import Interface, Namespace, connect
from tools.lab.on_link import HostOnLink, settle
from tools.lab.programs import Controller

PLAIN_INTERFACE: Final = "lan0"


def virtual_address(family: int, network: int, host: int) -> Interface:
    """Address number ``host`` (1 = the gateway) of a network within the virtual prefixes of a controller."""
    if family == 4:
        return IPv4Interface(f"198.19.{network}.{host}/24")
    return IPv6Interface(f"fd6d:6f6f:726c:0:6777:{network:x}::{host:x}/96")


@dataclass(frozen=True)
class PlainHost(HostOnLink):
    """A host with addresses of the virtual network that its gateway's port is in."""

    def register(self, controller: Controller, service: str, node: str) -> None:
        """Have it be a service behind its gateway, the node ``node``."""
        addresses = [ip_address(text).packed for text in (self.ipv4, self.ipv6)]
        request = api.RegisterServiceRequest(name=service, node=node, addresses=addresses)
        controller.naming.RegisterService(request, timeout=10)


def lay_behind(gateway: Namespace, interface: str, name: str, place: Namespace, network: int) -> PlainHost:
    """Tie a plain host to an interface of a gateway that its kernel knows; it asks the gateway for names."""
    connect(gateway, interface, place, PLAIN_INTERFACE)
    addresses, own = settle(place, PLAIN_INTERFACE, virtual_address, network)
    for address in own.values():
        gateway.add_address(interface, address)
    return PlainHost(name, place, addresses)
