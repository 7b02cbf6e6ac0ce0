# SPDX-License-Identifier: Apache-2.0
"""Hosts without Moorline, each on a link of its own to a port of a node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tools.lab.namespace import Interface, Namespace

GATEWAY, HOST = 1, 10
"""Their numbers on the link: of the node, by which the host reaches all else, and of the host."""

Numbering = Callable[[int, int, int], Interface]
"""The address of a family (4 or 6) on a network, by the number of who has it."""


@dataclass(frozen=True)
class HostOnLink:
    """A host, with its addresses by their families."""

    name: str
    place: Namespace
    addresses: Mapping[int, Interface]

    @property
    def ipv4(self) -> str:
        """Its IPv4 address."""
        return str(self.addresses[4].ip)

    @property
    def ipv6(self) -> str:
        """Its IPv6 address."""
        return str(self.addresses[6].ip)


def settle(
    place: Namespace, interface: str, address: Numbering, network: int, families: Iterable[int] = (4, 6)
) -> tuple[dict[int, Interface], dict[int, Interface]]:
    """Give a host its addresses and default routes; returns its addresses and its gateway's, by family."""
    own = {family: address(family, network, HOST) for family in families}
    gateways = {family: address(family, network, GATEWAY) for family in own}
    for family, gateway in gateways.items():
        place.add_address(interface, own[family])
        place.set_default_route(interface, str(gateway.ip))
    return own, gateways
