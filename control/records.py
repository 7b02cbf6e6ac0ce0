# SPDX-License-Identifier: Apache-2.0
"""What the controller knows: nodes, services and rules; and how each is written to the store.

Records are JSON, so that an operator can read a store with ``sqlite3``; octets are hexadecimal.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Any, Final, Self

from moorline.addresses import Network
from moorline.paths import Locator
from moorline.switch import SwitchConfig
from moorline.wire import PeerHeader

NODE: Final = "node/"
SERVICE: Final = "service/"
CONNECTION: Final = "connection/"
RULE: Final = "rule/"
TOKEN: Final = "token/"  # noqa: S105 - a prefix of keys
DRAINED: Final = "drained/"
USAGE: Final = "usage/"
"""Prefixes of the keys in the store."""


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
    def networks(self) -> tuple[Network, ...]:
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
    relays; ``services`` are those that it hosts, by name; ``connections`` has the ids of those with an end
    here, ``relayed`` of those that pass; ``registering`` counts services that are being stored; ``leaving``
    says that it is being removed.
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
    connections: set[int] = field(default_factory=set)
    relayed: set[int] = field(default_factory=set)
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

    @property
    def edge_ports(self) -> tuple[Port, ...]:
        """Those of its ports where packets of no service connection come in and leave the site."""
        return tuple(port for port in self.ports if port.role == "edge")

    def encode(self) -> bytes:
        """Its value in the store."""
        return dump(
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
        return dump(
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
        return dump({"client": self.client, "server": self.server, "allow": self.allow})

    @classmethod
    def decode(cls, key: str, value: bytes) -> Self:
        """Read back what :meth:`encode` wrote."""
        return cls(key.removeprefix(RULE), **json.loads(value))


_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def dump(data: dict[str, object]) -> bytes:
    """The octets of a value in the store."""
    return _ENCODER.encode(data).encode()
