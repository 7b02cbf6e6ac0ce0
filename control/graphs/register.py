# SPDX-License-Identifier: Apache-2.0
"""The graphs that there are, and how they lie over the site; changed by :mod:`control.graphs.graphs`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from control.errors import NotFoundError
from control.graphs.allocate import KEY, Numbers, PathNumbers
from control.graphs.compile import plans_of
from control.graphs.facts import Subscribers
from control.graphs.layout import Layout
from control.graphs.model import GraphSpec
from control.graphs.records import GRAPH, Graph, Version
from control.graphs.validate import require_sound
from control.peers import Peers
from control.state import State
from control.store.base import Store


class Register:
    """All graphs by name, those that are being deleted among them, and the numbers that are taken."""

    def __init__(self, state: State, peers: Peers, subscribers: Subscribers) -> None:
        self.graphs: dict[str, Graph] = {}
        self.numbers = Numbers()
        self._state = state
        self._peers = peers
        self._subscribers = subscribers

    async def load(self, store: Store) -> None:
        """Take up what is stored."""
        entry = await store.get(KEY)
        if entry is not None:
            self.numbers = Numbers.decode(entry.value)
        for stored in (await store.scan(GRAPH)).entries:
            graph = Graph.decode(stored.key, stored.value)
            self.graphs[graph.name] = graph

    def all(self) -> list[Graph]:
        """The graphs that lead packets, by name."""
        return [graph for _, graph in sorted(self.graphs.items()) if graph.active is not None]

    def graph(self, name: str) -> Graph:
        """The graph of this name, else :class:`NotFoundError`."""
        graph = self.graphs.get(name)
        if graph is None or graph.active is None:
            raise NotFoundError(f"there is no graph {name!r}: list the graphs, or apply its file")
        return graph

    def lay_out(self) -> Layout:
        """All graphs over the site as it is now."""
        return self._lay_out(self.graphs.values(), self.numbers)

    def _lay_out(self, graphs: Iterable[Graph], numbers: Numbers) -> Layout:
        return Layout(graphs, self._peers.all(), numbers, self._state.nodes, self._subscribers)

    def numbered(self, spec: GraphSpec) -> tuple[Graph, Version, Numbers]:
        """The graph that ``spec`` is for, and its version with new numbers, which are not taken yet."""
        graph = self.graphs.get(spec.name) or Graph(spec.name)
        numbers = self.numbers.copy()
        standing = [version for one in self.graphs.values() for version in one.versions]
        taken = [path for version in standing for path in version.numbers.values()]
        mine: dict[str, PathNumbers] = {}
        for plan in plans_of(spec):
            former = (version.numbers.get(plan.key) for version in graph.versions)
            mine[plan.key] = numbers.name_path(plan, next(filter(None, former), None), taken)
            taken.append(mine[plan.key])
        return graph, Version(spec, mine), numbers

    def require_sound(self, graph: Graph, version: Version, numbers: Numbers) -> None:
        """Whether ``version`` could take over from that of now; raises as :func:`require_sound` does."""
        trial = replace(graph, active=version, upcoming=None, edges_wait=False)
        others = [one for one in self.graphs.values() if one.name != graph.name]
        require_sound(self._lay_out([*others, trial], numbers), trial)

    def with_new_peers(self) -> Numbers | None:
        """The numbers with those of peers that have none yet; None: all have some."""
        numbers, instances = self.numbers.copy(), list(self._peers.all())
        kinds, names = [one.kind for one in instances], [one.name for one in instances]
        return numbers if numbers.name_peers(kinds, names) else None
