# SPDX-License-Identifier: Apache-2.0
"""``[controller.endpoints]``: access networks, and what the way from each to the nodes costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator

from moorline.addresses import Network
from moorline.config import Section
from moorline.names import NodeName
from moorline.reach import PrefixText

_MAX_COST: Final = 1_000_000
Cost = Annotated[int, Field(ge=1, le=_MAX_COST)]


class LocationConfig(Section):
    """``[[controller.endpoints.location]]``: devices in some access networks."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    prefixes: Annotated[tuple[PrefixText, ...], Field(min_length=1)]
    """The addresses that devices have there, outside their tunnels."""

    costs: Mapping[str, Cost] = Field(default_factory=dict)
    """Of the way from there, by name of the node; nodes that are left out cost ``default_cost``."""


class EndpointsConfig(Section):
    """``[controller.endpoints]``."""

    locations: tuple[LocationConfig, ...] = Field(default=(), alias="location")
    default_cost: Cost = 100
    devices_per_node: Annotated[int, Field(ge=1, le=16_384)] = 1000
    """A node with so many counts as twice as costly, and is taken only when all others have as many."""

    name: str = ""
    """DNS zone in which endpoints have names; empty: there is no DNS server."""

    nameserver: str = ""
    """Name of this server in the zone; empty: ``controller.advertise``."""

    address: IPv4Address | IPv6Address = IPv6Address("::")
    port: Annotated[int, Field(ge=0, le=65535)] = 53
    ttl_seconds: Annotated[int, Field(ge=0, le=3600)] = 10
    """How long a device, or its resolver, may go by an answer."""

    @field_validator("name", "nameserver")
    @classmethod
    def _is_name(cls, text: str) -> str:
        return str(NodeName.parse(text)) if text else text

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        prefixes = [prefix for location in self.locations for prefix in location.prefixes]
        for prefix in prefixes:
            if prefixes.count(prefix) > 1:
                raise ValueError(f"{prefix} is at two locations: write it once")
        for location in self.locations:
            for name in location.costs:
                if NodeName.parse(name) != name:
                    raise ValueError(f"{name} is no name of a node: write it in small letters")
        return self


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address is: None at no location; the same is true of all addresses of ``network``."""

    location: LocationConfig | None
    network: Network


class Locations:
    """Finds the location with the longest prefix of an address."""

    def __init__(self, config: EndpointsConfig) -> None:
        found = ((prefix, location) for location in config.locations for prefix in location.prefixes)
        self._prefixes = sorted(found, key=lambda at: -at[0].prefixlen)

    def place(self, address: Network) -> Place:
        """Where the first address of ``address`` is (RFC 7871, section 7.2.1: what an answer is good for)."""
        family = [
            (prefix, location) for prefix, location in self._prefixes if prefix.version == address.version
        ]
        first = address.network_address
        holding = next(((prefix, at) for prefix, at in family if first in prefix), None)
        prefix, location = holding if holding is not None else (None, None)
        length = prefix.prefixlen if prefix is not None else 0
        for other, _ in family:
            if first not in other and (prefix is None or other[0] in prefix):
                length = max(length, _common_bits(int(first), int(other[0]), other.max_prefixlen) + 1)
        return Place(location, ip_network((first, length), strict=False))


def _common_bits(one: int, other: int, width: int) -> int:
    """How many bits two numbers begin with alike."""
    return width - (one ^ other).bit_length()
