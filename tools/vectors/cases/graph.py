# SPDX-License-Identifier: Apache-2.0
"""What the cases of service graphs share: a node with feature peers and edge ports between two others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from scapy.compat import raw
from scapy.packet import Packet

from moorline.wire import Event

from ..build import Concern
from ..entries import changed, locator, origin
from ..graph_entries import SPI, START, edge, peer
from ..model import Entry
from ..packets import Data, inner4, inner6
from ..world import (
    BEHIND,
    FAR_NODE,
    INTERNET,
    PEER_NODE,
    PEERS,
    SECOND,
    UNDERLAY,
    USERS,
)

HOOKS: Final = ("xdp", "bmv2")
WHY: Final = "a node with feature peers or edge ports runs all its ports at XDP"

NEAR4, NEAR6 = UNDERLAY.neighbour.address4, UNDERLAY.neighbour.address6
FAR4, FAR6 = SECOND.neighbour.address4, SECOND.neighbour.address6

PEER_BY4 = locator(PEER_NODE, (UNDERLAY, NEAR4))
FAR_BY4 = locator(FAR_NODE, (SECOND, FAR4))
FAR_BY6 = locator(FAR_NODE, (SECOND, FAR6))
GRAPH: Final = changed(
    *(origin(address, PEER_NODE) for address in (NEAR4, NEAR6)),
    *(origin(address, FAR_NODE) for address in (FAR4, FAR6)),
    PEER_BY4,
    FAR_BY4,
    peer(PEERS),
    peer(BEHIND),
    edge(USERS),
    edge(INTERNET),
)
"""The peer's node on port 1, the far node on port 2, feature peers without headers, two edge ports."""


def graph(*entries: Entry, without: Iterable[Entry] = ()) -> tuple[Entry, ...]:
    """The same with some entries added, replaced or left out."""
    names = {(entry.table, str(entry.key), entry.priority) for entry in (*entries, *without)}
    kept = (entry for entry in GRAPH if (entry.table, str(entry.key), entry.priority) not in names)
    return (*kept, *entries)


def concern(name: str) -> Concern:
    """A concern whose cases start from the graph's node."""
    return Concern(name, GRAPH, HOOKS, WHY)


def user4(**fields: Any) -> Packet:
    """An IPv4 packet of a user's to a server."""
    return inner4(**{"source": USERS.host4, "destination": INTERNET.host4, **fields})


def user6(**fields: Any) -> Packet:
    """The same over IPv6."""
    return inner6(**{"source": USERS.host6, "destination": INTERNET.host6, **fields})


def server4(**fields: Any) -> Packet:
    """An IPv4 packet of the server's to the user."""
    return inner4(**{"source": INTERNET.host4, "destination": USERS.host4, **fields})


def server6(**fields: Any) -> Packet:
    """The same over IPv6."""
    return inner6(**{"source": INTERNET.host6, "destination": USERS.host6, **fields})


def on_path(inner: Packet, **fields: Any) -> Data:
    """A packet on the path ``SPI`` that the peer's node sends to us, of no service connection."""
    return Data(inner, **{"scid": 0, "spi": SPI, "si": START, **fields})


def on_path6(inner: Packet, **fields: Any) -> Data:
    """The same in an outer IPv6 header."""
    return on_path(inner, **{"source": NEAR6, "destination": UNDERLAY.address6, **fields})


MALFORMED: Final = (
    (raw(user4())[:19], 0x0800, Event.DROP_INNER_TRUNCATED),
    (raw(user6())[:39], 0x86DD, Event.DROP_INNER_TRUNCATED),
    (raw(user6()), 0x0800, Event.DROP_INNER_VERSION),
    (raw(user4()), 0x86DD, Event.DROP_INNER_VERSION),
    (raw(user4(ihl=4)), 0x0800, Event.DROP_INNER_HEADER_LENGTH),
    (raw(user4(chksum=1)), 0x0800, Event.DROP_INNER_CHECKSUM),
    (raw(user4(len=101)), 0x0800, Event.DROP_INNER_LENGTH),
    (raw(user6(plen=61)), 0x86DD, Event.DROP_INNER_LENGTH),
)
"""Octets that are no packet, their EtherType, and what becomes of them."""
