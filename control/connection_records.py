# SPDX-License-Identifier: Apache-2.0
"""Service connections and their paths, and how they are written to the store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from control.records import CONNECTION, Node, Service, Status, dump
from control.usage import Usage
from moorline.wire import OVERHEAD_IPV6

_SMALLEST_MTU: Final = 1280
"""What IPv6 asks of every link (RFC 8200, section 5)."""


class Path(NamedTuple):
    """The way of a connection: the nodes on it from the client's to the server's, and the SCID of each leg.

    A leg joins two neighbours. Next to a border each leg has an SCID of its own, elsewhere they share one. A
    connection within one node has no leg, but an SCID all the same.
    """

    nodes: tuple[Node, ...]
    scids: tuple[int, ...]

    @property
    def relays(self) -> tuple[Node, ...]:
        """The nodes between its ends, in order."""
        return self.nodes[1:-1]

    @property
    def mtu(self) -> int:
        """Octets of the largest inner packet, whatever family the legs take after some address change."""
        smallest = min((node.mtu for node in self.nodes if node.mtu), default=0)
        return max(smallest - OVERHEAD_IPV6, _SMALLEST_MTU)

    @property
    def neighbours(self) -> Iterator[tuple[Node, Node]]:
        """Each node with each of its neighbours."""
        for one, other, _ in self.legs:
            yield one, other
            yield other, one

    @property
    def legs(self) -> Iterator[tuple[Node, Node, int]]:
        """Two neighbours, the one towards the client first, and the SCID between them; for each leg."""
        return zip(self.nodes, self.nodes[1:], self.scids, strict=False)

    @property
    def places(self) -> set[tuple[Node, int]]:
        """Each node with each SCID that it sees."""
        if len(self.nodes) == 1:
            return {(self.nodes[0], self.scids[0])}
        return {(node, scid) for one, other, scid in self.legs for node in (one, other)}

    def scid_at(self, end: Node) -> int:
        """The SCID of the leg at an end."""
        return self.scids[0] if end is self.nodes[0] else self.scids[-1]

    def neighbour_of(self, end: Node) -> Node:
        """The node next to an end; itself on a path within one node."""
        at = min(1, len(self.nodes) - 1)
        return self.nodes[at] if end is self.nodes[0] else self.nodes[-1 - at]

    def sides_of(self, relay: Node) -> tuple[tuple[Node, int], tuple[Node, int]]:
        """The neighbours of a relay with the SCIDs of the legs there: towards the client, and the server."""
        at = self.nodes.index(relay)
        return (self.nodes[at - 1], self.scids[at - 1]), (self.nodes[at + 1], self.scids[at])


class Through(NamedTuple):
    """The service paths of a connection that a graph leads: their SPI (0: none that way), the nodes at whose
    peers they pass, and the octets of the largest inner packet that they carry.
    """

    graph: str
    forward: int
    reverse: int
    nodes: tuple[Node, ...]
    mtu: int


@dataclass(slots=True, eq=False)
class Connection:
    """A service connection; the client is the service that asked first.

    ``id`` is the SCID that it was made with, under which it is stored for good. ``path`` is the one that its
    packets are sent on; on ``upcoming``, a path that is being prepared, and on those in ``former`` they are
    accepted as well.

    What follows ``former`` is not stored with it: ``programmed`` says that all nodes of its path have
    acknowledged its entries since it last came up; ``through`` is how a graph leads it, None: straight;
    ``passing`` are the nodes on service paths where its packets may be now: they are known there, and taken
    from anywhere; ``last_through`` is how a graph led it last, while there are any; ``usage`` is its account,
    None before the first packet; ``answers`` holds serialized lookup answers (see ``control.answers``).
    """

    id: int
    client: Service
    server: Service
    secret: bytes
    path: Path
    status: Status
    idle_timeout_seconds: int
    created_ns: int
    upcoming: Path | None = None
    former: tuple[Path, ...] = ()
    programmed: bool = False
    through: Through | None = None
    passing: tuple[Node, ...] = ()
    last_through: Through | None = None
    usage: Usage | None = None
    answers: tuple[tuple[int, int], dict[tuple[bool, bool], bytes]] | None = None

    @property
    def key(self) -> str:
        """Its key in the store."""
        return f"{CONNECTION}{self.id:016x}"

    @property
    def scid(self) -> int:
        """The SCID of the leg at its client, by which users name it."""
        return self.path.scids[0]

    @property
    def mtu(self) -> int:
        """Octets of the largest packet that is let into its tunnel."""
        return self.path.mtu if self.through is None else min(self.path.mtu, self.through.mtu)

    @property
    def paths(self) -> tuple[Path, ...]:
        """All paths on which its packets are accepted: the one that they are sent on first."""
        return (self.path, *([self.upcoming] if self.upcoming else ()), *self.former)

    @property
    def tenant(self) -> int:
        """The tenant of its two services."""
        return self.client.tenant

    @property
    def nodes(self) -> tuple[Node, Node]:
        """The client's node and the server's; the same twice when it is local."""
        return self.client.node, self.server.node

    def ends_at(self, node: Node) -> tuple[Service, Service]:
        """The service at ``node``, which has an end of it, and the one at the other end."""
        return (self.client, self.server) if self.client.node is node else (self.server, self.client)

    def encode(self) -> bytes:
        """Its value in the store; a direct path with the SCID of its key is left out."""
        data: dict[str, object] = {
            "client": self.client.name,
            "server": self.server.name,
            "secret": self.secret.hex(),
            "status": int(self.status),
            "idle": self.idle_timeout_seconds,
            "created": self.created_ns,
        }
        if self.path.relays or self.path.scids != (self.id,):
            data["path"] = _dump_path(self.path)
        if self.upcoming is not None:
            data["upcoming"] = _dump_path(self.upcoming)
        if self.former:
            data["former"] = [_dump_path(path) for path in self.former]
        return dump(data)

    @classmethod
    def decode(
        cls, key: str, value: bytes, services: Mapping[str, Service], nodes: Mapping[str, Node]
    ) -> Self | None:
        """Read back what :meth:`encode` wrote; None when one of its services or relays is gone."""
        data = json.loads(value)
        client, server = services.get(data["client"]), services.get(data["server"])
        stored = (data.get("path", ((),)), data.get("upcoming", ((),)), *data.get("former", ()))
        if client is None or server is None or any(name not in nodes for at in stored for name in at[0]):
            return None
        number = int(key.removeprefix(CONNECTION), 16)

        def path(stored: tuple[list[str], list[str]]) -> Path:
            relays = (nodes[name] for name in stored[0])
            stops = dict.fromkeys((client.node, *relays, server.node))
            return Path(tuple(stops), tuple(int(scid, 16) for scid in stored[1]))

        return cls(
            number,
            client,
            server,
            bytes.fromhex(data["secret"]),
            path(data.get("path", ([], [f"{number:x}"]))),
            Status(data["status"]),
            data["idle"],
            data["created"],
            path(data["upcoming"]) if "upcoming" in data else None,
            tuple(map(path, data.get("former", ()))),
        )


def _dump_path(path: Path) -> tuple[list[str], list[str]]:
    """Names of the relays, and SCIDs."""
    return [relay.name for relay in path.relays], [f"{scid:016x}" for scid in path.scids]
