# SPDX-License-Identifier: Apache-2.0
"""The small world in which every vector plays: ports, interfaces, routes, neighbours, addresses.

Two underlay ports, two access ports, two ports with feature peers and two edge ports. A target builds it with
whatever it has: the BPF targets in a network namespace of their own, a switch by its own table of routes.
"""

from __future__ import annotations

from dataclasses import dataclass

TENANT = 0x0A0B07
VIRTUAL4_LOCAL, VIRTUAL4_PEER, VIRTUAL4_STRANGER = "10.77.0.1", "10.77.0.2", "10.77.0.99"
VIRTUAL6_LOCAL, VIRTUAL6_PEER, VIRTUAL6_STRANGER = "fd77::1", "fd77::2", "fd77::99"
SCID = 0x5EA1_90BB_42_000123
"""The connection's SCID; its slot is 0x000123."""

PEER_NODE = 2
"""The node of the other end."""
FAR_NODE = 3
"""A node behind the second underlay port, on the other side of a relay."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A machine on an underlay link whose MAC address the host knows."""

    address4: str
    address6: str
    mac: str


@dataclass(frozen=True, slots=True)
class Underlay:
    """An underlay port with its interface, its own locators and the next hop on its link."""

    number: int
    interface: str
    mac: str
    address4: str
    address6: str
    mtu: int
    neighbour: Neighbour
    silent4: str
    """An address on the link that no neighbour answers for."""
    routed4: str
    """An address behind the neighbour: reached by a route, not by the link."""


@dataclass(frozen=True, slots=True)
class Access:
    """The host's own access port, the far end of a veth pair whose near end holds its virtual addresses."""

    number: int
    interface: str
    """Name of the near end; the far end, which is the port, has a ``p`` behind it."""
    near_mac: str
    far_mac: str
    hops: int

    @property
    def wire(self) -> tuple[str, str]:
        """The port's interface, and what it is joined to."""
        return f"{self.interface}p", self.interface


@dataclass(frozen=True, slots=True)
class Gateway(Access):
    """An access port whose link has hosts of its own, one with ``near_mac`` among them."""

    address4: str
    address6: str
    host4: str
    """Virtual addresses of that host."""
    host6: str
    silent4: str
    """An address on the link that nobody answers for."""

    @property
    def wire(self) -> tuple[str, str]:
        """The port's interface, and what it is joined to."""
        return self.interface, f"{self.interface}x"


@dataclass(frozen=True, slots=True)
class PeerPort:
    """A port with feature peers behind it."""

    number: int
    interface: str
    mac: str
    """Its own, from which peers get their frames."""
    macs: tuple[str, ...]
    """Of the peers."""

    @property
    def wire(self) -> tuple[str, str]:
        """The port's interface, and what it is joined to."""
        return self.interface, f"{self.interface}x"


UNDERLAY = Underlay(
    1,
    "under1",
    "02:00:00:00:01:01",
    "192.0.2.1",
    "2001:db8:1::1",
    1500,
    Neighbour("192.0.2.2", "2001:db8:1::2", "02:00:00:00:01:02"),
    silent4="192.0.2.77",
    routed4="198.51.100.9",
)
SECOND = Underlay(
    2,
    "under2",
    "02:00:00:00:02:01",
    "203.0.113.1",
    "2001:db8:2::1",
    1500,
    Neighbour("203.0.113.2", "2001:db8:2::2", "02:00:00:00:02:02"),
    silent4="203.0.113.77",
    routed4="198.51.100.129",
)
ACCESS = Access(10, "near0", "02:00:00:00:0a:01", "02:00:00:00:0a:02", hops=0)
GATEWAY = Gateway(
    11,
    "lan1",
    "02:00:00:00:0b:01",
    "02:00:00:00:0b:02",
    hops=1,
    address4="10.77.200.1",
    address6="fd77:200::1",
    host4="10.77.200.5",
    host6="fd77:200::5",
    silent4="10.77.200.77",
)
"""An access port towards other hosts: a hop on the way of their packets."""

PEERS = PeerPort(
    3,
    "peers3",
    "02:00:00:00:03:01",
    ("02:00:00:00:03:0a", "02:00:00:00:03:0b", "02:00:00:00:03:0c", "02:00:00:00:03:0d"),
)
"""Several peers behind one port: in seed 004 they have the MAC addresses a, b, c and d."""
BEHIND = PeerPort(5, "peers5", "02:00:00:00:05:01", ("02:00:00:00:05:02",))
"""The second port of a peer that is a bump in the wire between it and the first."""
INTERNET = Gateway(
    4,
    "edge4",
    "02:00:00:00:04:01",
    "02:00:00:00:04:02",
    hops=1,
    address4="10.88.4.1",
    address6="fd88:4::1",
    host4="10.88.4.5",
    host6="fd88:4::5",
    silent4="10.88.4.77",
)
"""An edge port towards servers."""
USERS = Gateway(
    6,
    "edge6",
    "02:00:00:00:06:01",
    "02:00:00:00:06:02",
    hops=1,
    address4="10.88.6.1",
    address6="fd88:6::1",
    host4="10.88.6.5",
    host6="fd88:6::5",
    silent4="10.88.6.77",
)
"""An edge port towards user devices."""

UNASSIGNED = 20
"""Port of an interface that has no role."""
UNASSIGNED_INTERFACE = "spare0"

GONE = 33
"""A port number that no interface has."""

UNREACHABLE4 = "100.64.9.9"
"""An address that the host has no route to."""

FORMER4, FORMER6 = "192.0.2.32", "2001:db8:1::32"
"""Locators that the peer had before its last move."""

ANY4 = "0.0.0.0"  # noqa: S104 (nothing listens here)
"""The unspecified address."""
