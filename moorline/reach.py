# SPDX-License-Identifier: Apache-2.0
"""What a port leads to: prefixes behind an edge port, user devices' tunnels at an underlay port."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import PlainSerializer, PlainValidator

from moorline.addresses import Network, stands_for_ipv4
from moorline.wire import Tunnel

TunnelName = Literal["vxlan", "gre", "ipip"]


def _prefix(value: Any) -> Network:
    try:
        network = ip_network(str(value))
    except ValueError:
        raise ValueError("write a prefix without bits of hosts, such as 192.0.2.0/24 or ::/0") from None
    if stands_for_ipv4(network):
        raise ValueError("this is IPv4 in the form of IPv6: write it as 192.0.2.0/24")
    return network


PrefixText = Annotated[Network, PlainValidator(_prefix), PlainSerializer(str, when_used="json")]


def tunnel_of(name: TunnelName) -> Tunnel:
    """The kind of tunnel as the contract numbers it."""
    return Tunnel[name.upper()]


def check_reach(
    role: str, tenant: int, prefixes: Collection[Network], tunnels: Collection[TunnelName]
) -> None:
    """Check that a port of this role can have these; raises ``ValueError``."""
    if prefixes and role != "edge":
        raise ValueError("prefixes belong to edge ports: leave them out, or set the role")
    if tunnels and role != "underlay":
        raise ValueError("tunnels belong to underlay ports: leave them out, or set the role")
    if tenant and role == "underlay":
        raise ValueError("an underlay port has no tenant, packets there say theirs: leave it out")
