# SPDX-License-Identifier: Apache-2.0
"""Customers of an instance that is being drained: they stay until nothing was heard of them for a while.

Whose buckets move is pinned first, in the same change. So only new customers go elsewhere, and the instance
is drained when none of its pins is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import structlog

from control.graphs.extras import Checks, Extras, Pin, read_rows
from control.graphs.graphs import Graphs
from control.graphs.layout import Kind, Layout
from control.graphs.maglev import bucket_of
from control.peers import PeerState
from control.records import Node
from control.southbound.contract import RowKey
from control.southbound.dataplanes import DataPlanes
from control.state import State
from moorline.addresses import mapped

log = structlog.get_logger(__name__)

IDLE_SECONDS: Final = 30
"""For so long a customer was not heard of who moves on to another instance."""

MAX_PINS: Final = 4096
"""Customers of one instance that are pinned at most."""

_MAX_NETWORK: Final = 256
"""Addresses of a prefix that are taken for customers, each of them, when no directory knows better."""

_NS: Final = 1_000_000_000


class Drains:
    """Pins of instances that are being drained (:class:`control.graphs.extras.Addition`)."""

    def __init__(self, state: State, planes: DataPlanes, graphs: Graphs) -> None:
        self._state = state
        self._planes = planes
        self._graphs = graphs
        self._pins: dict[str, dict[bytes, Pin]] = {}
        """By instance and customer, of all instances that are being drained."""
        self._owners: dict[str, tuple[str, ...]] = {}
        """Whose each bucket of a kind is, before the present change."""
        self._checks = Checks()

    def pinned(self, instance: str) -> int:
        """How many customers are still with an instance that is being drained."""
        return len(self._pins.get(instance, ()))

    # ---- control.graphs.extras.Addition --------------------------------------------------------------------

    def extras(self, layout: Layout) -> Extras:
        """The pins as they are due with this layout."""
        draining = {
            instance.name: kind
            for kind in layout.kinds.values()
            for instance in kind.instances
            if instance.state is PeerState.DRAINING
        }
        for name in set(self._pins) - set(draining):
            del self._pins[name]  # it takes customers again, or is gone
        for name, kind in draining.items():
            if name not in self._pins:
                self._pins[name] = self._begin(layout, kind, name)
        self._owners = {kind.name: kind.buckets for kind in layout.kinds.values()}
        return Extras(pins=tuple(pin for pins in self._pins.values() for pin in pins.values()))

    def idle(self, node: Node, key: RowKey) -> bool:  # noqa: ARG002
        """A pin was idle at a node: when it is so everywhere, the customer moves on."""
        if key[0] != self._graphs.path_rows.tables["affinity"]:
            return False
        group, customer = int.from_bytes(key[1][0]), key[1][1].rjust(16, b"\0")
        for pins in self._pins.values():
            pin = pins.get(customer)
            if pin is not None and self._graphs.layout.numbers.groups[pin.kind] == group:
                self._checks.begin((group, customer), partial(self._check, pin))
        return True

    async def graph_leaves(self, name: str) -> None:
        """Nothing here is a graph's own."""

    # ---- pins ----------------------------------------------------------------------------------------------

    def _begin(self, layout: Layout, kind: Kind, name: str) -> dict[bytes, Pin]:
        owners = self._owners.get(kind.name, ())
        if not owners or kind.single is not None:
            return {}
        pins: dict[bytes, Pin] = {}
        for customer in self._customers(layout, kind):
            if len(pins) >= MAX_PINS:
                log.warning("customers_not_pinned", peer=name, pinned=MAX_PINS)
                break
            if owners[bucket_of(customer)] == name:
                pins[customer] = Pin(kind.name, customer, name, IDLE_SECONDS * _NS)
        log.info("feature_peer_draining", peer=name, customers=len(pins))
        return pins

    def _customers(self, layout: Layout, kind: Kind) -> Iterator[bytes]:
        """The addresses of customers whom graphs lead to a kind of peers, as far as they are known."""
        led = {
            graph.name: graph
            for graph in layout.graphs
            if graph.active is not None and kind.name in graph.active.kinds
        }
        for graph in led.values():
            assert graph.active is not None
            for item in graph.active.spec.applies:
                for network in layout.clients(item):
                    if network.num_addresses <= _MAX_NETWORK:
                        yield from (mapped(address) for address in network)
        for connection in self._state.connections.values():
            if connection.through is not None and connection.through.graph in led:
                client = connection.client
                yield from (mapped(address) for address in (client.ipv4, client.ipv6) if address)

    async def _check(self, pin: Pin) -> None:
        layout = self._graphs.layout
        row = self._graphs.path_rows.pin(layout, pin)
        nodes = {name for placed in layout.placed for name in placed.nodes}
        rows = [(layout.nodes[name], row) for name in sorted(nodes)]
        reading = await read_rows(self._planes, self._planes.contract, rows)
        pins = self._pins.get(pin.instance, {})
        if reading.idle_ns < pin.idle_ns or pins.get(pin.customer) is not pin:
            return
        del pins[pin.customer]
        await self._graphs.write()
        if not pins:
            log.info("feature_peer_drained_of_customers", peer=pin.instance)
