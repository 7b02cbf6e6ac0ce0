# SPDX-License-Identifier: Apache-2.0
"""A switch as a node of a lab's site: its cables, what its operator says of it, and plain hosts behind it.

::

    router --- port 1 ---+          +--- port 101 --- a plain host: nothing of Moorline in it
           --- port 2 ---+  switch  +--- port 102 --- another
                              |
                          controller (a cable of their own, for P4Runtime)

No port has an address that its kernel knows: all that arrives there is the switch's alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Any, Final

from tools.lab.namespace import Interface, Namespace, connect
from tools.lab.plain import PlainHost, virtual_address
from tools.lab.programs import Controller, Site
from tools.lab.switch import Switch, send_whole_packets
from tools.lab.toml import to_toml
from tools.lab.underlay import subnet_address

FIRST_GATEWAY: Final = 101
P4RUNTIME: Final = 9559


@dataclass(frozen=True)
class SwitchPlan:
    """How a switch is tied to the router, and the names of the plain hosts, each behind a port of its own."""

    name: str
    families: tuple[int, ...] = (4, 6)
    uplinks: int = 1
    plain: tuple[str, ...] = ()


@dataclass(frozen=True)
class Port:
    """A port of a switch with its own addresses, and its next hops to what is not on the link."""

    number: int
    role: str
    addresses: Sequence[Interface]
    gateways: Sequence[str] = ()

    @property
    def interface(self) -> str:
        """Its network interface."""
        return f"port{self.number}"

    def described(self, mtu: int) -> Mapping[str, Any]:
        """As in the file of ``moorline switch add``."""
        return {
            "number": self.number,
            "role": self.role,
            "addresses": [str(address) for address in self.addresses],
            "gateways": list(self.gateways),
            "mtu": mtu,
            "interface": self.interface,
        }


class SwitchNode:
    """A switch of a site, with its ports and the plain hosts behind it; cables are laid before it starts."""

    def __init__(self, site: Site, plan: SwitchPlan, number: int, place: Namespace, mtu: int) -> None:
        """``number`` tells it from other switches of the lab; ``mtu`` is that of all its ports."""
        self.name = plan.name
        self.place = place
        self.plain: dict[str, PlainHost] = {}
        self.config = site.folder / f"{plan.name}.toml"
        self._families = plan.families
        self._mtu = mtu
        self._ports: list[Port] = []
        self._management = tuple(IPv4Interface(f"10.21.{number}.{end}/24") for end in (1, 2))
        self.target = f"{self._management[1].ip}:{P4RUNTIME}"
        numbers = [*range(1, 1 + plan.uplinks), *range(FIRST_GATEWAY, FIRST_GATEWAY + len(plan.plain))]
        self.program = Switch(
            plan.name, place.path, {port: f"port{port}" for port in numbers}, site.folder, self.target
        )
        site.processes.callback(self.program.stop)
        # What arrives is the switch's alone: its kernel has no address there, and looks for none.
        place.sysctl({"net/ipv6/conf/all/disable_ipv6": "1", "net/ipv6/conf/default/disable_ipv6": "1"})

    def lay_management(self, controller: Namespace) -> None:
        """Lay the cable over which the controller reaches it, and nobody else."""
        connect(controller, self.name, self.place, "management")
        for end, interface, address in zip(
            (controller, self.place), (self.name, "management"), self._management, strict=True
        ):
            end.add_address(interface, address)

    def lay_uplink(self, router: Namespace, cable: int) -> None:
        """Lay a cable from the next underlay port to the router, which completes what it sends there."""
        own, theirs = ([subnet_address(family, cable, 0, end) for family in self._families] for end in (2, 1))
        port = Port(1 + len(self._ports), "underlay", own, [str(address.ip) for address in theirs])
        interface = f"{self.name}p{port.number}"
        self._lay(port, router, interface)
        for address in theirs:
            router.add_address(interface, address)

    def lay_gateway(self, name: str, place: Namespace, network: int) -> None:
        """Lay a cable from the next gateway port to a plain host."""
        own = [virtual_address(family, network, 1) for family in self._families]
        port = Port(FIRST_GATEWAY + len(self.plain), "gateway", own)
        self._lay(port, place, "lan0")
        addresses = {family: virtual_address(family, network, 10) for family in self._families}
        for address, gateway in zip(addresses.values(), own, strict=True):
            place.add_address("lan0", address)
            place.set_default_route("lan0", str(gateway.ip))
        self.plain[name] = PlainHost(name, place, addresses)

    def _lay(self, port: Port, other: Namespace, interface: str) -> None:
        connect(self.place, port.interface, other, interface)
        self.place.set_link(port.interface, mtu=self._mtu)
        other.set_link(interface, mtu=self._mtu)
        send_whole_packets(other, interface)
        self._ports.append(port)

    def start(self) -> None:
        """Start its program, empty as such a switch is."""
        self.program.start()

    def join(self, controller: Controller) -> None:
        """Have the controller of the site adopt it."""
        ports = [port.described(self._mtu) for port in self._ports]
        self.config.write_text(to_toml({"ports": ports}))
        controller.moorline(
            "switch", "add", self.name, "--p4runtime", self.target, "--config", str(self.config)
        )

    def register(self, controller: Controller, service: str, plain: str) -> None:
        """Name a plain host behind it."""
        addresses = [
            word for at in self.plain[plain].addresses.values() for word in ("--address", str(at.ip))
        ]
        controller.moorline("service", "register", service, "--node", self.name, *addresses)
