# SPDX-License-Identifier: Apache-2.0
"""The rows of ``route``: where packets go at the end of a path, by what is reached through edge ports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from control.graphs.graphs import Graphs
from control.graphs.model import Network
from control.records import Node, Port
from control.southbound.contract import Contract, Prefix, Row
from moorline.addresses import MAPPED_PREFIX, mapped

_TABLE = "route"
_EDGE = "edge"
_IPV4_BITS = 8 * len(MAPPED_PREFIX)


class Routes:
    """A source of rows (:class:`control.southbound.own_rows.RowSource`)."""

    def __init__(self, contract: Contract, graphs: Graphs) -> None:
        self._contract = contract
        self._graphs = graphs

    @property
    def tables(self) -> Sequence[int]:
        """Ids of the tables."""
        return [self._contract.tables[_TABLE].id]

    def found(self, node: Node, rows: Iterable[Row]) -> None:
        """Nothing can be learned from them: nodes have said all."""

    def rows(self, node: Node) -> Iterator[Row]:
        """All rows that ``node`` is to have: by its own ports where there are any, else to other nodes."""
        layout = self._graphs.layout
        on_paths = any(node.name in placed.nodes for placed in layout.placed)
        if node.name not in layout.edges and not on_paths:
            return
        wanted: dict[tuple[int, Network], Row] = {}
        for other, port in _edges(node, layout.nodes.values()):
            for prefix in port.networks:
                if (port.tenant, prefix) not in wanted:
                    wanted[port.tenant, prefix] = self._row(node, other, port, prefix)
        yield from wanted.values()

    def _row(self, node: Node, other: Node, port: Port, prefix: Network) -> Row:
        length = prefix.prefixlen + (_IPV4_BITS if prefix.version == 4 else 0)
        destination = Prefix(mapped(prefix.network_address), length)
        match: dict[str, int | Prefix] = {"tenant": port.tenant, "destination": destination}
        if other is node:
            return self._contract.row(_TABLE, match, "route_port", {"port": port.number, "vlan": 0})
        return self._contract.row(_TABLE, match, "route_node", {"node": other.id})


def _edges(node: Node, nodes: Iterable[Node]) -> Iterator[tuple[Node, Port]]:
    """All edge ports with their nodes, those of ``node`` first."""
    for other in sorted(nodes, key=lambda one: (one is not node, one.id)):
        yield from ((other, port) for port in other.ports if port.role == _EDGE)
