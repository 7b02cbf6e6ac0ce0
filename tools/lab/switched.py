# SPDX-License-Identifier: Apache-2.0
"""A switch as a node of a lab's site: its cables, what its operator says of it, and plain hosts behind it.

::

    router --- port 1 ---+          +--- port 101 --- a plain host: nothing of Moorline in it
           --- port 2 ---+  switch  +--- port 102 --- another
                         |          +--- port 201 --- a host at an edge port
                         |          +--- port 301, port 302 --- a feature peer that only forwards
                         |          |
                          controller (a cable of their own, for P4Runtime)

No port has an address that its kernel knows: all that arrives there is the switch's alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface
from typing import Any, Final

from tools.lab.edges import EdgeHost, edge_address
from tools.lab.namespace import Interface, Namespace, connect
from tools.lab.on_link import settle
from tools.lab.plain import PLAIN_INTERFACE, PlainHost, virtual_address
from tools.lab.programs import Controller, Site
from tools.lab.switch import Switch, send_whole_packets
from tools.lab.toml import to_toml
from tools.lab.underlay import Uplink

FIRST_GATEWAY: Final = 101
FIRST_EDGE: Final = 201
FIRST_PEER: Final = 301
P4RUNTIME: Final = 9559
_PEER_INTERFACES: Final = ("in", "out")
_PEER_GATEWAY: Final = "192.0.2.1"
_PEER_GATEWAY_MAC: Final = "02:00:00:00:00:01"


@dataclass(frozen=True)
class SwitchPlan:
    """How a switch is tied to the router, and the names of the plain hosts, each behind a port of its own:
    ``plain`` behind gateway ports, ``edges`` at edge ports. Each of ``peers`` has two ports and a kind of its
    own, which has its name.
    """

    name: str
    families: tuple[int, ...] = (4, 6)
    uplinks: int = 1
    plain: tuple[str, ...] = ()
    edges: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()


@dataclass(eq=False)
class SwitchUplink(Uplink):
    """An underlay port of a switch: its addresses are what its operator says, and nothing of its kernel's."""

    tell: Callable[[], None] | None = None
    """Says them anew; None until the switch has been adopted."""

    def lay(self) -> None:
        """Lay the cable. The router completes what it sends there."""
        super().lay()
        send_whole_packets(self.router, self.router_interface)

    def withdraw(self, family: int) -> None:
        """Have the port without an address of that family, from when it is told the next time on."""
        del self.addresses[family]

    def _take(self, address: Interface) -> None:
        self.addresses[address.version] = address
        if self.tell is not None:
            self.tell()


