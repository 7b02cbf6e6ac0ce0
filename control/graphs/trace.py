# SPDX-License-Identifier: Apache-2.0
"""Traces: a packet is sent along a path, and every node on it tells where it saw it."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from finsy.proto import p4r

from control.errors import InvalidRequestError, NodeAwayError, NotFoundError, PreconditionError
from control.graphs.compile import PRIORITIES, Match
from control.graphs.extras import Extras
from control.graphs.graphs import Graphs
from control.graphs.layout import Layout, Placed, Rule, network_of
from control.graphs.model import MAX_PRIORITY, Ports
from control.graphs.probe import Probe, Sighting, SightingFormat
from control.records import Node
from control.southbound.contract import RowKey
from control.southbound.dataplanes import DataPlanes
from control.southbound.packet_format import PacketFormat
from control.state import State
from moorline.addresses import Network
from moorline.wire import OAM_PORT

PATIENCE: Final = 2.0
"""Seconds until a packet that was not seen at the end is taken for lost."""

_UDP: Final = 17
_TOP: Final = (MAX_PRIORITY + 2) * PRIORITIES
_FIRST_PROBE: Final = 1024
_SOMEBODY: Final = {4: bytes([192, 0, 2, 1]), 6: bytes.fromhex("20010db8" + "00" * 11 + "01")}
"""Addresses of nobody (RFC 5737, RFC 3849), where a graph is for all servers."""


@dataclass(frozen=True)
class Step:
    """A packet seen: by whom, the kind of peers and the instance that it went to (empty: none)."""

    node: str
    index: int
    kind: str
    instance: str
    microseconds: int


@dataclass
class Trace:
    """What was seen of one packet."""

    path: str
    source: bytes = b""
    destination: bytes = b""
    steps: list[Step] = field(default_factory=list)
    reached: bool = False
    problem: str = ""


@dataclass
class _Watched:
    """A packet that is on its way."""

    placed: Placed
    probe: Probe
    sent: float
    seen: list[tuple[Node, Sighting, float]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)


class _Hop(NamedTuple):
    """What a packet does at a place: whether its path ends, how many peers of the path it has behind it, and
    the instance at this node that it goes to, if it does.
    """

    ends: bool
    position: int
    instance: str


class Tracer:
    """Sends packets and hears of them (an addition to the rows: :class:`control.graphs.extras.Addition`).

    A peer checks the class of what it returns, and the packet is none that the graph applies to: for as long
    as it is on its way a rule of its own has it.
    """

    def __init__(
        self,
        state: State,
        planes: DataPlanes,
        graphs: Graphs,
        packet_format: PacketFormat,
        sighting_format: SightingFormat,
    ) -> None:
        self._state = state
        self._planes = planes
        self._graphs = graphs
        self._packets = packet_format
        self._sightings = sighting_format
        self._watched: dict[int, _Watched] = {}

    # ---- control.graphs.extras.Addition --------------------------------------------------------------------

    def extras(self, layout: Layout) -> Extras:
        """Rules for the packets that are on their way."""
        rules = (_rule(layout, one) for one in self._watched.values() if not one.placed.path.plan.services)
        return Extras(rules=tuple(rule for rule in rules if rule is not None))

    def idle(self, node: Node, key: RowKey) -> bool:  # noqa: ARG002
        """None of these rows has a time-out."""
        return False

    async def graph_leaves(self, name: str) -> None:
        """Nothing here is a graph's own."""

    def digest(self, node: Node, digests: p4r.DigestList) -> None:
        """A node has seen packets."""
        for sighting in self._sightings.sightings(digests):
            watched = self._watched.get(sighting.probe)
            if watched is not None and watched.placed.path.spi == sighting.spi:
                watched.seen.append((node, sighting, time.monotonic()))
                watched.news.set()

    # ---- for those who ask ---------------------------------------------------------------------------------

    async def trace(self, name: str, key: str, customer: bytes, server: bytes) -> list[Trace]:
        """Trace the path ``key`` of a graph, or all when it is empty.

        Args:
            name: of the graph.
            key: of the path.
            customer: address of the packet, 4 or 16 octets; empty: one that the graph applies to.
            server: the other address; likewise.

        Raises:
            NotFoundError: there is no such graph or path.
            InvalidRequestError: the addresses are none of one family.
        """
        version = self._graphs.graph(name).active
        assert version is not None
        placed = [one for one in self._graphs.layout.placed_of(version) if key in ("", one.path.plan.key)]
        if not placed:
            keys = ", ".join(path.plan.key for path in version.paths)
            raise NotFoundError(f"graph {name} has no path {key!r}: choose from {keys}")
        if any(len(address) not in (0, 4, 16) for address in (customer, server)) or (
            customer and server and len(customer) != len(server)
        ):
            raise InvalidRequestError("a trace has two addresses of one family: give both IPv4 or IPv6")
        return [await self._trace(one, customer, server) for one in placed]

    async def _trace(self, placed: Placed, customer: bytes, server: bytes) -> Trace:
        trace = Trace(placed.path.plan.key)
        try:
            trace.source, trace.destination, scid = self._ends(placed, customer, server)
            entry = self._entry(placed)
        except (PreconditionError, NodeAwayError) as error:
            trace.problem = str(error)
            return trace
        number = secrets.randbelow(0x10000 - _FIRST_PROBE) + _FIRST_PROBE
        probe = Probe(number, trace.source, trace.destination, placed.path.spec.tenant, scid, placed.path.spi)
        watched = self._watched[number] = _Watched(placed, probe, time.monotonic())
        try:
            await self._graphs.write()
            await self._send(entry, watched)
            await self._await_end(watched)
        finally:
            del self._watched[number]
            await self._graphs.write()
        self._tell(trace, watched)
        return trace

    async def _send(self, entry: Node, watched: _Watched) -> None:
        locator = entry.locators[0]
        watched.sent = time.monotonic()
        frame = watched.probe.frame(locator.address)
        await self._planes.of(entry).send(self._packets.through(locator.port, frame))

    async def _await_end(self, watched: _Watched) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not any(self._is_end(watched, node, seen) for node, seen, _ in watched.seen):
                    watched.news.clear()
                    await watched.news.wait()
        except TimeoutError:
            pass

    # ---- what is sent --------------------------------------------------------------------------------------

    def _ends(self, placed: Placed, customer: bytes, server: bytes) -> tuple[bytes, bytes, int]:
        """Source and destination of the packet, and the SCID that it carries."""
        if placed.path.plan.services:
            return self._ends_of_connection(placed)
        if not (customer and server):
            customer, server = self._somebody(placed, customer, server)
        return (server, customer, 0) if placed.path.plan.reverse else (customer, server, 0)

    def _somebody(self, placed: Placed, customer: bytes, server: bytes) -> tuple[bytes, bytes]:
        given = customer or server
        for rule in self._graphs.layout.active_rules(placed.graph):
            if rule.placed.path.spi != placed.path.spi:
                continue
            match = rule.match.turned() if placed.path.plan.reverse else rule.match
            version = (match.source or match.destination or network_of(_SOMEBODY[4])).version
            if not given or len(given) == (4 if version == 4 else 16):
                found = [
                    address or (_first_host(network) if network else _SOMEBODY[version])
                    for address, network in ((customer, match.source), (server, match.destination))
                ]
                return found[0], found[1]
        raise PreconditionError(
            "nobody known takes it with these addresses: give others with --customer and --server"
            if given
            else "nobody known takes it: give addresses with --customer and --server"
        )

    def _ends_of_connection(self, placed: Placed) -> tuple[bytes, bytes, int]:
        for connection in self._state.connections.values():
            through = connection.through
            if through is None or placed.path.spi not in (through.forward, through.reverse):
                continue
            ends = [connection.client, connection.server]
            if placed.path.plan.reverse:
                ends.reverse()
            source, destination = ends
            if source.ipv4 and destination.ipv4:
                return source.ipv4, destination.ipv4, connection.scid
            return source.ipv6, destination.ipv6, connection.scid
        raise PreconditionError("no connection takes it: make one with 'moorline lookup'")

    def _entry(self, placed: Placed) -> Node:
        """The node where the packet begins: one that packets come in at, else that of the first peer."""
        layout = self._graphs.layout
        first = [visit.instance.node for visit in layout.visits(placed) if visit.position == 0]
        edges = sorted(layout.edges & placed.nodes) if not placed.path.plan.services else []
        nodes = [layout.nodes[name] for name in (*edges, *first, *sorted(placed.nodes))]
        for node in nodes:
            if node.locators and self._planes.of(node).ready:
                return node
        raise NodeAwayError("none of its nodes can be reached now: see 'moorline node list'")

    # ---- what was seen -------------------------------------------------------------------------------------

    def _tell(self, trace: Trace, watched: _Watched) -> None:
        steps = [self._step(watched, *seen) for seen in watched.seen]
        # Nodes tell at their own pace; at one place, a node that passes it on comes before the peer.
        trace.steps = sorted(steps, key=lambda step: (-step.index, step.instance != "", step.microseconds))
        trace.reached = any(self._is_end(watched, node, seen) for node, seen, _ in watched.seen)
        if trace.reached:
            return
        if not trace.steps:
            trace.problem = "no node has seen the packet: see 'moorline drops' at its nodes"
            return
        last = trace.steps[-1]
        where = f"after peer {last.instance} of node {last.node}" if last.instance else f"at node {last.node}"
        trace.problem = f"the packet was lost {where}: see that it lets UDP to port {OAM_PORT} pass"

    def _step(self, watched: _Watched, node: Node, sighting: Sighting, at: float) -> Step:
        kind = instance = ""
        hop = self._hop(watched, node, sighting)
        if hop is not None and not hop.ends:
            kind = watched.placed.path.plan.steps[hop.position].kind
            instance = hop.instance
        return Step(node.name, sighting.si, kind, instance, int((at - watched.sent) * 1_000_000))

    def _is_end(self, watched: _Watched, node: Node, sighting: Sighting) -> bool:
        hop = self._hop(watched, node, sighting)
        return hop is not None and hop.ends

    def _hop(self, watched: _Watched, node: Node, sighting: Sighting) -> _Hop | None:
        """What the packet does where it was seen; None: the path has no such place."""
        placed = watched.placed
        position = placed.path.plan.position(sighting.si)
        if position is None:
            return None
        found = self._graphs.path_rows.hop(node, self._graphs.layout, placed, position, sighting.instance)
        if found is None:
            return None
        action, visit = found
        here = visit.instance.name if visit is not None and action == "to_peer" else ""
        return _Hop(action == "end", visit.position if visit is not None else position, here)


def _rule(layout: Layout, watched: _Watched) -> Rule | None:
    probe = watched.probe
    match = Match(
        network_of(probe.source),
        network_of(probe.destination),
        _UDP,
        Ports(probe.number, probe.number),
        Ports(OAM_PORT, OAM_PORT),
    )
    placed = next((one for one in layout.placed if one.path.spi == probe.spi), None)
    return Rule(match, probe.tenant, _TOP, placed) if placed is not None else None


def _first_host(network: Network) -> bytes:
    host = network.network_address + (1 if network.num_addresses > 2 else 0)
    return host.packed
