# SPDX-License-Identifier: Apache-2.0
"""The network under Moorline in a lab: each uplink of a host is a cable to the router, in subnets of its own.

Each uplink has two subnets a family on the router's side, so that a host can move within one, and from one to
the other. (198.18.0.0/15 stays free: virtual addresses come from there.)
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface

from tools.lab.namespace import Interface, Namespace, connect

SUBNETS = 2
"""Subnets of each family at an uplink."""


def subnet_address(family: int, cable: int, subnet: int, host: int) -> Interface:
    """Address number ``host`` (1 = the router) of a cable's subnet."""
    if family == 4:
        return IPv4Interface(f"10.20.{cable * SUBNETS + subnet}.{host}/24")
    return IPv6Interface(f"2001:db8:{cable:x}:{subnet:x}::{host:x}/64")


@dataclass(eq=False)
class Uplink:
    """A host's interface towards the router, with at most one address of each family at a time."""

    host: Namespace
    router: Namespace
    interface: str
    router_interface: str
    cable: int
    families: tuple[int, ...]
    metric: int
    mtu: int
    addresses: dict[int, Interface] = field(default_factory=dict)
    _subnet: dict[int, int] = field(default_factory=dict)
    _turn: int = -1

    def lay(self) -> None:
        """Lay the cable and give both ends their first addresses."""
        connect(self.host, self.interface, self.router, self.router_interface)
        self.set_mtu(self.mtu)
        for family in self.families:
            for subnet in range(SUBNETS):
                gateway = subnet_address(family, self.cable, subnet, 1)
                self.router.add_address(self.router_interface, gateway)
            self.give(family)

    def set_mtu(self, mtu: int) -> None:
        """Change what the cable takes, at both ends, until it is laid anew."""
        self.host.set_link(self.interface, mtu=mtu)
        self.router.set_link(self.router_interface, mtu=mtu)

    def face_xdp(self) -> None:
        """Let the host have programs at XDP: the other end of a veth then joins segments, or it takes nothing
        from them, and makes whole checksums.
        """
        self.router.run("ethtool", "-K", self.router_interface, "gro", "on", "tx", "off")

    def cut(self) -> None:
        """Take the interface away under whatever uses it; :meth:`lay` brings it back."""
        self.host.delete_link(self.interface)
        self.router.forget_link(self.router_interface)
        self.addresses.clear()

    def fresh(self, family: int, elsewhere: bool) -> Interface:
        """An address not in use: of the same subnet, or ``elsewhere``, of the other one."""
        subnet = (self._subnet.get(family, 0) + elsewhere) % SUBNETS
        # The 250 addresses 2..251 take turns, so that the one freed longest ago is used again first.
        self._turn = (self._turn + 1) % 250
        self._subnet[family] = subnet
        return subnet_address(family, self.cable, subnet, 2 + self._turn)

    def replace(self, address: Interface) -> None:
        """Replace the address of that family as networks do: the old one goes first."""
        self.withdraw(address.version)
        self._take(address)

    def withdraw(self, family: int) -> None:
        """Take the address of that family away; :meth:`give` brings another."""
        self.host.delete_address(self.interface, self.addresses.pop(family))

    def give(self, family: int) -> None:
        """Give an address of a family that there is none of."""
        self._take(self.fresh(family, elsewhere=False))

    def move(self, elsewhere: bool = False, family: int | None = None) -> Interface:
        """Replace the address of ``family`` (the first one by default) by a fresh one, and return that."""
        address = self.fresh(family or self.families[0], elsewhere)
        self.replace(address)
        return address

    def _take(self, address: Interface) -> None:
        self.host.add_address(self.interface, address)
        gateway = address.network.network_address + 1
        self.host.set_default_route(self.interface, str(gateway), self.metric)
        self.addresses[address.version] = address


def move(*uplinks: Uplink) -> float:
    """Replace all addresses of several uplinks at once by those of their other subnets."""
    return replace_at_once(
        [(uplink, uplink.fresh(family, elsewhere=True)) for uplink in uplinks for family in uplink.families]
    )


def replace_at_once(changes: Iterable[tuple[Uplink, Interface]]) -> float:
    """Replace addresses, also of several hosts, within a few milliseconds; returns the seconds it took."""
    begin = time.monotonic()
    for uplink, address in changes:
        uplink.replace(address)
    return time.monotonic() - begin
