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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface
from typing import Any, Final

from tools.lab.namespace import Interface, Namespace, connect
from tools.lab.plain import GATEWAY, HOST, PlainHost, virtual_address
from tools.lab.programs import Controller, Site
from tools.lab.switch import Switch, send_whole_packets
from tools.lab.toml import to_toml
from tools.lab.underlay import Uplink

FIRST_GATEWAY: Final = 101
P4RUNTIME: Final = 9559


@dataclass(frozen=True)
class SwitchPlan:
    """How a switch is tied to the router, and the names of the plain hosts, each behind a port of its own."""

    name: str
    families: tuple[int, ...] = (4, 6)
    uplinks: int = 1
    plain: tuple[str, ...] = ()


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
        numbers = [*range(1, 1 + plan.uplinks), *range(FIRST_GATEWAY, FIRST_GATEWAY + len(plan.plain))]
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
        connect(self.place, interface, place, "lan0")
        self.place.set_link(interface, mtu=self._mtu)
        place.set_link("lan0", mtu=self._mtu)
        send_whole_packets(place, "lan0")
        own = [virtual_address(family, network, GATEWAY) for family in self._families]
        addresses = {family: virtual_address(family, network, HOST) for family in self._families}
        for address, gateway in zip(addresses.values(), own, strict=True):
            place.add_address("lan0", address)
            place.set_default_route("lan0", str(gateway.ip))
        self._gateways.append(own)
        self.plain[name] = PlainHost(name, place, addresses)

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
        self.config.write_text(to_toml({"ports": self._ports()}))
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
        return underlay + [
            self._port(number, "gateway", own) for number, own in enumerate(self._gateways, FIRST_GATEWAY)
        ]

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
