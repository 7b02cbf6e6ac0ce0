# SPDX-License-Identifier: Apache-2.0
"""The small world as a network namespace: real interfaces, routes and permanent neighbours.

The kernel answers ``bpf_fib_lookup`` from it. Nobody in it sends anything of its own accord: the other
ends of its wires have no IPv6.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute, netns

from .world import (
    ACCESS,
    BEHIND,
    GATEWAY,
    INTERNET,
    PEERS,
    SECOND,
    UNASSIGNED_INTERFACE,
    UNDERLAY,
    USERS,
    Underlay,
)

NUD_PERMANENT = 0x80
IFA_F_NODAD = 0x02


@dataclass(frozen=True, slots=True)
class World:
    """A namespace that stands, with the number of each interface."""

    name: str
    interfaces: dict[str, int]


@contextmanager
def world(name: str) -> Iterator[World]:
    """A namespace of this name, built, and removed at the end."""
    netns.create(name)
    try:
        with entered(name), IPRoute() as route:
            interfaces = _build(route)
        yield World(name, interfaces)
    finally:
        netns.remove(name)


@contextmanager
def entered(name: str) -> Iterator[None]:
    """The calling thread stands in the namespace."""
    netns.pushns(name)
    try:
        yield
    finally:
        netns.popns()


def _set(setting: str, value: int) -> None:
    Path("/proc/sys/net", setting).write_text(str(value))


def _build(route: IPRoute) -> dict[str, int]:
    interfaces: dict[str, int] = {}
    _up(route, "lo")
    _set("ipv6/conf/default/disable_ipv6", 1)
    for port in (UNDERLAY, SECOND):
        interfaces |= _pair(route, port.interface, f"{port.interface}x", port.mac, port.neighbour.mac)
        _set(f"ipv6/conf/{port.interface}/disable_ipv6", 0)
        own = (port.address4, port.address6)
        neighbour = (port.neighbour.address4, port.neighbour.address6)
        _address(route, interfaces[port.interface], own, neighbour, port.neighbour.mac)
        _route(route, interfaces[port.interface], port)
    for access in (ACCESS, GATEWAY, INTERNET, USERS):
        interfaces |= _pair(route, *access.wire, access.far_mac, access.near_mac)
    for lan in (GATEWAY, INTERNET, USERS):
        _set(f"ipv6/conf/{lan.interface}/disable_ipv6", 0)
        own = (lan.address4, lan.address6)
        _address(route, interfaces[lan.interface], own, (lan.host4, lan.host6), lan.near_mac)
    for peers in (PEERS, BEHIND):
        interfaces |= _pair(route, *peers.wire, peers.mac, peers.macs[0])
    interfaces |= _pair(route, UNASSIGNED_INTERFACE, f"{UNASSIGNED_INTERFACE}x", None, None)
    # bpf_fib_lookup answers only for interfaces that forward.
    _set("ipv4/conf/all/forwarding", 1)
    _set("ipv6/conf/all/forwarding", 1)
    return interfaces


def _pair(route: IPRoute, name: str, peer: str, mac: str | None, peer_mac: str | None) -> dict[str, int]:
    """A veth pair, both ends up; returns their interface numbers."""
    route.link("add", ifname=name, kind="veth", peer={"ifname": peer})
    numbers = {}
    for interface, address in ((name, mac), (peer, peer_mac)):
        numbers[interface] = route.link_lookup(ifname=interface)[0]
        if address is not None:
            route.link("set", index=numbers[interface], address=address)
        route.link("set", index=numbers[interface], state="up")
    return numbers


def _up(route: IPRoute, name: str) -> None:
    route.link("set", index=route.link_lookup(ifname=name)[0], state="up")


def _address(route: IPRoute, index: int, own: tuple[str, str], neighbour: tuple[str, str], mac: str) -> None:
    """An interface's addresses, IPv4 and IPv6, and those of its neighbour."""
    address4, address6 = own
    route.addr("add", index=index, address=address4, prefixlen=24)
    route.addr("add", index=index, address=address6, prefixlen=64, flags=IFA_F_NODAD)
    for address in neighbour:
        route.neigh("add", dst=address, lladdr=mac, ifindex=index, state=NUD_PERMANENT)


def _route(route: IPRoute, index: int, port: Underlay) -> None:
    route.route("add", dst=f"{port.routed4}/32", gateway=port.neighbour.address4, oif=index)
