# SPDX-License-Identifier: Apache-2.0
"""What the controller knows: nodes, services, connections, rules; and how each is written to the store.

Records are JSON, so that an operator can read a store with ``sqlite3``; octets are hexadecimal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, Self

from control.usage import Usage
from moorline.paths import Locator

NODE: Final = "node/"
SERVICE: Final = "service/"
CONNECTION: Final = "connection/"
RULE: Final = "rule/"
TOKEN: Final = "token/"  # noqa: S105 - a prefix of keys
USAGE: Final = "usage/"
"""Prefixes of the keys in the store."""


class Status(IntEnum):
    """State of a data channel; values are those of ``moorline.v1.ChannelStatus``."""

    UP = 1
    DOWN = 2
    LOCAL = 3


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a node's data plane, as its agent reports it."""

    number: int
    interface: str
    role: str
    hook: str
    up: bool
    mtu: int


@dataclass(slots=True, eq=False)
class Node:
    """A node; its fields from ``previous`` on are not stored.

    ``previous`` holds the addresses of before its last change, during the grace time; ``peers`` counts the
    connections with each other node, by its number; ``services`` are those that it hosts, by name;
    ``connections`` those with an end here, by SCID; ``registering`` counts services that are being stored;
    ``leaving`` says that it is being removed.
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
    previous: tuple[bytes, ...] = ()
    peers: dict[int, int] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    connections: dict[int, Connection] = field(default_factory=dict)
    registering: int = 0
    leaving: bool = False

    @property
    def key(self) -> str:
        """Its key in the store."""
        return NODE + self.name

    def encode(self) -> bytes:
        """Its value in the store."""
        return _dump(
            {
                "id": self.id,
                "generation": self.generation,
                "locators": [[at.address.hex(), at.port, at.interface, at.mtu] for at in self.locators],
                "ports": [[p.number, p.interface, p.role, p.hook, p.up, p.mtu] for p in self.ports],
                "version": self.version,
                "p4runtime_port": self.p4runtime_port,
                "capacity": self.capacity,
                "access_port": self.access_port,
                "last_seen_ns": self.last_seen_ns,
            }
        )

    @classmethod
    def decode(cls, key: str, value: bytes) -> Self:
        """Read back what :meth:`encode` wrote."""
        data: dict[str, Any] = json.loads(value)
        data["locators"] = tuple(Locator(bytes.fromhex(at[0]), *at[1:]) for at in data["locators"])
        data["ports"] = tuple(Port(*port) for port in data["ports"])
        return cls(name=key.removeprefix(NODE), **data)


@dataclass(slots=True, eq=False)
class Service:
    """A registered service; ``expires_ns`` is 0 without a lease.

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
    leaving: bool = False

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
        )


@dataclass(slots=True, eq=False)
class Connection:
    """A service connection; the client is the service that asked first.

    What follows ``created_ns`` is not stored with it: ``programmed`` says that both ends have acknowledged
    its entries since it last came up; ``usage`` is its account, None before the first packet; ``answers``
    holds serialized lookup answers (see ``control.answers``).
    """

    scid: int
    client: Service
    server: Service
    secret: bytes
    status: Status
    mtu: int
    idle_timeout_seconds: int
    created_ns: int
    programmed: bool = False
    usage: Usage | None = None
    answers: tuple[tuple[int, int], dict[tuple[bool, bool], bytes]] | None = None

    @property
    def key(self) -> str:
        """Its key in the store."""
        return f"{CONNECTION}{self.scid:016x}"

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
        """Its value in the store."""
        return _dump(
            {
                "client": self.client.name,
                "server": self.server.name,
                "secret": self.secret.hex(),
                "status": int(self.status),
                "mtu": self.mtu,
                "idle": self.idle_timeout_seconds,
                "created": self.created_ns,
            }
        )

    @classmethod
    def decode(cls, key: str, value: bytes, services: Mapping[str, Service]) -> Self | None:
        """Read back what :meth:`encode` wrote; None when one of its services is gone."""
        data = json.loads(value)
        client, server = services.get(data["client"]), services.get(data["server"])
        if client is None or server is None:
            return None
        return cls(
            int(key.removeprefix(CONNECTION), 16),
            client,
            server,
            bytes.fromhex(data["secret"]),
            Status(data["status"]),
            data["mtu"],
            data["idle"],
            data["created"],
        )


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
