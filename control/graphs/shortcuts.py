# SPDX-License-Identifier: Apache-2.0
"""Short-cuts: flows that pass peers by, as a peer or a policy asked, until they were idle for a while."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import Final, NamedTuple

import structlog

from control.errors import ExhaustedError, InvalidRequestError, NotFoundError, PreconditionError
from control.graphs.compile import Match
from control.graphs.extras import Checks, Extras, Jump, read_rows
from control.graphs.graphs import Graphs
from control.graphs.layout import Layout, Placed, network_of
from control.graphs.model import Ports
from control.graphs.records import SHORTCUT, Graph
from control.records import Node
from control.southbound.contract import Row, RowKey
from control.southbound.dataplanes import DataPlanes
from control.state import State
from control.store.base import Store, Transaction
from moorline.addresses import mapped, packed, unmapped
from moorline.wire import PROTOCOLS_WITH_PORTS

log = structlog.get_logger(__name__)

MAX_SHORTCUTS: Final = 30_000
"""Each may have two entries, one for each direction."""

MAX_IDLE_SECONDS: Final = 86_400
BACKLOG: Final = 10_000
"""Events that a watcher may lag behind."""

_NS: Final = 1_000_000_000


class Flow(NamedTuple):
    """Addresses in 4 or 16 octets; ports are 0 for protocols that have none."""

    source: bytes
    destination: bytes
    protocol: int
    source_port: int
    destination_port: int

    @property
    def turned(self) -> Flow:
        """The answers."""
        return Flow(self.destination, self.source, self.protocol, self.destination_port, self.source_port)

    @property
    def match(self) -> Match:
        """The flow as a rule."""
        return Match(
            network_of(self.source),
            network_of(self.destination),
            self.protocol,
            Ports(self.source_port, self.source_port),
            Ports(self.destination_port, self.destination_port),
        )


class Kind(IntEnum):
    """What became of a short-cut; values are those of ``moorline.v1.ShortcutEvent.Kind``."""

    ADDED = 1
    EXPIRED = 2


@dataclass(slots=True, eq=False)
class Shortcut:
    """A short-cut; ``until`` is the kind of peers that the flow goes on with, ``peer`` the requester's peer
    that asked; empty: none.

    ``used`` and ``used_back`` are packets and octets in the direction of the flow and against it, as last
    read; they are not stored.
    """

    id: int
    graph: str
    flow: Flow
    until: str
    idle_seconds: int
    created_ns: int
    requester: str
    peer: str = ""
    used: tuple[int, int] = (0, 0)
    used_back: tuple[int, int] = (0, 0)

    @property
    def key(self) -> str:
        """Its key in the store."""
        return f"{SHORTCUT}{self.id:016x}"

    def encode(self) -> bytes:
        """Its value in the store."""
        flow = [self.flow.source.hex(), self.flow.destination.hex(), *self.flow[2:]]
        rest = [self.graph, self.until, self.idle_seconds, self.created_ns, self.requester, self.peer]
        return json.dumps([flow, *rest]).encode()

    @classmethod
    def decode(cls, key: str, value: bytes) -> Shortcut:
        """Read back what :meth:`encode` wrote."""
        flow, *rest = json.loads(value)
        ends = bytes.fromhex(flow[0]), bytes.fromhex(flow[1])
        number = int(key.removeprefix(SHORTCUT), 16)
        return cls(number, rest[0], Flow(*ends, *flow[2:]), *rest[1:])


Event = tuple[Kind, Shortcut]


@dataclass(slots=True, eq=False)
class _Watcher:
    events: deque[Event] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Shortcuts:
    """All short-cuts; an addition to the rows of graphs (:class:`control.graphs.extras.Addition`)."""

    def __init__(self, state: State, store: Store, planes: DataPlanes, graphs: Graphs) -> None:
        self._state = state
        self._store = store
        self._planes = planes
        self._graphs = graphs
        self._shortcuts: dict[int, Shortcut] = {}
        self._by_flow: dict[tuple[int, Flow], Shortcut] = {}
        self._watchers: set[_Watcher] = set()
        self._checks = Checks()

    async def load(self) -> None:
        """Take up what is stored."""
        for entry in (await self._store.scan(SHORTCUT)).entries:
            self._add(Shortcut.decode(entry.key, entry.value))

    def all(self, graph: str = "") -> list[Shortcut]:
        """All, or those of one graph, as they came."""
        return [one for one in self._shortcuts.values() if graph in ("", one.graph)]

    # ---- control.graphs.extras.Addition --------------------------------------------------------------------

    def extras(self, layout: Layout) -> Extras:
        """The flows as entries, on the paths of now."""
        return Extras(jumps=tuple(jump for one in self._shortcuts.values() for jump in _jumps(layout, one)))

    def idle(self, node: Node, key: RowKey) -> bool:  # noqa: ARG002
        """A direction of a flow was idle at a node: when it is so everywhere, the short-cut ends."""
        if key[0] != self._graphs.path_rows.tables["shortcut"]:
            return False
        tenant = int.from_bytes(key[1][0])
        source, destination = (_packed_again(part) for part in key[1][1:3])
        flow = Flow(source, destination, *(int.from_bytes(part) for part in key[1][3:]))
        found = self._by_flow.get((tenant, flow)) or self._by_flow.get((tenant, flow.turned))
        if found is not None:
            self._checks.begin(found.id, partial(self._check, found))
        return True

    async def graph_leaves(self, name: str) -> None:
        """The short-cuts of a graph go with it."""
        for one in self.all(name):
            await self._end(one)

    # ---- for those who ask ---------------------------------------------------------------------------------

    async def request(
        self, graph: str, flow: Flow, until: str, idle_seconds: int, who: str, peer: str = ""
    ) -> Shortcut:
        """Let a flow pass peers by; of one that does already the time-out begins anew.

        Raises:
            NotFoundError: there is no such graph.
            InvalidRequestError: the flow is none.
            PreconditionError: the graph does not lead it, or leads it to a peer that must not be left out.
            ExhaustedError: there are too many.
        """
        flow = _checked(flow)
        if not 1 <= idle_seconds <= MAX_IDLE_SECONDS:
            raise InvalidRequestError(
                f"a short-cut with {idle_seconds} idle seconds: give it 1 to {MAX_IDLE_SECONDS}"
            )
        leading = self._graphs.graph(graph)
        self._require_led(leading, flow, until)
        tenant = self._tenant_of(leading)
        before = self._by_flow.get((tenant, flow)) or self._by_flow.get((tenant, flow.turned))
        if before is not None and (before.graph, before.flow, before.until) == (graph, flow, until):
            return before
        if before is not None:
            await self._end(before)
        if len(self._shortcuts) >= MAX_SHORTCUTS:
            raise ExhaustedError(f"{MAX_SHORTCUTS} short-cuts stand already: wait until some have expired")
        number = max(self._shortcuts, default=time.time_ns() // 1000) + 1
        one = Shortcut(number, graph, flow, until, idle_seconds, time.time_ns(), who, peer)
        await self._store.commit(Transaction(puts={one.key: one.encode()}))
        self._add(one)
        await self._graphs.write()
        self._publish(Kind.ADDED, one)
        return one

    async def read(self, graph: str = "") -> list[Shortcut]:
        """All, or those of one graph, with their counters; raises :class:`NotFoundError`."""
        if graph:
            self._graphs.graph(graph)
        found = self.all(graph)
        for one in found:
            await self._read(one)
        return found

    async def watch(self) -> AsyncIterator[Event]:
        """Events from now on, for ever; raises :class:`ExhaustedError` when the reader lags too far."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        try:
            while True:
                await watcher.wake.wait()
                watcher.wake.clear()
                while watcher.events:
                    if len(watcher.events) >= BACKLOG:
                        raise ExhaustedError(
                            f"this watch fell {BACKLOG} events behind: start it again, and read faster"
                        )
                    yield watcher.events.popleft()
        finally:
            self._watchers.discard(watcher)

    # ---- their end -----------------------------------------------------------------------------------------

    async def _check(self, one: Shortcut) -> None:
        idle_ns = await self._read(one)
        if idle_ns >= one.idle_seconds * _NS and self._shortcuts.get(one.id) is one:
            await self._end(one)

    async def _end(self, one: Shortcut) -> None:
        await self._read(one)
        await self._store.commit(Transaction(deletes=frozenset([one.key])))
        if self._shortcuts.pop(one.id, None) is None:
            return
        for key in [key for key, of_flow in self._by_flow.items() if of_flow is one]:
            del self._by_flow[key]
        await self._graphs.write()
        log.info("shortcut_expired", graph=one.graph, packets=one.used[0], packets_back=one.used_back[0])
        self._publish(Kind.EXPIRED, one)

    async def _read(self, one: Shortcut) -> int:
        """Read its counters; returns for how many nanoseconds it was idle in both directions."""
        contract, layout = self._planes.contract, self._graphs.layout
        idle_ns = -1
        for jump in _jumps(layout, one):
            row = self._graphs.path_rows.jump(jump)
            rows: list[tuple[Node, Row]] = [(layout.nodes[name], row) for name in sorted(layout.edges)]
            reading = await read_rows(self._planes, contract, rows)
            if jump.source == mapped(one.flow.source):
                one.used = reading.packets, reading.octets
            else:
                one.used_back = reading.packets, reading.octets
            idle_ns = reading.idle_ns if idle_ns < 0 else min(idle_ns, reading.idle_ns)
        return idle_ns

    # ---- helpers -------------------------------------------------------------------------------------------

    def _add(self, one: Shortcut) -> None:
        self._shortcuts[one.id] = one
        try:
            self._by_flow[self._tenant_of(self._graphs.graph(one.graph)), one.flow] = one
        except NotFoundError:
            log.info("shortcut_without_graph", graph=one.graph)

    @staticmethod
    def _tenant_of(graph: Graph) -> int:
        assert graph.active is not None
        return graph.active.spec.tenant

    def _require_led(self, graph: Graph, flow: Flow, until: str) -> None:
        layout = self._graphs.layout
        placed = _path_of(layout, graph, flow)
        if placed is None:
            raise PreconditionError(
                f"graph {graph.name} does not lead this flow: see 'moorline graph show {graph.name}'"
            )
        kinds = [step.kind for step in placed.path.plan.steps]
        if until and until not in kinds:
            raise PreconditionError(
                f"{until} is not on path {placed.path.plan.key} of graph {graph.name}: choose from "
                f"{', '.join(kinds)}"
            )
        passed_by = kinds[: kinds.index(until)] if until else kinds
        for kind in passed_by:
            if layout.kinds[kind].rewrites:
                raise PreconditionError(
                    f"{kind} rewrites addresses, so that a flow cannot pass it by: let it go on with {kind}"
                )

    def _publish(self, kind: Kind, one: Shortcut) -> None:
        for watcher in self._watchers:
            watcher.events.append((kind, one))
            watcher.wake.set()


