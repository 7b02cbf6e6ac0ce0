# SPDX-License-Identifier: Apache-2.0
"""The rows of ``route``: where packets go at the end of a path, by what is reached through edge ports, and by
where customers' devices are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from control.graphs.graphs import Graphs
from control.records import Node
from control.southbound.contract import Contract, Prefix, Row
from control.subscribers.directory import Subscribers
from control.subscribers.rows import Way, ways
from moorline.addresses import Network, mapped, mapped_length

_TABLE = "route"


class Routes:
    """A source of rows (:class:`control.southbound.own_rows.RowSource`)."""

    def __init__(self, contract: Contract, graphs: Graphs, subscribers: Subscribers) -> None:
        self._contract = contract
        self._graphs = graphs
        self._subscribers = subscribers

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
        for way in (*ways(self._subscribers.devices(), layout.nodes), *_edges(node, layout.nodes.values())):
            if (way.tenant, way.prefix) not in wanted:
                wanted[way.tenant, way.prefix] = self._row(node, layout.nodes[way.node], way)
        yield from wanted.values()

    def _row(self, node: Node, other: Node, way: Way) -> Row:
        destination = Prefix(mapped(way.prefix.network_address), mapped_length(way.prefix))
        match: dict[str, int | Prefix] = {"tenant": way.tenant, "destination": destination}
        if other is node:
            return self._contract.row(_TABLE, match, way.action, way.params)
        return self._contract.row(_TABLE, match, "route_node", {"node": other.id})


def _edges(node: Node, nodes: Iterable[Node]) -> Iterator[Way]:
    """The ways through edge ports, those of ``node`` first."""
    for other in sorted(nodes, key=lambda one: (one is not node, one.id)):
        for port in other.edge_ports:
            for prefix in port.networks:
                yield Way(port.tenant, prefix, other.name, "route_port", {"port": port.number, "vlan": 0})
