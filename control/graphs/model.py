# SPDX-License-Identifier: Apache-2.0
"""The file of a service graph: YAML, checked key by key."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, model_validator

from control.rules import parse_pattern
from control.yaml_file import read_mapping
from moorline.addresses import Network
from moorline.config import Section, parse
from moorline.errors import MoorlineError

MAX_PRIORITY: Final = 9999
_MAX_TENANT: Final = (1 << 24) - 1
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?\Z")
_PROTOCOLS: Final = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "icmpv6": 58, "sctp": 132, "udplite": 136}
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_PORT_RANGE: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z")


class Ports(NamedTuple):
    """A range of ports, both ends in it."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def _ports(value: Any) -> Ports:
    match = _PORT_RANGE.match(str(value)) if isinstance(value, int | str) else None
    if match is None:
        raise ValueError("write a port, such as 443, or a range, such as 8000-8010")
    ports = Ports(int(match[1]), int(match[2] or match[1]))
    if not 1 <= ports.first <= ports.last <= 0xFFFF:
        raise ValueError("ports are from 1 to 65535, the lower one first")
    return ports


def _network(value: Any) -> Network:
    if not isinstance(value, str | IPv4Network | IPv6Network):
        raise ValueError("write a prefix, such as 192.0.2.0/24 or 2001:db8::/48")
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        raise ValueError("write a prefix, such as 192.0.2.0/24 or 2001:db8::/48") from None
    if ip_interface(value).ip != network.network_address:
        raise ValueError(f"this has bits behind its length: write {network}")
    if network.version == 6 and network.overlaps(_MAPPED):
        raise ValueError("this holds addresses that stand for IPv4: write 2000::/3 for all of the Internet")
    return network


def _protocol(value: Any) -> int:
    if isinstance(value, str) and value.lower() in _PROTOCOLS:
        return _PROTOCOLS[value.lower()]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255:
        return value
    raise ValueError(f"write one of {', '.join(_PROTOCOLS)}, or a number from 0 to 255")


def _name(text: str) -> str:
    if not _NAME.match(text):
        raise ValueError("a name has up to 63 small letters, digits, hyphens and dots")
    return text


def _pattern(text: str) -> str:
    try:
        return parse_pattern(text)
    except MoorlineError as error:
        raise ValueError(str(error)) from None


_Text = PlainSerializer(str, when_used="json")
_Network = Annotated[Network, PlainValidator(_network), _Text]
_Ports = Annotated[Ports, PlainValidator(_ports), _Text]
_Protocol = Annotated[int, PlainValidator(_protocol)]
Name = Annotated[str, AfterValidator(_name)]
_Pattern = Annotated[str, AfterValidator(_pattern)]
_Text64 = Annotated[str, Field(min_length=1, max_length=253)]


class When(Section):
    """What a packet of the way to a server has to have; what is left out is not asked for."""

    protocol: _Protocol | None = None
    ports: tuple[_Ports, ...] = ()
    """Of the server."""

    servers: tuple[_Network, ...] = ()


class Services(Section):
    """Service connections from services of one pattern to those of another."""

    client: _Pattern
    server: _Pattern


class Applies(When):
    """Who and what the graph is for: customers' packets, or service connections."""

    customers: tuple[_Text64, ...] = ()
    profiles: tuple[_Text64, ...] = ()
    prefixes: tuple[_Network, ...] = ()
    services: Services | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        who = bool(self.customers or self.profiles or self.prefixes)
        if self.services is None:
            if not who:
                raise ValueError("nobody is named: give customers, profiles, prefixes or services")
        elif who or self.servers or self.ports or self.protocol is not None:
            raise ValueError("services stand alone: write another item of applies for everything else")
        return self


class Arm(Section):
    """One way out of a branch."""

    when: When | None = None
    path: tuple[Hop, ...]


class Hop(Section):
    """A feature peer, or a branch in its place."""

    peer: Name | None = None
    """A kind of peers, one of whose instances takes the packet."""

    fail: Literal["open", "closed"] = "closed"
    """What becomes of packets when no instance lives."""

    branch: tuple[Arm, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        return {"peer": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _peer_or_branch(self) -> Self:
        if (self.peer is None) == (not self.branch):
            raise ValueError("a hop is the name of a kind of peers, or a branch: give one of both")
        if any(arm.when is None for arm in self.branch[:-1]):
            raise ValueError("a branch without when takes all that is left: write it last")
        if self.branch and "fail" in self.model_fields_set:
            raise ValueError("fail belongs to a peer, not to a branch: write it in its paths")
        return self


class GraphSpec(Section):
    """A service graph, as its file has it."""

    name: Name
    tenant: Annotated[int, Field(ge=0, le=_MAX_TENANT)] = 0
    priority: Annotated[int, Field(ge=0, le=MAX_PRIORITY)] = 100
    """Of two graphs that apply to a packet, the one with the higher priority takes it."""

    applies: Annotated[tuple[Applies, ...], Field(min_length=1)]
    forward: Annotated[tuple[Hop, ...], Field(min_length=1)]
    """From the customer to the server; from the client to the server of a service connection."""

    reverse: tuple[Hop, ...]
    """In the file also ``same``, as without it: the forward path from its end; ``none``: answers go their own
    way."""

    @model_validator(mode="before")
    @classmethod
    def _reverse_in_words(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        reverse = data.get("reverse", "same")
        if reverse == "same":
            return {**data, "reverse": _reversed(data.get("forward", []))}
        if reverse == "none":
            return {**data, "reverse": []}
        if not isinstance(reverse, list | tuple):
            raise ValueError(f"reverse = {reverse!r} is wrong: write same, none, or a list of hops")
        return data

    @model_validator(mode="after")
    def _services_have_no_branches(self) -> Self:
        branches = any(hop.branch for hop in (*self.forward, *self.reverse))
        if branches and any(item.services for item in self.applies):
            raise ValueError("branches are for customers' packets: write a graph of their own for services")
        return self


def _reversed(hops: Any) -> Any:
    """What a file says of a path, from its end; what is malformed stays as it is, for the forward path's
    error comes first."""
    if not isinstance(hops, list | tuple):
        return []
    return [_with_paths_reversed(hop) for hop in reversed(hops)]


def _with_paths_reversed(hop: Any) -> Any:
    if not isinstance(hop, dict) or not isinstance(arms := hop.get("branch"), list | tuple):
        return hop
    turned = [{**arm, "path": _reversed(arm.get("path"))} if isinstance(arm, dict) else arm for arm in arms]
    return {**hop, "branch": turned}


def read_graph(text: str, source: str) -> GraphSpec:
    """The graph in a file; ``source`` is what errors call the file.

    Raises:
        InvalidRequestError: it is no YAML.
        ConfigError: a key or a value is wrong.
    """
    return parse(read_mapping(text, f"graph {source}", "name, applies and forward"), GraphSpec, source)