def _jumps(layout: Layout, one: Shortcut) -> Iterator[Jump]:
    graph = next((graph for graph in layout.graphs if graph.name == one.graph), None)
    for flow in (one.flow,) if one.until else (one.flow, one.flow.turned):
        placed = _path_of(layout, graph, flow) if graph is not None else None
        if placed is not None:
            index = _index_of(placed, one.until)
            idle_ns = one.idle_seconds * _NS
            yield Jump(mapped(flow.source), mapped(flow.destination), *flow[2:], placed, index, idle_ns)


def _index_of(placed: Placed, until: str) -> int:
    for index, step in placed.path.plan.indices:
        if step.kind == until:
            return index
    return placed.path.plan.index(len(placed.path.plan.steps))


def _path_of(layout: Layout, graph: Graph, flow: Flow) -> Placed | None:
    """The path of ``graph`` that its rules lead a flow onto."""
    if graph.active is None:
        return None
    fitting = layout.rules_meeting(graph.active, flow.match)
    rule = max(fitting, key=lambda rule: rule.priority, default=None)
    return rule.placed if rule is not None else None


def _checked(flow: Flow) -> Flow:
    ends = tuple(packed(address) for address in flow[:2])
    if len(ends[0]) != len(ends[1]):
        raise InvalidRequestError("a flow has addresses of one family: give both IPv4 or IPv6")
    ports = flow.source_port, flow.destination_port
    if not all(0 <= port <= 0xFFFF for port in ports) or not 0 <= flow.protocol <= 0xFF:
        raise InvalidRequestError(f"a flow with protocol {flow.protocol} and ports {ports}: check them")
    if flow.protocol not in PROTOCOLS_WITH_PORTS and any(ports):
        raise InvalidRequestError(f"protocol {flow.protocol} has no ports: leave them 0")
    return Flow(ends[0], ends[1], *flow[2:])


def _packed_again(octets: bytes) -> bytes:
    """The address in a field of a row, in 4 or 16 octets."""
    return unmapped(octets.rjust(16, b"\0")).packed
