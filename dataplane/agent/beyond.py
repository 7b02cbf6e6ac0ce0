# SPDX-License-Identifier: Apache-2.0
"""Whom the entries of the table ``route`` lead to: next hops at edge ports, and user devices in tunnels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_network,
)
from typing import Final, Protocol

from dataplane.agent.neighbours import Neighbours
from dataplane.agent.ports import Ports, PortState
from dataplane.contract.rows import Row
from moorline.addresses import MAPPED_BITS, MAPPED_PREFIX, Network, mapped, unmapped
from moorline.matches import Prefix

_ANYWHERE: Final = (ip_address("198.51.100.1"), ip_address("2001:db8::1"))
"""Addresses to ask for the way to a prefix that has so many."""


class Tables(Protocol):
    """``dataplane.contract.rows.Tables``, as far as it is needed here."""

    def rows(self, table: str) -> Iterator[Row]:
        """Read all."""


class Beyond:
    """Reads the table anew whenever it is asked.

    Args:
        tables: the data plane's.
        ports: the node's.
        neighbours: finds next hops.
        own_addresses: the addresses on a port's interface.
    """

    def __init__(
        self,
        tables: Tables,
        ports: Ports,
        neighbours: Neighbours,
        own_addresses: Callable[[PortState], Sequence[IPv4Interface | IPv6Interface]],
    ) -> None:
        self._tables = tables
        self._ports = ports
        self._neighbours = neighbours
        self._own_addresses = own_addresses

    def tunnel_ends(self) -> list[bytes]:
        """Where user devices are that packets are tunnelled to; 16 octets each."""
        rows = (row for row in self._tables.rows("route") if row.action == "route_tunnel")
        return list(dict.fromkeys(mapped(row.params["remote"].rjust(16, b"\0")) for row in rows))

    async def next_hops(self) -> list[tuple[int, str]]:
        """Whom edge ports send to, by interface and address: hosts on their links, and gateways."""
        found: list[tuple[int, str] | None] = []
        for row in self._tables.rows("route"):
            port = self._ports.numbered(int.from_bytes(row.params.get("port", b"")))
            if row.action == "route_port" and port is not None and port.attached:
                found += [await self._next_hop(network, port) for network in networks(row)]
        return [hop for hop in dict.fromkeys(found) if hop is not None]

    async def _next_hop(self, network: Network, port: PortState) -> tuple[int, str] | None:
        if _is_within(network, (at.network for at in self._own_addresses(port))):
            return (port.attached, str(network[0])) if network.num_addresses == 1 else None
        return await self._neighbours.next_hop(str(_host_in(network)), port.attached)


def networks(row: Row) -> Iterator[Network]:
    """What an entry of ``route`` is for: one network, or one of each family."""
    found = row.match.get("destination", Prefix(b"", 0))
    assert isinstance(found, Prefix)
    value = found.value.rjust(16, b"\0")
    if value.startswith(MAPPED_PREFIX) and found.length >= MAPPED_BITS:
        yield ip_network((unmapped(value).packed, found.length - MAPPED_BITS))
        return
    yield ip_network((value, found.length))
    if not found.length:
        yield ip_network("0.0.0.0/0")


def _host_in(network: Network) -> IPv4Address | IPv6Address:
    return next((some for some in _ANYWHERE if some in network), network[min(1, network.num_addresses - 1)])


def _is_within(network: Network, links: Iterable[Network]) -> bool:
    return any(network[0] in link and network.prefixlen >= link.prefixlen for link in links)
