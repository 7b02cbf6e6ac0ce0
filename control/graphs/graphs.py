# SPDX-License-Identifier: Apache-2.0
"""The register of graphs: applied, changed, deleted while traffic goes on, and laid over the site anew.

A version is never edited. A changed graph gets paths with SPIs of their own: they are written, then packets
are led by them, and when none can be on the former ones any more, those are deleted. What is stored says by
which version packets are led; a controller that dies on the way leaves the rest to the next one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import structlog

from control.connection_records import Connection
from control.errors import ControlError, NodeAwayError
from control.graphs.allocate import KEY
from control.graphs.changeover import Changeover
from control.graphs.extras import Addition, Extras
from control.graphs.facts import Subscribers
from control.graphs.layout import Layout
from control.graphs.links import Links
from control.graphs.model import GraphSpec
from control.graphs.records import Graph, Version
from control.graphs.register import Register
from control.graphs.rows import PathRows
from control.peers import Peers
from control.records import Node
from control.sessions import Sessions
from control.southbound.contract import Row
from control.southbound.dataplanes import DataPlanes
from control.state import State
from control.store.base import Store, Transaction

log = structlog.get_logger(__name__)

MAX_FORMER: Final = 32
"""Former versions of one graph at a time; who applies another waits until the first of them is gone."""

READY_SECONDS: Final = 5.0
"""How long who applies a graph waits for nodes of its peers that are being dialled."""

_POLL_SECONDS: Final = 0.05
_AWAY_GRACES: Final = 10
"""For so many grace times the former version is kept for nodes that are away, and may still lead by it."""


class Graphs:
    """All graphs of the site; also the source of their rows (:class:`control.southbound.own_rows.RowSource`).

    Args:
        state: the records.
        store: where graphs are kept.
        planes: the data planes.
        sessions: the agents.
        peers: who knows the feature peers.
        subscribers: who knows customers.
        grace_seconds: how long packets may be on their way.
    """

    changeover: Changeover
    """Who leads service connections; set before anything is loaded."""

    read_counters: Callable[[], Awaitable[None]]
    """Reads what the rows have counted; likewise."""

    def __init__(
        self,
        state: State,
        store: Store,
        planes: DataPlanes,
        sessions: Sessions,
        peers: Peers,
        subscribers: Subscribers,
        grace_seconds: float,
    ) -> None:
        self._state = state
        self._store = store
        self._planes = planes
        self._grace_seconds = grace_seconds
        self.path_rows = PathRows(planes.contract)
        self._links = Links(state, planes, sessions)
        self._register = Register(state, peers, subscribers)
        self._layout: Layout | None = None
        self._changing = asyncio.Lock()
        self._gone = asyncio.Condition(self._changing)
        """Told when former versions are gone; who waits for that lets others change graphs meanwhile."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._naming: asyncio.Task[None] | None = None
        self.additions: Sequence[Addition] = ()
        """Who adds to the rows; who would add something else calls :meth:`write`."""
        self._extras = Extras()

    # ---- control.southbound.own_rows.RowSource -------------------------------------------------------------

    @property
    def tables(self) -> Sequence[int]:
        """Ids of the tables."""
        return [*self.path_rows.tables.values()]

    def found(self, node: Node, rows: Iterable[Row]) -> None:
        """Nothing can be learned from them: the store has said all."""

    def rows(self, node: Node) -> Iterator[Row]:
        """All rows that ``node`` is to have in these tables now."""
        return self.path_rows.rows(node, self.layout, self._extras)

    # ---- for those who ask ---------------------------------------------------------------------------------

    @property
    def layout(self) -> Layout:
        """All graphs over the site as it is now."""
        if self._layout is None:
            self._layout = self._register.lay_out()
            added = (addition.extras(self._layout) for addition in self.additions)
            self._extras = sum(added, Extras())
        return self._layout

    def all(self) -> list[Graph]:
        """The graphs that lead packets, by name."""
        return self._register.all()

    def graph(self, name: str) -> Graph:
        """The graph of this name, else :class:`NotFoundError`."""
        return self._register.graph(name)

    def leads_over(self, name: str, node: str) -> bool:
        """Whether a graph leads packets to peers at a node."""
        active = self.graph(name).active
        placed = self.layout.placed_of(active) if active is not None else []
        return any(visit.instance.node == node for one in placed for visit in self.layout.visits(one))

    # ---- start ---------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Take up what is stored; before any data plane is dialled."""
        await self._register.load(self._store)
        self._links.add(one.nodes for one in self.layout.placed)
        self.changeover.take_up()

    def resume(self) -> None:
        """Bring changes of an earlier controller to their end."""
        for graph in self._register.graphs.values():
            self._begin_grace(graph, graph.former)
        self.site_changed()

    def close(self) -> None:
        """Leave grace times to the next controller."""
        for task in self._tasks:
            task.cancel()

    # ---- changes by operators ------------------------------------------------------------------------------

    async def check(self, spec: GraphSpec) -> None:
        """Whether ``spec`` could be applied now; raises as :meth:`apply`."""
        await self._name_peers()
        self._register.require_sound(*self._register.numbered(spec))

    async def apply(self, spec: GraphSpec) -> Graph:
        """Let packets be led as ``spec`` says; returns when they are.

        Raises:
            InvalidRequestError: it cannot work anywhere.
            PreconditionError: it cannot work here, or overlaps another graph.
            ExhaustedError: no numbers or no room in a table are left.
            NodeAwayError: a node of its peers cannot be programmed now. All is as it was.
        """
        await self._name_peers()
        async with self._changing:
            await self._room(spec.name)
            known = self._register.graphs.get(spec.name)
            if known is not None and known.active is not None and known.active.spec == spec:
                return known
            graph, version, numbers = self._register.numbered(spec)
            self._register.require_sound(graph, version, numbers)
            await self._until_ready(self._nodes_of_peers(version))
            await self._store.commit(Transaction(puts={KEY: numbers.encode()}))
            self._register.numbers = numbers
            self._register.graphs[graph.name] = graph
            await self._prepare(graph, version)
            await self._lead(graph, version)
            log.info("graph_applied", graph=graph.name, paths=len(version.paths))
            return graph

    async def delete(self, name: str) -> None:
        """Let packets go as if the graph had never been; raises :class:`NotFoundError`."""
        async with self._changing:
            graph = self.graph(name)
            for addition in self.additions:
                await addition.graph_leaves(name)
            await self._lead(graph, None)
            log.info("graph_deleted", graph=name)

    async def _room(self, name: str) -> None:
        """Wait until a graph may have another former version."""

        def is_there() -> bool:
            graph = self._register.graphs.get(name)
            return graph is None or len(graph.former) < MAX_FORMER

        await self._gone.wait_for(is_there)

    def _nodes_of_peers(self, version: Version) -> list[Node]:
        kinds = (self.layout.kinds[kind] for kind in version.kinds if kind in self.layout.kinds)
        names = {instance.node for kind in kinds for instance in kind.instances}
        return [self._state.nodes[name] for name in sorted(names)]

    async def _until_ready(self, nodes: Sequence[Node]) -> None:
        """Wait a while for nodes that are being dialled; raises :class:`NodeAwayError`."""
        await _until(lambda: all(self._planes.of(node).ready for node in nodes), READY_SECONDS)
        self._planes.require(*nodes)

    # ---- the steps of a change -----------------------------------------------------------------------------

    async def _prepare(self, graph: Graph, version: Version) -> None:
        """Write the paths of a new version; nobody is led there yet."""
        graph.upcoming = version
        try:
            await self.write()
        except ControlError:
            graph.upcoming = None
            if not any(graph.versions):
                del self._register.graphs[graph.name]
            with suppress(ControlError):
                await self.write()
            raise

    async def _lead(self, graph: Graph, version: Version | None) -> None:
        """Lead packets by ``version``, whose paths stand; None: by none.

        First where they only pass, then where they come in, for a node where they come back from a peer has
        to know their class.
        """
        before = graph.active
        former = graph.former if before is None else (before, *graph.former)
        changed = replace(graph, active=version, upcoming=None, former=former, applied_ns=time.time_ns())
        await self._store.commit(Transaction(puts={graph.key: changed.encode()}))
        graph.active, graph.upcoming, graph.former = version, None, former
        graph.applied_ns, graph.settled = changed.applied_ns, False
        graph.before, graph.edges_wait = before, True
        try:
            await self.write()
            graph.edges_wait, graph.before = False, None
            await self.write()
            await self.changeover.follow()
        finally:
            graph.edges_wait, graph.before = False, None
            self._begin_grace(graph, () if before is None else (before,))

    def _begin_grace(self, graph: Graph, versions: Iterable[Version]) -> None:
        self._begin(self._end_grace(graph, tuple(versions), graph.applied_ns))

    async def _end_grace(self, graph: Graph, versions: tuple[Version, ...], applied_ns: int) -> None:
        """Delete former ``versions`` when no packets are on their paths any more."""
        nodes = {name for version in versions for one in self.layout.placed_of(version) for name in one.nodes}
        await _until(lambda: self._all_follow(nodes), _AWAY_GRACES * self._grace_seconds)
        forgotten = False
        while not forgotten:
            await asyncio.sleep(self._grace_seconds)
            forgotten = await self._forget(graph, versions, applied_ns)
        async with self._gone:
            self._gone.notify_all()

    async def _forget(self, graph: Graph, versions: tuple[Version, ...], applied_ns: int) -> bool:
        """Whether former ``versions`` could be deleted; nodes that refuse what follows are reconciled."""
        forgotten = False
        try:
            async with self._changing:
                await self.read_counters()  # rows that have counted go
                await self._retire(graph, versions)
                forgotten = True
                if graph.applied_ns == applied_ns:
                    graph.settled = True
                await self.changeover.settle()
                await self.write()
                self._links.keep(one.nodes for one in self.layout.placed)
        except ControlError as error:
            log.info("former_paths_left", graph=graph.name, forgotten=forgotten, why=str(error))
        return forgotten

    def _all_follow(self, names: Iterable[str]) -> bool:
        nodes = (self._state.nodes[name] for name in names if name in self._state.nodes)
        return all(self._planes.of(node).converged for node in nodes)

    async def _retire(self, graph: Graph, versions: Collection[Version]) -> None:
        former = tuple(version for version in graph.former if version not in versions)
        changed = replace(graph, former=former)
        if former or graph.active is not None:
            await self._store.commit(Transaction(puts={graph.key: changed.encode()}))
        else:
            await self._store.commit(Transaction(deletes=frozenset([graph.key])))
            self._register.graphs.pop(graph.name, None)
        graph.former = former

    # ---- changes of the site -------------------------------------------------------------------------------

    def site_changed(self) -> None:
        """Peers, customers, services or ports are others now: lay all graphs anew.

        Groups follow at once; new instances first get their numbers.
        """
        if not self._register.graphs and self._layout is None:
            return
        self._layout = None
        if self._register.with_new_peers() is not None:
            self._begin_naming()
        self._begin(self._follow())

    def node_leaves(self, node: Node) -> None:
        """``node`` is about to be removed from the state."""
        self._links.forget(node)
        self._layout = None

    async def reach(self, connection: Connection) -> None:
        """Let the ends of ``connection``, which a graph leads, be on its service paths; waits for that."""
        assert connection.through is not None
        spis = {connection.through.forward, connection.through.reverse}
        ends = {node.name for node in connection.nodes}
        if all(ends <= one.nodes for one in self.layout.placed if one.path.spi in spis):
            return
        await self.write()

    async def _follow(self) -> None:
        try:
            await self.write()
            await self.changeover.follow()
        except ControlError as error:
            log.info("graphs_left_to_reconciliation", why=str(error))

    def _begin_naming(self) -> None:
        if self._naming is None or self._naming.done():
            self._naming = self._begin(self._name_and_follow())

    async def _name_and_follow(self) -> None:
        await self._name_peers()
        await self._follow()

    async def _name_peers(self) -> None:
        """Give numbers to peers that are new, once these are stored."""
        async with self._changing:
            numbers = self._register.with_new_peers()
            if numbers is not None:
                await self._store.commit(Transaction(puts={KEY: numbers.encode()}))
                self._register.numbers = numbers
                self._layout = None

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def write(self) -> None:
        """Write what has changed at all nodes and wait until it stands there; those away are left out.

        Raises:
            ControlError: a node refused a row, or was lost meanwhile.
        """
        self._layout = None
        waiting = self._links.add(one.nodes for one in self.layout.placed)
        for node in self._state.nodes.values():
            waiting += self._planes.own_rows_changed(node)
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, NodeAwayError):
                raise outcome


async def _until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait until something holds that nobody tells, but not for longer than ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= deadline:
            return
        await asyncio.sleep(_POLL_SECONDS)
