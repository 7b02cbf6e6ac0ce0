# SPDX-License-Identifier: Apache-2.0
"""Which graph leads which service connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from control.connection_records import Connection, Through
from control.errors import PreconditionError
from control.graphs.layout import Layout, Placed
from control.graphs.records import Graph, Version
from control.records import Node, Service
from control.rules import matches
from control.state import State


class Leading(Protocol):
    """The graphs of the site (:class:`control.graphs.graphs.Graphs`), as far as connections need them."""

    @property
    def layout(self) -> Layout:
        """All graphs over the site as it is now."""

    def all(self) -> list[Graph]:
        """The graphs that lead packets, by name."""

    async def reach(self, connection: Connection) -> None:
        """Let the ends of ``connection``, which a graph leads, be on its service paths; waits for that."""


class Guide:
    """Which graph leads which connection; of use to who makes one."""

    def __init__(self, state: State, graphs: Leading) -> None:
        self._state = state
        self._graphs = graphs

    def through(self, client: Service, server: Service) -> Through | None:
        """How the connection of two services is led; None: straight."""
        if client.node is server.node:
            return None  # the kernel delivers, or the gateway itself
        versions = [
            graph.active
            for graph in self._graphs.all()
            if graph.active is not None and _applies(graph.active, client, server)
        ]
        if not versions:
            return None
        version = max(versions, key=lambda version: version.spec.priority)
        placed = {one.path.plan.key: one for one in self._graphs.layout.placed_of(version)}
        ways = [placed[key] for key in ("services", "services-reverse") if key in placed]
        return Through(
            version.spec.name,
            ways[0].path.spi,
            ways[1].path.spi if len(ways) > 1 else 0,
            self._nodes_of_peers(ways),
            min(one.mtu for one in ways),
        )

    def _nodes_of_peers(self, ways: Iterable[Placed]) -> tuple[Node, ...]:
        layout = self._graphs.layout
        names = {visit.instance.node for placed in ways for visit in layout.visits(placed)}
        return tuple(self._state.nodes[name] for name in sorted(names))

    def require(self, through: Through, nodes: tuple[Node, ...]) -> None:
        """Raise :class:`PreconditionError` unless a connection over ``nodes``, its client's first, can be led
        ``through``.
        """
        if len(nodes) > 2:
            raise PreconditionError(
                f"graph {through.graph} leads connections between {nodes[0].name} and {nodes[-1].name}, but "
                f"relay {nodes[1].name} stands between: service paths go straight, so reach both directly"
            )

        for end, spi in ((nodes[-1], through.forward), (nodes[0], through.reverse)):
            if end in self._last_nodes(spi):
                raise PreconditionError(
                    f"graph {through.graph} ends at a peer of node {end.name}, where the connection ends: "
                    "the last peer has to be at another node"
                )

    def _last_nodes(self, spi: int) -> set[Node]:
        """The nodes with instances of the last peer of a path."""
        layout = self._graphs.layout
        steps = (one.path.plan.steps for one in layout.placed if one.path.spi == spi)
        last = {instance.node for some in steps if some for instance in layout.instances_of(some[-1])}
        return {self._state.nodes[name] for name in last}

    async def reach(self, connection: Connection) -> None:
        """Let the ends of ``connection`` be on its service paths; waits until they are."""
        await self._graphs.reach(connection)


def _applies(version: Version, client: Service, server: Service) -> bool:
    if version.spec.tenant != client.tenant:
        return False
    patterns = (item.services for item in version.spec.applies if item.services is not None)
    return any(matches(one.client, client.name) and matches(one.server, server.name) for one in patterns)
