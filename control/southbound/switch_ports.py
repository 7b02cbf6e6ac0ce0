# SPDX-License-Identifier: Apache-2.0
"""The rows of a switch's ports: what each is for, where packets are opened, what they leave with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from control.records import Node
from control.southbound.contract import Contract, Row
from moorline.addresses import mapped
from moorline.feature_peers import PortSharing
from moorline.reach import tunnel_of
from moorline.switch import SwitchPort
from moorline.wire import ROUTER_HOPS, Tunnel

_TABLES: Final = ("uplink", "terminate", "port_role", "own_address")


class SwitchPorts:
    """Computes them from what the operator said (see :class:`control.southbound.own_rows.RowSource`)."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._tables = [contract.tables[name].id for name in _TABLES]

    @property
    def tables(self) -> Sequence[int]:
        """Ids of the tables."""
        return self._tables

    def found(self, node: Node, rows: Iterable[Row]) -> None:
        """Nothing can be learned from them: the operator has said all."""

    def rows(self, node: Node) -> Iterator[Row]:
        """All rows that ``node`` is to have in these tables now."""
        if node.switch is None:
            return
        for port in node.switch.config.ports:
            if port.role == "underlay":
                yield self._uplink(port)
        for address, tunnel in dict.fromkeys(_opened(node, node.switch.config.ports)):
            yield self._row("terminate", "open", {"outer_dst": mapped(address), "tunnel": int(tunnel)})
        sharing = node.switch.config.peer_ports
        for port in node.switch.config.ports:
            yield self._role(port, sharing)
            yield from self._own_addresses(port)

    def _role(self, port: SwitchPort, sharing: Mapping[object, PortSharing]) -> Row:
        match = {"ingress_port": port.number}
        if port.role == "underlay":
            return self._row("port_role", "underlay", match)
        if port.role == "peer":
            told_apart = {"header": sharing[port.number].header, "by_mac": sharing[port.number].by_mac}
            return self._row("port_role", "peer", match, tenant=port.tenant, **told_apart)
        action = "edge" if port.role == "edge" else "access"
        return self._row("port_role", action, match, tenant=port.tenant, hops=ROUTER_HOPS)

    def _uplink(self, port: SwitchPort) -> Row:
        own = [address.packed for address in port.addresses]
        source = {"src4": _first(own, 4), "src6": _first(own, 16)}
        return self._row(
            "uplink", "set_source", {"port": port.number}, **source, vlan=port.vlan, mtu=port.mtu
        )

    def _own_addresses(self, port: SwitchPort) -> Iterator[Row]:
        """What the switch answers for of itself, also while the controller is away."""
        router = int(port.role in ("gateway", "edge"))
        for at in port.addresses:
            match: dict[str, int | bytes] = {"port": port.number, "vlan": port.vlan}
            match["address"] = mapped(at.packed)
            yield self._row("own_address", "answer", match, mac=port.mac_octets, router=router)

    def _row(self, table: str, action: str, match: Mapping[str, int | bytes], **params: int | bytes) -> Row:
        return self._contract.row(table, match, action, params)


def _opened(node: Node, ports: Iterable[SwitchPort]) -> Iterator[tuple[bytes, Tunnel]]:
    """Where which tunnels are opened; none (plain packets) at its own addresses at edge ports."""
    for address in (*(at.address for at in node.locators), *node.previous):
        yield address, Tunnel.GENEVE
    for port in ports:
        tunnels = [tunnel_of(name) for name in port.tunnels] + [Tunnel.NONE] * (port.role == "edge")
        yield from ((address.packed, tunnel) for address in port.addresses for tunnel in tunnels)


def _first(addresses: Iterable[bytes], octets: int) -> bytes:
    return next((address for address in addresses if len(address) == octets), b"")
