# SPDX-License-Identifier: Apache-2.0
"""The entries that a fuzz run works with: connections to peers of every kind that there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from moorline.wire import Event
from tools.vectors.entries import (
    LONGEST,
    NOWHERE,
    access,
    connection_key,
    local,
    locator,
    mapped,
    origin,
    relay,
    terminate,
    underlay,
    uplink,
)
from tools.vectors.model import Entry, Value
from tools.vectors.world import (
    ACCESS,
    FORMER4,
    FORMER6,
    GATEWAY,
    GONE,
    INTERNET,
    SECOND,
    TENANT,
    UNDERLAY,
    UNREACHABLE4,
    USERS,
)

from .graph_scene import SPI, entries, of_connections

LOCAL4, LOCAL6 = "10.77.0.1", "fd77::1"
SECOND_VLAN, SECOND_MTU = 300, 1400
NARROW, NARROW_MTU = (3, 4), 1320
"""Peers beyond a narrower link than the uplink, and what that carries."""
DENIED4, DENIED6 = "10.77.0.200", "fd77::200"


GONE_FROM: Final = 8
"""The peer whose packets are for a port that is not there."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection: node ``number``, with addresses and SCID made from the number."""

    number: int
    sources: tuple[str, ...]
    """Outer sources that its packets may have."""
    locator: Entry | None
    ipv6: bool = True
    """Whether the connection has IPv6 addresses."""
    hops: int = 0
    """Hops to this node's end of the connection: more than 0 for the host behind the gateway port."""
    from_any: bool = False
    """Whether its packets come off a path, from any node."""

    @property
    def local4(self) -> str:
        """The virtual address of this node's end."""
        return GATEWAY.host4 if self.hops else LOCAL4

    @property
    def local6(self) -> str:
        """The virtual address of this node's end."""
        return GATEWAY.host6 if self.hops else LOCAL6

    @property
    def port(self) -> int:
        """The access port of this node's end."""
        return GONE if self.number == GONE_FROM else GATEWAY.number if self.hops else ACCESS.number

    @property
    def address4(self) -> str:
        """Its virtual address."""
        return f"10.77.0.{self.number}"

    @property
    def address6(self) -> str:
        """Its virtual address."""
        return f"fd77::{self.number:x}"

    @property
    def scid(self) -> int:
        """The connection's SCID."""
        return (0xC0FFEE_0000 + self.number) << 24 | 0x000100 + self.number

    @property
    def mtu(self) -> int:
        """Octets of the longest packet that all of its path carries."""
        return NARROW_MTU if self.number in NARROW else LONGEST

    @property
    def path(self) -> tuple[int, int]:
        """SPI and SI of what we send."""
        return (0, 0) if self.number % 2 else (SPI, self.number)


NEAR4, NEAR6 = UNDERLAY.neighbour.address4, UNDERLAY.neighbour.address6
FAR4, FAR6 = SECOND.neighbour.address4, SECOND.neighbour.address6

PEERS: Final = (
    Peer(2, (NEAR4,), locator(2, (UNDERLAY, NEAR4))),
    Peer(3, (NEAR6,), locator(3, (UNDERLAY, NEAR6))),
    Peer(
        4,
        (NEAR4, FAR4, FORMER4, FORMER6),
        locator(4, (UNDERLAY, NEAR4), (SECOND, FAR4), (FORMER4, FORMER6)),
    ),
    Peer(5, (NEAR4, FAR6), locator(5, (UNDERLAY, NEAR4), (SECOND, FAR6)), ipv6=False),
    Peer(
        6,
        (UNDERLAY.silent4, UNREACHABLE4),
        locator(6, (UNDERLAY, UNDERLAY.silent4), (UNDERLAY, UNREACHABLE4)),
    ),
    Peer(7, (UNDERLAY.routed4,), locator(7, (UNDERLAY, UNDERLAY.routed4), (SECOND, SECOND.routed4))),
    Peer(
        8,
        (NEAR4,),
        Entry("locator", {"node": 8}, "set_paths", {**locator(8, (UNDERLAY, NEAR4)).params, "port1": GONE}),
    ),
    Peer(9, (NEAR4,), None),
    Peer(10, (NEAR4,), locator(10, (UNDERLAY, NEAR4)), hops=1),
    Peer(11, (NEAR6, FAR4), locator(11, (UNDERLAY, NEAR6), (SECOND, FAR4)), hops=3),
    Peer(12, (NEAR6, FAR4, FAR6), locator(12, (UNDERLAY, NEAR4)), from_any=True),
)


ORIGINS: Final = {NEAR4: 2, NEAR6: 3, FAR4: 4, FAR6: 5, UNDERLAY.routed4: 7, FORMER4: 2, FORMER6: 10}
"""Whose address is whose; node 10 is on no connection's way."""


@dataclass(frozen=True, slots=True)
class Relayed:
    """A leg of a connection between two other nodes; the SCIDs by their numbers, 0 = that way is closed."""

    number: int
    node0: int
    node1: int
    number0: int
    number1: int
    sources: tuple[str, ...]
    """Outer sources that its packets may have."""

    @property
    def scid(self) -> int:
        """The SCID under which its packets arrive."""
        return relayed_scid(self.number)


def relayed_scid(number: int) -> int:
    """The SCID of a leg; 0 for none."""
    return number and (0xDECAF_0000 + number) << 24 | 0x000200 + number


