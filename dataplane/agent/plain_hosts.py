# SPDX-License-Identifier: Apache-2.0
"""What a node does for plain hosts: routes between their links and the virtual network, and names."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from typing import Any

from dataplane.agent.config import NodeConfig
from dataplane.agent.dns import DnsServer
from dataplane.agent.gateway_routes import GatewayLink, GatewayRoutes
from dataplane.agent.netlink import HostTable
from dataplane.agent.ports import Ports, own_addresses
from dataplane.agent.translations import Translations


class PlainHosts:
    """The hosts behind gateway ports, and those that ask this host for names by the address of a service.

    Args:
        config: the node's settings.
        netlink: a ``pyroute2.AsyncIPRoute``.
        ports: the node's.
        translations: what services there are.
        host: the host's links and addresses as they are now.
    """

    dns: DnsServer | None = None
    """The node's DNS server, once it is there."""

    def __init__(
        self,
        config: NodeConfig,
        netlink: Any,
        ports: Ports,
        translations: Translations,
        host: Callable[[], HostTable],
    ) -> None:
        self._config = config
        self._ports = ports
        self._translations = translations
        self._host = host
        self._routes = GatewayRoutes(netlink)

    def doubt(self) -> None:
        """Links changed: compare with what the kernel has, next time."""
        self._routes.doubt()

    def with_services(self) -> list[tuple[int, str]]:
        """Those that have services: interface and address of each."""
        attached = {port.number: port.attached for port in self._ports.gateways if port.attached}
        return [
            (attached[end.port], str(ip_address(address)))
            for end in self._translations.endpoints
            for address in (end.ipv4, end.ipv6)
            if end.port in attached and address
        ]

    async def serve(self) -> None:
        """Do what follows from the host's addresses on their links."""
        if self.dns is not None:
            links = [at for port in self._ports.gateways for at in own_addresses(self._host(), port)]
            await self.dns.serve_links([*links, *self._name_services()])
        await self.keep_routes()

    def _name_services(self) -> list[IPv4Interface | IPv6Interface]:
        """Addresses of the services by which this host is a name server, in the network of who may ask."""
        return [
            ip_interface(f"{address}/{prefix.prefixlen}")
            for own in self._translations.own_endpoints
            if own.service in self._config.dns.services
            for address in map(ip_address, filter(None, (own.ipv4, own.ipv6)))
            for prefix in self._translations.prefixes
            if address in prefix
        ]

    async def keep_routes(self) -> None:
        """Have the routes that gateway ports need, and no others."""
        links = [
            GatewayLink(port.interface, tuple(own_addresses(self._host(), port)))
            for port in self._ports.gateways
            if port.attached
        ]
        near = self._host().link_named(self._config.interface)
        sources = [
            next((str(ip_address(end)) for end in ends if end), "")
            for ends in zip(*((own.ipv4, own.ipv6) for own in self._translations.own_endpoints), strict=True)
        ]
        await self._routes.keep(links, near.index if near else 0, list(filter(None, sources)))
