# SPDX-License-Identifier: Apache-2.0
"""Gateway ports: which plain hosts are behind which, by the addresses on their links."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address

import structlog

from control.errors import InvalidRequestError, PreconditionError
from control.records import Node, Service
from moorline.addresses import Network

log = structlog.get_logger(__name__)

_ROLE = "gateway"


def gateway_port(node: Node, addresses: Collection[bytes]) -> int:
    """Number of the gateway port of ``node`` that has all ``addresses`` (4 or 16 octets) on its link.

    Raises:
        InvalidRequestError: one is no address of 4 or 16 octets.
        PreconditionError: there is no such port, or an address is the port's own.
    """
    if any(len(address) not in (4, 16) for address in addresses):
        raise InvalidRequestError("an address has 4 octets (IPv4) or 16 (IPv6): give one of these")
    hosts = [ip_address(address) for address in addresses]
    for number, own in _interfaces(node):
        if all(any(host in at.network for at in own) for host in hosts):
            if mine := next((host for host in hosts if host in {at.ip for at in own}), None):
                raise PreconditionError(
                    f"{mine} is the address of node {node.name} itself there: give the host another one"
                )
            if nobody := next((host for host in hosts for at in own if _is_nobodys(host, at.network)), None):
                raise PreconditionError(
                    f"{nobody} is the first or the last address of its link, which no host can have: give it "
                    "another one"
                )
            return number
    links = ", ".join(str(at.network) for _, own in _interfaces(node) for at in own)
    raise PreconditionError(
        f"{', '.join(map(str, hosts))}: on the link of no gateway port of node {node.name}: "
        + (f"choose from {links}" if links else "give it a port with the role gateway, and addresses")
    )


def _is_nobodys(host: IPv4Address | IPv6Address, network: Network) -> bool:
    """Whether it is the broadcast address, or the network's (IPv6: of its routers, RFC 4291, 2.6.1)."""
    if host.version == 6:
        return network.prefixlen < 127 and host == network.network_address
    return network.prefixlen < 31 and host in (network.network_address, network.broadcast_address)


def links_of_gateways(nodes: Iterable[Node]) -> set[Network]:
    """The networks behind all gateway ports: addresses of their hosts, which nobody else can be given."""
    return {at.network for node in nodes for _, own in _interfaces(node) for at in own}


def warn_of_misplaced(node: Node, services: Iterable[Service]) -> None:
    """Say in the log which services have addresses on the links of gateway ports of ``node`` and are not
    there: the plain hosts of these links look for them beside themselves.
    """
    for number, own in _interfaces(node):
        networks = {at.network for at in own}
        found = [service for service in services if _is_astray(service, node, number, networks)]
        if found:
            log.warning(
                "services_on_a_gateways_link",
                node=node.name,
                port=number,
                links=sorted(map(str, networks)),
                services=len(found),
                first=found[0].name,
                mend="register them again, or give the port addresses of a free part of the prefixes",
            )


def _is_astray(service: Service, node: Node, port: int, networks: Collection[Network]) -> bool:
    if service.node is node and service.port == port:
        return False
    addresses = [ip_address(octets) for octets in (service.ipv4, service.ipv6) if octets]
    return any(address in network for address in addresses for network in networks)


def _interfaces(node: Node) -> Iterator[tuple[int, tuple[IPv4Interface | IPv6Interface, ...]]]:
    for port in node.ports:
        if port.role == _ROLE:
            yield port.number, port.interfaces