RELAYED: Final = (
    Relayed(1, 2, 4, 1, 1, (NEAR4, FAR4, FORMER4, FORMER6)),
    Relayed(2, 3, 5, 2, 2, (NEAR6, FAR6)),
    Relayed(3, 4, 3, 3, 3, (NEAR6, FAR4)),
    Relayed(4, 2, 6, 4, 4, (NEAR4,)),
    Relayed(5, 7, 5, 5, 5, (UNDERLAY.routed4, FAR6)),
    Relayed(6, 8, 4, 6, 6, (FAR4,)),
    Relayed(7, 9, 5, 7, 7, (FAR6,)),
    Relayed(8, 2, 3, 0, 9, (NEAR4, NEAR6)),
    Relayed(9, 2, 3, 8, 0, (NEAR4, NEAR6)),
)
"""Between nodes of every kind that there is; the last two are the legs of one that changes its SCID."""


def _scid(peer: Peer) -> Entry:
    params: dict[str, Value] = {
        "port": peer.port,
        "tenant": TENANT,
        "node": 0 if peer.from_any else peer.number,
        "local4": peer.local4,
        "peer4": peer.address4,
        "local6": peer.local6 if peer.ipv6 else NOWHERE,
        "peer6": peer.address6 if peer.ipv6 else NOWHERE,
        "hops": peer.hops,
    }
    return Entry("scid", {"scid": f"{peer.scid:#018x}"}, "deliver", params)


def _connection(peer: Peer, source: str, destination: str) -> Entry:
    spi, si = peer.path
    params: dict[str, Value] = {
        "scid": f"{peer.scid:#018x}",
        "node": peer.number,
        "spi": spi,
        "si": si,
        "mtu": peer.mtu,
    }
    return Entry("connection", connection_key(source, destination), "encapsulate", params)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two ends at this node, of which the second is behind ``port``: IPv4 and IPv6 addresses of both."""

    source: tuple[str, str]
    destination: tuple[str, str]
    port: int

    @property
    def ways(self) -> list[tuple[str, str, int]]:
        """Source, destination and port, once for each family."""
        return [(one, other, self.port) for one, other in zip(self.source, self.destination, strict=True)]


_HOST, _LAN = (LOCAL4, LOCAL6), (GATEWAY.host4, GATEWAY.host6)
PAIRS: Final = (
    Pair(_HOST, _LAN, GATEWAY.number),
    Pair(_LAN, _HOST, ACCESS.number),
    Pair(_LAN, _LAN, GATEWAY.number),
    Pair(_HOST, (GATEWAY.silent4, "fd77:300::1"), GATEWAY.number),
    Pair(_HOST, ("10.77.0.201", "fd77::201"), GONE),
    Pair(_LAN, ("10.77.0.202", "fd77::202"), 0),
)

ENTRIES: Final[tuple[Entry, ...]] = (
    underlay(UNDERLAY),
    underlay(SECOND),
    access(ACCESS),
    access(GATEWAY),
    terminate(UNDERLAY.address4),
    terminate(UNDERLAY.address6),
    terminate(SECOND.address4),
    terminate(SECOND.address6),
    uplink(UNDERLAY),
    uplink(SECOND, vlan=SECOND_VLAN, mtu=SECOND_MTU),
    *(_scid(peer) for peer in PEERS),
    *(_connection(peer, peer.local4, peer.address4) for peer in PEERS),
    *(_connection(peer, peer.local6, peer.address6) for peer in PEERS if peer.ipv6),
    *(local(source, destination, port) for pair in PAIRS for source, destination, port in pair.ways),
    *(
        relay(
            one.scid,
            node0=one.node0,
            scid0=relayed_scid(one.number0),
            node1=one.node1,
            scid1=relayed_scid(one.number1),
        )
        for one in RELAYED
    ),
    *(origin(address, node) for address, node in ORIGINS.items()),
    *(peer.locator for peer in PEERS if peer.locator is not None),
    Entry("connection", connection_key(LOCAL4, DENIED4), "reject"),
    Entry("connection", connection_key(LOCAL6, DENIED6), "reject"),
)


def scene(number: int) -> tuple[Entry, ...]:
    """The entries of a round, with those of service graphs."""
    return (*ENTRIES, *entries(number))


PLAIN: Final = (*ENTRIES, *of_connections())
"""The entries of a node without feature peers and edge ports."""

NEXT_HOPS: Final[dict[tuple[int, str], str | Event]] = {
    (UNDERLAY.number, mapped(NEAR4)): UNDERLAY.neighbour.mac,
    (UNDERLAY.number, NEAR6): UNDERLAY.neighbour.mac,
    (UNDERLAY.number, mapped(UNDERLAY.routed4)): UNDERLAY.neighbour.mac,
    (UNDERLAY.number, mapped(UNDERLAY.silent4)): Event.DROP_NO_NEIGHBOUR,
    (UNDERLAY.number, mapped(UNREACHABLE4)): Event.DROP_NO_ROUTE,
    (SECOND.number, mapped(FAR4)): SECOND.neighbour.mac,
    (SECOND.number, FAR6): SECOND.neighbour.mac,
    (SECOND.number, mapped(SECOND.routed4)): SECOND.neighbour.mac,
    (GATEWAY.number, mapped(GATEWAY.host4)): GATEWAY.near_mac,
    (GATEWAY.number, GATEWAY.host6): GATEWAY.near_mac,
    (GATEWAY.number, mapped(GATEWAY.silent4)): Event.DROP_NO_NEIGHBOUR,
    **{
        (port.number, mapped(address)): port.near_mac
        for port in (INTERNET, USERS)
        for address in (port.host4, port.host6)
    },
    **{(port.number, mapped(port.silent4)): Event.DROP_NO_NEIGHBOUR for port in (INTERNET, USERS)},
    (SECOND.number, mapped(SECOND.silent4)): Event.DROP_NO_NEIGHBOUR,
    (SECOND.number, mapped(UNREACHABLE4)): Event.DROP_NO_ROUTE,
}
"""What the kernel of the small world says, by port and destination: a MAC address, or why there is none."""
