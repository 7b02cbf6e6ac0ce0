# SPDX-License-Identifier: Apache-2.0
"""The rows of customers' devices: whom tunnels let in, and by which way packets go to a device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from control.records import Node
from control.southbound.contract import Contract, Row
from control.subscribers.directory import Subscribers, edge_port
from control.subscribers.records import Device
from moorline.addresses import Network, mapped, mapped_mask
from moorline.paths import Locator

_TABLE: Final = "device"


class DeviceRows:
    """Those that open tunnels (see :class:`control.southbound.own_rows.RowSource`)."""

    def __init__(self, contract: Contract, subscribers: Subscribers) -> None:
        self._contract = contract
        self._subscribers = subscribers

    @property
    def tables(self) -> Sequence[int]:
        """Ids of the tables."""
        return [self._contract.tables[_TABLE].id]

    def found(self, node: Node, rows: Iterable[Row]) -> None:
        """Nothing can be learned from them: the directory has said all."""

    def rows(self, node: Node) -> Iterator[Row]:
        """All rows that ``node`` is to have in these tables now, one for each tunnel."""
        wanted: dict[tuple[bytes, ...], Row] = {}
        for device in self._subscribers.devices():
            if device.node == node.name and device.tunnel is not None and device.prefixes:
                row = self._row(device)
                wanted.setdefault(row.match, row)
        yield from wanted.values()

    def _row(self, device: Device) -> Row:
        assert device.tunnel is not None
        tunnel, prefix = device.tunnel, device.prefixes[0]
        match: dict[str, int | bytes] = {
            "source": mapped(tunnel.remote),
            "tunnel": int(tunnel.number),
            "key": tunnel.key,
        }
        params: dict[str, int | bytes] = {
            "tenant": device.tenant,
            "address": mapped(prefix.network_address),
            "mask": mapped_mask(prefix),
        }
        return self._contract.row(_TABLE, match, "admit", params)


class Way(NamedTuple):
    """How packets of a tenant leave the site for a prefix: an action of ``route`` at one node."""

    tenant: int
    prefix: Network
    node: str
    action: str
    params: dict[str, int | bytes]


def ways(devices: Iterable[Device], nodes: Mapping[str, Node]) -> Iterator[Way]:
    """The ways to devices whose place is known, where it is."""
    for device in devices:
        node = nodes.get(device.node)
        if node is None:
            continue
        if device.tunnel is not None:
            ends = ends_of_tunnels(node, device.tunnel.kind, device.tunnel.remote.version)
            locator = next(ends, None)
            if locator is not None:
                params: dict[str, int | bytes] = {
                    "port": locator.port,
                    "tunnel": int(device.tunnel.number),
                    "remote": mapped(device.tunnel.remote),
                    "key": device.tunnel.key,
                }
                yield from (
                    Way(device.tenant, prefix, node.name, "route_tunnel", params)
                    for prefix in device.prefixes
                )
        elif (port := edge_port(node, device.port)) is not None:
            params = {"port": port, "vlan": 0}
            yield from (
                Way(device.tenant, prefix, node.name, "route_port", params) for prefix in device.prefixes
            )


def ends_of_tunnels(node: Node, kind: str, version: int) -> Iterator[Locator]:
    """The addresses of a node at which tunnels of devices of this kind and IP version end."""
    ports = {port.number for port in node.ports if port.role == "underlay" and kind in port.tunnels}
    octets = 4 if version == 4 else 16
    return (at for at in node.locators if at.port in ports and len(at.address) == octets)