class SwitchNode:
    """A switch of a site, with its ports and the plain hosts behind it; cables are laid before it starts."""

    def __init__(self, site: Site, plan: SwitchPlan, number: int, place: Namespace, mtu: int) -> None:
        """``number`` tells it from other switches of the lab; ``mtu`` is that of all its ports."""
        self.name = plan.name
        self.place = place
        self.uplinks: list[SwitchUplink] = []
        self.plain: dict[str, PlainHost] = {}
        self.config = site.folder / f"{plan.name}.toml"
        self._families = plan.families
        self._mtu = mtu
        self._gateways: list[Sequence[Interface]] = []
        self._management = tuple(IPv4Interface(f"10.21.{number}.{end}/24") for end in (1, 2))
        self.target = f"{self._management[1].ip}:{P4RUNTIME}"
        self._edges: list[tuple[EdgeHost, Sequence[Interface]]] = []
        self._peers: list[dict[str, Any]] = []
        numbers = [
            *range(1, 1 + plan.uplinks),
            *range(FIRST_GATEWAY, FIRST_GATEWAY + len(plan.plain)),
            *range(FIRST_EDGE, FIRST_EDGE + len(plan.edges)),
            *range(FIRST_PEER, FIRST_PEER + 2 * len(plan.peers)),
        ]
        interfaces = {port: _interface(port) for port in numbers}
        self.program = Switch(plan.name, place.path, interfaces, site.folder, self.target)
        site.processes.callback(self.program.stop)
        # What arrives is the switch's alone: its kernel has no address there, and looks for none.
        place.sysctl({"net/ipv6/conf/all/disable_ipv6": "1", "net/ipv6/conf/default/disable_ipv6": "1"})

    @property
    def uplink(self) -> SwitchUplink:
        """Its first uplink."""
        return self.uplinks[0]

    def lay_management(self, controller: Namespace) -> None:
        """Lay the cable over which the controller reaches it, and nobody else."""
        connect(controller, self.name, self.place, "management")
        for end, interface, address in zip(
            (controller, self.place), (self.name, "management"), self._management, strict=True
        ):
            end.add_address(interface, address)

    def lay_uplink(self, router: Namespace, cable: int) -> None:
        """Lay a cable from the next underlay port to the router."""
        number = 1 + len(self.uplinks)
        ends = (self.place, router, _interface(number), f"{self.name}p{number}")
        uplink = SwitchUplink(*ends, cable, self._families, metric=0, mtu=self._mtu)
        uplink.lay()
        self.uplinks.append(uplink)

    def lay_gateway(self, name: str, place: Namespace, network: int) -> None:
        """Lay a cable from the next gateway port to a plain host."""
        interface = _interface(FIRST_GATEWAY + len(self._gateways))
        self._lay(interface, place, PLAIN_INTERFACE)
        addresses, own = settle(place, PLAIN_INTERFACE, virtual_address, network, self._families)
        self._gateways.append([*own.values()])
        self.plain[name] = PlainHost(name, place, addresses)

    def lay_edge(self, name: str, place: Namespace, network: int) -> EdgeHost:
        """Lay a cable from the next edge port to a host."""
        port_interface = _interface(FIRST_EDGE + len(self._edges))
        self._lay(port_interface, place, EdgeHost.interface)
        addresses, own = settle(place, EdgeHost.interface, edge_address, network, self._families)
        host = EdgeHost(name, place, addresses, port_interface)
        self._edges.append((host, [*own.values()]))
        return host

    def lay_peer(self, name: str, place: Namespace) -> None:
        """Lay two cables from the next peer ports to a peer, which forwards IPv4 from each to the other."""
        first = FIRST_PEER + 2 * len(self._peers)
        place.sysctl({"net/ipv4/ip_forward": "1"})
        for number, interface in enumerate(_PEER_INTERFACES):
            self._lay(_interface(first + number), place, interface)
        for number, (come, go) in enumerate((_PEER_INTERFACES, _PEER_INTERFACES[::-1])):
            # Nobody answers at the other end, and nobody has to: the port takes what comes.
            table = str(100 + number)
            gateway = ("nexthop", "via", _PEER_GATEWAY, "dev", go, "onlink")
            place.run("ip", "neighbour", "add", _PEER_GATEWAY, "lladdr", _PEER_GATEWAY_MAC, "dev", go)
            place.run("ip", "route", "add", "default", "table", table, *gateway)
            place.run("ip", "rule", "add", "iif", come, "lookup", table)
            place.sysctl({f"net/ipv4/conf/{come}/rp_filter": "0"})
        macs = [place.mac(interface) for interface in _PEER_INTERFACES]
        self._peers.append({"name": name, "kind": name, "ports": [first, first + 1], "macs": macs})

    def _lay(self, own: str, place: Namespace, interface: str) -> None:
        connect(self.place, own, place, interface)
        self.place.set_link(own, mtu=self._mtu)
        place.set_link(interface, mtu=self._mtu)
        send_whole_packets(place, interface)

    def start(self) -> None:
        """Start its program, empty as such a switch is."""
        self.program.start()

    def kill(self) -> None:
        """End it, and with it all that it knows."""
        self.program.kill()

    def join(self, controller: Controller) -> None:
        """Have the controller of the site adopt it."""
        self._tell(controller)
        for uplink in self.uplinks:
            uplink.tell = partial(self._tell, controller)

    def _tell(self, controller: Controller) -> None:
        self.config.write_text(to_toml({"ports": self._ports(), "peers": self._peers}))
        controller.moorline(
            "switch", "add", self.name, "--p4runtime", self.target, "--config", str(self.config)
        )

    def _ports(self) -> list[Mapping[str, Any]]:
        """As in the file of ``moorline switch add``."""
        underlay = [
            self._port(number, "underlay", list(uplink.addresses.values()))
            | {"gateways": [str(at.network.network_address + 1) for at in uplink.addresses.values()]}
            for number, uplink in enumerate(self.uplinks, 1)
        ]
        gateway = [
            self._port(number, "gateway", own) for number, own in enumerate(self._gateways, FIRST_GATEWAY)
        ]
        return underlay + gateway + [*self._edge_ports()] + [*self._peer_ports()]

    def _edge_ports(self) -> Iterator[Mapping[str, Any]]:
        for number, (host, own) in enumerate(self._edges, FIRST_EDGE):
            port = self._port(number, "edge", own)
            # A switch seeks those hosts at its edge ports that it is told by their addresses.
            yield port | {"prefixes": [host.ipv4, host.ipv6]}

    def _peer_ports(self) -> Iterator[Mapping[str, Any]]:
        for peer in self._peers:
            for number in peer["ports"]:
                yield self._port(number, "peer", [])

    def _port(self, number: int, role: str, addresses: Sequence[Interface]) -> dict[str, Any]:
        return {
            "number": number,
            "role": role,
            "addresses": [str(address) for address in addresses],
            "mtu": self._mtu,
            "interface": _interface(number),
        }


def _interface(port: int) -> str:
    return f"port{port}"
