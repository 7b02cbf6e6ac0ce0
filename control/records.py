# SPDX-License-Identifier: Apache-2.0
"""What the controller knows: nodes, services, connections, rules; and how each is written to the store.

Records are JSON, so that an operator can read a store with ``sqlite3``; octets are hexadecimal.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Any, Final, NamedTuple, Self

from control.usage import Usage
from moorline.paths import Locator
from moorline.switch import SwitchConfig
from moorline.wire import OVERHEAD_IPV6, PeerHeader

NODE: Final = "node/"
SERVICE: Final = "service/"
CONNECTION: Final = "connection/"
RULE: Final = "rule/"
TOKEN: Final = "token/"  # noqa: S105 - a prefix of keys
DRAINED: Final = "drained/"
USAGE: Final = "usage/"
"""Prefixes of the keys in the store."""

_SMALLEST_MTU: Final = 1280
"""What IPv6 asks of every link (RFC 8200, section 5)."""


class Status(IntEnum):
    """State of a data channel; values are those of ``moorline.v1.ChannelStatus``."""

    UP = 1
    DOWN = 2
    LOCAL = 3


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a node's data plane, as its agent reports it.

    ``addresses`` are a gateway or edge port's own, in text form with the length of the prefix on its link;
    ``prefixes`` are what is reached through an edge port, in text form; ``tenant`` is whose packets come in
    at an edge or peer port; ``tunnels`` are the kinds of user devices' tunnels that are opened at an underlay
    port.
    """

    number: int
    interface: str
    role: str
    hook: str
    up: bool
    mtu: int
    addresses: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    tenant: int = 0
    tunnels: tuple[str, ...] = ()

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The prefixes as networks."""
        return tuple(map(ip_network, self.prefixes))

    @property
    def interfaces(self) -> tuple[IPv4Interface | IPv6Interface, ...]:
        """The addresses with their networks."""
        return tuple(map(ip_interface, self.addresses))


@dataclass(frozen=True, slots=True)
class FeaturePeer:
    """A feature peer at a node, as its agent, or the operator of its switch, says.

    ``ports`` are one or two numbers, ``macs`` its own link-layer addresses there, ``port_macs`` those of the
    ports. ``problem`` says why it is not ``up``.
    """

    name: str
    kind: str
    tenant: int
    ports: tuple[int, ...]
    macs: tuple[bytes, ...]
    port_macs: tuple[bytes, ...]
    header: PeerHeader = PeerHeader.NONE
    by_mac: bool = False
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    rewrites: bool = False
    spare: bool = False
    local: IPv4Address | IPv6Address | None = None
    remote: IPv4Address | IPv6Address | None = None
    up: bool = True
    problem: str = ""

    def encode(self) -> dict[str, Any]:
        """Its part of the value of its node."""
        return {
            **dataclasses.asdict(self),
            "macs": [mac.hex() for mac in self.macs],
            "port_macs": [mac.hex() for mac in self.port_macs],
            "header": int(self.header),
            "addresses": [str(address) for address in self.addresses],
            "local": self.local and str(self.local),
            "remote": self.remote and str(self.remote),
        }

    @classmethod
    def decode(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`encode` wrote."""
        return cls(
            **{
                **data,
                "ports": tuple(data["ports"]),
                "macs": tuple(map(bytes.fromhex, data["macs"])),
                "port_macs": tuple(map(bytes.fromhex, data["port_macs"])),
                "header": PeerHeader(data["header"]),
                "addresses": tuple(map(ip_address, data["addresses"])),
                "local": data["local"] and ip_address(data["local"]),
                "remote": data["remote"] and ip_address(data["remote"]),
            }
        )


