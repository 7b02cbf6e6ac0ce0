# SPDX-License-Identifier: Apache-2.0
"""The next hops of a switch: whom it has to reach on its links, and the rows of ``fib`` that say how.

Every neighbour that is known has a row of its own. What is not on the link, and neighbours that are not known
yet, go to the port's gateway: it knows the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Final

from control.neighbours.link import Link
from control.neighbours.table import Key, Neighbours
from control.records import Node
from control.southbound.contract import Contract, Prefix, Row
from control.state import State
from control.subscribers.records import Device
from control.subscribers.rows import ways
from moorline.addresses import MAPPED_PREFIX, mapped, unmapped
from moorline.paths import choose_paths
from moorline.switch import SwitchPort

_TABLE: Final = "fib"
_ADDRESS_BITS: Final = 128
_BEYOND: Final = {
    4: (Prefix(MAPPED_PREFIX + bytes(4), 96),),
    # All unicast IPv6 (RFC 4291, section 2.4; RFC 4193) without the mapped addresses, which are IPv4's.
    6: (Prefix(b"\x20" + bytes(15), 3), Prefix(b"\xfc" + bytes(15), 7)),
}
"""What a gateway of each family is the way to, as the contract has addresses."""


def links_of(node: Node) -> list[Link]:
    """The ports of a switch as its neighbours see them; none for a host, whose kernel speaks for it."""
    return [_link(port) for port in node.switch.config.ports] if node.switch is not None else []


def _link(port: SwitchPort) -> Link:
    return Link(
        port.number, port.mac_octets, port.addresses, port.vlan, router=port.role in ("gateway", "edge")
    )


def wanted_by(node: Node, state: State, devices: Iterable[Device] = ()) -> Iterator[Key]:
    """The neighbours that a switch has to know: gateways, nodes on its links, plain hosts behind it.

    Among these, at edge ports: customers' ``devices``, and single addresses that a port's ``prefixes`` name.
    """
    if node.switch is None:
        return
    ports = node.switch.config.ports
    yield from ((port.number, gateway.packed) for port in ports for gateway in port.gateways)
    underlay = [_link(port) for port in ports if port.role == "underlay"]
    for number in node.peers:
        for locator in state.nodes_by_id[number].locators:
            yield from ((link.port, locator.address) for link in underlay if link.reaches(locator.address))
    for service in node.services.values():
        if service.port:
            yield from ((service.port, address) for address in (service.ipv4, service.ipv6) if address)
    yield from _edge_hosts(node, ports, devices)


def _edge_hosts(node: Node, ports: Iterable[SwitchPort], devices: Iterable[Device]) -> Iterator[Key]:
    edges = {port.number: port for port in ports if port.role == "edge"}
    named = [(port.number, ip_network(prefix)) for port in edges.values() for prefix in port.prefixes]
    for way in ways(devices, {node.name: node}):
        if way.action == "route_port":
            named.append((int(way.params["port"]), way.prefix))
    for number, prefix in named:
        address = prefix.network_address.packed
        if prefix.num_addresses == 1 and number in edges and _link(edges[number]).reaches(address):
            yield number, address


def needed_for(node: Node, peer: Node) -> set[Key]:
    """The neighbours that a switch has to know to reach ``peer``; gateways, which it always seeks, apart."""
    links = {link.port: link for link in links_of(node)}
    paths = choose_paths(node.locators, peer.locators)
    if not links or paths is None:
        return set()
    ways = (
        (port, unmapped(at).packed) for port, at in ((paths.port0, paths.dst0), (paths.port1, paths.dst1))
    )
    return {(port, address) for port, address in ways if port in links and links[port].reaches(address)}


class NextHopRows:
    """The rows of ``fib``, by what is known of neighbours."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self.table = contract.tables[_TABLE].id

    def rows(self, node: Node, neighbours: Neighbours) -> Iterator[Row]:
        """All rows that a switch is to have now."""
        for link, address, mac in neighbours.known():
            yield self._row(link.port, Prefix(mapped(address), _ADDRESS_BITS), link.mac, mac)
        for port in node.switch.config.ports if node.switch is not None else ():
            for gateway in port.gateways:
                found = neighbours.mac_of(port.number, gateway.packed)
                if found is not None:
                    for prefix in _BEYOND[gateway.version]:
                        yield self._row(port.number, prefix, port.mac_octets, found)

    def neighbour_in(self, row: Row) -> tuple[int, bytes, bytes] | None:
        """Port, address and link-layer address of the neighbour whose own row this is."""
        if len(row.match) < 3 or int.from_bytes(row.match[2]) != _ADDRESS_BITS or len(row.params) < 2:
            return None
        address = unmapped(row.match[1].rjust(16, b"\0")).packed
        return int.from_bytes(row.match[0]), address, row.params[1].rjust(6, b"\0")

    def _row(self, port: int, destination: Prefix, source_mac: bytes, mac: bytes) -> Row:
        match: dict[str, int | Prefix] = {"port": port, "destination": destination}
        return self._contract.row(_TABLE, match, "next_hop", {"src_mac": source_mac, "dst_mac": mac})
