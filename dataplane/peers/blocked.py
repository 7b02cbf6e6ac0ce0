# SPDX-License-Identifier: Apache-2.0
"""Which customer is not to reach which name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from dataplane.peers.names_in import canonical
from moorline.addresses import Network


class Blocked:
    """Lists of names for prefixes of customers; a customer may be in several."""

    def __init__(self, lists: Iterable[Mapping[str, Sequence[str]]]) -> None:
        self._lists: list[tuple[tuple[Network, ...], frozenset[str]]] = [
            (
                tuple(map(ip_network, one["customers"])),
                frozenset(canonical(name.removeprefix("*.")) for name in one["names"]),
            )
            for one in lists
        ]

    @classmethod
    def parse(cls, text: str) -> Blocked:
        """Read JSON: a list of objects with ``customers`` and ``names``."""
        lists: list[dict[str, Any]] = json.loads(text)
        return cls(lists)

    def forbids(self, customer: bytes, name: str) -> bool:
        """Whether the customer at an address (4 or 16 octets) is not to reach a name, or one above it."""
        address = ip_address(customer)
        labels = name.split(".")
        above = [".".join(labels[n:]) for n in range(len(labels))]
        return any(
            not names.isdisjoint(above)
            for prefixes, names in self._lists
            if any(address in prefix for prefix in prefixes)
        )