@dataclass(frozen=True, slots=True)
class SwitchFacts:
    """What an operator said of a switch: where its P4Runtime server is, and its ports."""

    target: str
    device_id: int
    config: SwitchConfig

    def encode(self) -> dict[str, Any]:
        """Its part of the value of its node."""
        return {"target": self.target, "device_id": self.device_id, **self.config.model_dump(mode="json")}

    @classmethod
    def decode(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`encode` wrote."""
        # Stores from before there were feature peers lack them.
        config = {"ports": data["ports"], "peers": data.get("peers", ())}
        return cls(data["target"], data["device_id"], SwitchConfig.model_validate(config))


@dataclass(slots=True, eq=False)
class Node:
    """A node; its fields from ``mtu`` on are not stored.

    ``via`` names the relay through which its channels go, if any; at a ``border`` they change their SCID.
    ``switch`` is None for a host, whose agent reports; of a switch all comes from its operator.
    ``feature_peers`` are those at its ports.

    ``mtu`` is the least of its locators' MTUs, or was so when it last had one; 0: it never had any.
    ``previous`` holds the addresses of before its last change, during the grace time; ``peers`` counts the
    paths on which each other node is its neighbour, by its number, and ``origins`` those among them that it
    relays; ``services`` are those that it hosts, by name; ``connections`` those with an end here, ``relayed``
    those that pass, by id; ``registering`` counts services that are being stored; ``leaving`` says that it is
    being removed.
    """

    name: str
    id: int
    generation: int = 0
    locators: tuple[Locator, ...] = ()
    ports: tuple[Port, ...] = ()
    version: str = ""
    p4runtime_port: int = 0
    capacity: int = 0
    access_port: int = 0
    last_seen_ns: int = 0
    via: str = ""
    border: bool = False
    switch: SwitchFacts | None = None
    feature_peers: tuple[FeaturePeer, ...] = ()
    mtu: int = 0
    previous: tuple[bytes, ...] = ()
    peers: dict[int, int] = field(default_factory=dict)
    origins: dict[int, int] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    connections: dict[int, Connection] = field(default_factory=dict)
    relayed: dict[int, Connection] = field(default_factory=dict)
    registering: int = 0
    leaving: bool = False

    def __post_init__(self) -> None:
        self.learn_mtu()

    def learn_mtu(self) -> bool:
        """Take ``mtu`` over from the locators; whether it has changed."""
        before, self.mtu = self.mtu, min((at.mtu for at in self.locators), default=self.mtu)
        return self.mtu != before

    @property
    def key(self) -> str:
        """Its key in the store."""
        return NODE + self.name

    @property
    def addresses(self) -> tuple[bytes, ...]:
        """Where it is, then where it was until a moment ago (4 or 16 octets)."""
        return (*(at.address for at in self.locators), *self.previous)

    def encode(self) -> bytes:
        """Its value in the store."""
        return _dump(
            {
                "id": self.id,
                "generation": self.generation,
                "locators": [[at.address.hex(), at.port, at.interface, at.mtu] for at in self.locators],
                "ports": [[*dataclasses.astuple(port)] for port in self.ports],
                "feature_peers": [peer.encode() for peer in self.feature_peers],
                "version": self.version,
                "p4runtime_port": self.p4runtime_port,
                "capacity": self.capacity,
                "access_port": self.access_port,
                "last_seen_ns": self.last_seen_ns,
                "via": self.via,
                "border": self.border,
                "switch": self.switch and self.switch.encode(),
            }
        )

    @classmethod
    def decode(cls, key: str, value: bytes) -> Self:
        """Read back what :meth:`encode` wrote."""
        data: dict[str, Any] = json.loads(value)
        data["locators"] = tuple(Locator(bytes.fromhex(at[0]), *at[1:]) for at in data["locators"])
        data["ports"] = tuple(map(_load_port, data["ports"]))
        # Stores from before there were feature peers lack them.
        data["feature_peers"] = tuple(map(FeaturePeer.decode, data.get("feature_peers", ())))
        if facts := data.get("switch"):  # stores from before there were switches lack it
            data["switch"] = SwitchFacts.decode(facts)
        return cls(name=key.removeprefix(NODE), **data)


def _load_port(stored: list[Any]) -> Port:
    """Stores from before there were gateways have six fields, those from before edge ports seven, and those
    from before user devices' tunnels nine.
    """
    fields: list[Any] = [tuple(field) if isinstance(field, list) else field for field in stored]
    return Port(*fields)


@dataclass(slots=True, eq=False)
class Service:
    """A registered service; ``expires_ns`` is 0 without a lease.

    ``ipv4`` and ``ipv6`` are empty where it has no address of that family. ``port`` is the gateway port of
    its node behind which its host is; 0: it is at the node itself.

    ``leaving`` says that it is being taken back; it is not stored.
    """

    name: str
    node: Node
    tenant: int
    ipv4: bytes
    ipv6: bytes
    ttl_seconds: int
    expires_ns: int
    registered_ns: int
    port: int = 0
    leaving: bool = False

    @property
    def access_port(self) -> int:
        """The port of its node by which its packets come and go."""
        return self.port or self.node.access_port

    @property
    def key(self) -> str:
        """Its key in the store."""
        return SERVICE + self.name

    def encode(self) -> bytes:
        """Its value in the store."""
        return _dump(
            {
                "node": self.node.name,
                "tenant": self.tenant,
                "ipv4": self.ipv4.hex(),
                "ipv6": self.ipv6.hex(),
                "ttl": self.ttl_seconds,
                "expires": self.expires_ns,
                "registered": self.registered_ns,
                "port": self.port,
            }
        )

    @classmethod
    def decode(cls, key: str, value: bytes, nodes: Mapping[str, Node]) -> Self | None:
        """Read back what :meth:`encode` wrote; None when its node is gone."""
        data = json.loads(value)
        node = nodes.get(data["node"])
        if node is None:
            return None
        return cls(
            key.removeprefix(SERVICE),
            node,
            data["tenant"],
            bytes.fromhex(data["ipv4"]),
            bytes.fromhex(data["ipv6"]),
            data["ttl"],
            data["expires"],
            data["registered"],
            data.get("port", 0),  # stores from before there were gateways lack it
        )


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
        return _dump(data)

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


@dataclass(frozen=True, slots=True)
class Rule:
    """Whether services of one pattern may open connections to those of another."""

    name: str
    client: str
    server: str
    allow: bool

    @property
    def key(self) -> str:
        """Its key in the store."""
        return RULE + self.name

    def encode(self) -> bytes:
        """Its value in the store."""
        return _dump({"client": self.client, "server": self.server, "allow": self.allow})

    @classmethod
    def decode(cls, key: str, value: bytes) -> Self:
        """Read back what :meth:`encode` wrote."""
        return cls(key.removeprefix(RULE), **json.loads(value))


_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def _dump(data: dict[str, object]) -> bytes:
    return _ENCODER.encode(data).encode()
