# SPDX-License-Identifier: Apache-2.0
"""A node's own locators: which of the host's addresses they are, and the generation that they make up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dataplane.agent.netlink import HostTable
from moorline.paths import Locator

MAX_LOCATORS: Final = 32
"""That a node tells: a message of so many fits every path without fragments (32 of IPv6: 672 octets)."""


@dataclass(frozen=True, slots=True)
class UnderlayPort:
    """An interface towards other nodes and its port number."""

    interface: str
    number: int


def find_locators(host: HostTable, ports: Sequence[UnderlayPort]) -> tuple[Locator, ...]:
    """The addresses of the underlay ports that are up: by port as configured, then in the kernel's order.

    Of more than ``MAX_LOCATORS`` the first: peers hear of no others.
    """
    found = []
    for port in ports:
        link = host.link_named(port.interface)
        if link is None or not link.up:
            continue
        found += [
            Locator(address, port.number, port.interface, link.mtu)
            for address in host.addresses.get(link.index, {})
        ]
    return tuple(found[:MAX_LOCATORS])


@dataclass(slots=True)
class OwnLocators:
    """The node's locators and their generation, a number that only grows, also over restarts and clock
    changes.
    """

    generation: int
    locators: tuple[Locator, ...] = ()

    def update(self, found: tuple[Locator, ...], now_ns: int) -> bool:
        """Take the present set; whether it is another one, which gets a generation of its own."""
        if found == self.locators:
            return False
        self.locators = found
        self.generation = max(now_ns, self.generation + 1)
        return True
