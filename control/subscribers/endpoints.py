# SPDX-License-Identifier: Apache-2.0
"""Which endpoint a device's tunnel is best opened at: by where the device is, cost of the way, and load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import get_args

from control.errors import InvalidRequestError
from control.records import Node
from control.state import State
from control.subscribers.directory import Subscribers
from control.subscribers.locations import EndpointsConfig, LocationConfig, Locations
from control.subscribers.rows import ends_of_tunnels
from moorline.addresses import Network, packed
from moorline.reach import TunnelName

KINDS: tuple[str, ...] = get_args(TunnelName)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place where tunnels end; ``price`` is ``cost``, raised by the ``devices`` that are there already."""

    node: str
    address: bytes
    cost: int
    devices: int
    price: float


@dataclass(frozen=True, slots=True)
class Found:
    """Endpoints, the best first, for all devices in ``network``."""

    location: str
    network: Network
    endpoints: tuple[Endpoint, ...]


class Endpoints:
    """The directory of endpoints.

    Args:
        config: locations and costs.
        state: the nodes.
        subscribers: who knows the devices at each.
        healthy: whether packets to a node are led as they should be.
    """

    def __init__(
        self,
        config: EndpointsConfig,
        state: State,
        subscribers: Subscribers,
        healthy: Callable[[Node], bool],
    ) -> None:
        self._config = config
        self._locations = Locations(config)
        self._state = state
        self._subscribers = subscribers
        self._healthy = healthy

    def find(self, address: bytes, kind: str) -> Found:
        """The endpoints for a device at ``address`` (4 or 16 octets); raises :class:`InvalidRequestError`."""
        if kind not in KINDS:
            raise InvalidRequestError(f"{kind!r} is no kind of tunnel: choose one of {', '.join(KINDS)}")
        octets = packed(address)
        return self.near(ip_network((octets, 8 * len(octets))), kind, 4 if len(octets) == 4 else 6)

    def near(self, client: Network, kind: str, version: int) -> Found:
        """The endpoints for devices in an access network, those of one IP version."""
        place = self._locations.place(client)
        found = [
            self._endpoint(node, address, place.location, self._subscribers.tunnels_at(node.name))
            for node, address in self._open(kind, version)
        ]
        most = self._config.devices_per_node
        found.sort(key=lambda one: (one.devices >= most, one.price, one.node, one.address))
        return Found(place.location.name if place.location else "", place.network, tuple(found))

    def _open(self, kind: str, version: int) -> Iterator[tuple[Node, bytes]]:
        for node in self._state.nodes.values():
            if not node.leaving and self._healthy(node):
                for locator in ends_of_tunnels(node, kind, version):
                    yield node, locator.address

    def _endpoint(
        self, node: Node, address: bytes, location: LocationConfig | None, devices: int
    ) -> Endpoint:
        costs = location.costs if location is not None else {}
        cost = costs.get(node.name, self._config.default_cost)
        price = cost * (1 + devices / self._config.devices_per_node)
        return Endpoint(node.name, address, cost, devices, price)
