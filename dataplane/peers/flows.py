# SPDX-License-Identifier: Apache-2.0
"""Flows that need not go through all peers any more: long ones, and those that a cache answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, NamedTuple

CONNTRACK: Final = "/proc/thread-self/net/nf_conntrack"
"""The connections that the kernel follows, one a line, with octets where it counts them; in the namespace of
the thread that reads.
"""

_OCTETS: Final = " bytes="
_PORTS: Final = ("sport", "dport")
_PROTOCOL: Final = 3
"""Which word of a line is the protocol's number."""


class Traffic(NamedTuple):
    """What went one way."""

    packets: int
    octets: int


class Flow(NamedTuple):
    """From a customer to a server."""

    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    protocol: int
    source_port: int
    destination_port: int


def long_flows(listing: str, octets: int) -> Iterator[Flow]:
    """The flows with ports that have carried so many octets, in both directions together."""
    for line in listing.splitlines():
        # Nearly all are short: nothing else is read of those.
        if sum(int(text.partition(" ")[0]) for text in line.split(_OCTETS)[1:]) < octets:
            continue
        words = line.split()
        first: dict[str, str] = {}
        for name, _, value in (word.partition("=") for word in words if "=" in word):
            first.setdefault(name, value)  # of the direction that came first; those of the answers follow
        if all(name in first for name in _PORTS):
            yield Flow(
                ip_address(first["src"]),
                ip_address(first["dst"]),
                int(words[_PROTOCOL]),
                int(first["sport"]),
                int(first["dport"]),
            )


def hit_in(message: bytes) -> Flow | None:
    """The flow in a message of squid about an answer that it had; None for anything else."""
    try:
        said: dict[str, Any] = json.loads(message)
        if "HIT" not in said["status"]:  # an error of its own
            return None
        return Flow(
            ip_address(said["source"]),
            ip_address(said["destination"]),
            6,
            int(said["source_port"]),
            int(said["destination_port"]),
        )
    except (ValueError, KeyError, TypeError):
        return None
