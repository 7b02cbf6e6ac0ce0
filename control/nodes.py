# SPDX-License-Identifier: Apache-2.0
"""Nodes: admitted, reporting where they are, moving, removed."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

import structlog

from control.connections import Connections
from control.errors import (
    AlreadyExistsError,
    ControlError,
    ExhaustedError,
    InvalidRequestError,
    PreconditionError,
)
from control.events import Events, Kind
from control.gateways import links_of_gateways, warn_of_misplaced
from control.graphs.graphs import Graphs
from control.messages import MAX_PORT, read_locators, read_ports
from control.peer_messages import read_peers
from control.records import Node
from control.rejects import Rejects
from control.sessions import Sessions
from control.southbound.dataplanes import DataPlanes
from control.state import State
from control.store.base import Store, Transaction
from moorline.api.v1 import moorline_pb2 as pb
from moorline.names import NodeName
from moorline.paths import Locator

log = structlog.get_logger(__name__)

MAX_ID: Final = 0xFFFF
"""The contract's field ``node`` has 16 bits; 0 is nobody."""

_MAX_TCP_PORT: Final = 0xFFFF
_MAX_FORMER: Final = 8
_CHUNK: Final = 500


class Nodes:
    """The register of nodes, and what follows from their reports."""

    def __init__(
        self,
        state: State,
        store: Store,
        planes: DataPlanes,
        sessions: Sessions,
        connections: Connections,
        rejects: Rejects,
        events: Events,
        grace_seconds: float,
    ) -> None:
        self._state = state
        self._store = store
        self._planes = planes
        self._sessions = sessions
        self._connections = connections
        self._rejects = rejects
        self._events = events
        self._grace_seconds = grace_seconds
        self.on_feature_peers: Callable[[], None] = lambda: None
        """Called when the feature peers of a node may be others now."""
        self.graphs: Graphs
        """Laid anew when ports, or what they carry, change."""

        self._tasks: set[asyncio.Task[None]] = set()
        self._admission = asyncio.Lock()
        """Held while a node is stored, so that neither name nor number is given away twice."""
        self._settings = asyncio.Lock()
        """Held while what nodes are to one another is checked and stored."""
        self._stores: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        """By number of the node: a record is not written before an earlier change of it stands."""

    async def admit(self, text: str) -> Node:
        """The node of this name, made if it is new; raises ``InvalidNameError``."""
        name = str(NodeName.parse(text))
        async with self._admission:
            node = self._state.nodes.get(name)
            if node is not None and node.leaving:
                raise PreconditionError(f"node {name} is just being removed: join again when it is gone")
            if node is not None:
                self.require_host(name)
                return node
            return await self._add(name)

    def require_host(self, name: str) -> None:
        """Refuse what only a host may do to the name of a switch; raises ``AlreadyExistsError``."""
        node = self._state.nodes.get(name)
        if node is not None and node.switch is not None:
            raise AlreadyExistsError(f"{name} is a switch, which has no agent: choose another name")

    async def add_switch(self, name: str, **facts: Any) -> Node:
        """A new switch, with what is said of it; raises ``AlreadyExistsError`` when the name is taken."""
        async with self._admission:
            if name in self._state.nodes:
                raise AlreadyExistsError(f"{name} is a node already: choose another name")
            return await self._add(name, **facts)

    async def _add(self, name: str, **facts: Any) -> Node:
        node = Node(name, self._free_id(), **facts)
        await self._store.commit(Transaction(compares={node.key: 0}, puts={node.key: node.encode()}))
        self._state.add_node(node)
        self._planes.add(node)
        self.on_feature_peers()
        log.info("node_admitted", node=name, id=node.id, switch=node.switch is not None)
        return node

    async def remove(self, node: Node) -> None:
        """Forget a node without services that relays nothing; it has to join again."""
        async with self._settings, self._stores[node.id]:
            self._require_unused(node)
            node.leaving = True  # from here on nothing of it is stored any more
            try:
                await self._store.commit(Transaction(deletes=frozenset([node.key])))
            except ControlError:
                node.leaving = False
                raise
        self._sessions.end(node, f"node {node.name} was removed: it has to join again")
        await self._planes.remove(node)
        self._rejects.forget(node)
        self.graphs.node_leaves(node)
        self._state.remove_node(node)
        self._stores.pop(node.id, None)
        self.on_feature_peers()
        log.info("node_removed", node=node.name)

    def _require_unused(self, node: Node) -> None:
        if hosted := len(node.services) + node.registering:
            raise PreconditionError(f"node {node.name} still hosts {hosted} services: unregister them first")
        if behind := self._behind(node):
            raise PreconditionError(
                f"node {node.name} is the relay of {behind[0].name}: set another way for it first"
            )
        if passing := self._state.slots[node.id].used:  # also those that are just being stored
            raise PreconditionError(
                f"node {node.name} still relays connections ({passing} SCIDs): rotate or close them first"
            )

    def _behind(self, relay: Node) -> list[Node]:
        return [node for node in self._state.nodes.values() if node.via == relay.name]

    # ---- settings ------------------------------------------------------------------------------------------

    async def configure(self, node: Node, *, via: str | None, border: bool | None) -> None:
        """Set by which relay a node is reached (none: empty), and whether SCIDs change at it.

        Raises:
            NotFoundError: there is no such relay.
            InvalidRequestError: the relay is the node itself.
            PreconditionError: one relay would stand behind another.
        """
        facts: dict[str, object] = {}
        async with self._settings:
            if via is not None:
                facts["via"] = self._checked_relay(node, via).name if via else ""
            if border is not None:
                facts["border"] = border
            await self._store_and_set(node, **facts)
        self._rejects.clear()  # of pairs that had no address family in common, say
        log.info("node_set", node=node.name, via=node.via, border=node.border)

    def _checked_relay(self, node: Node, name: str) -> Node:
        relay = self._state.node(NodeName.parse(name))
        if relay is node:
            raise InvalidRequestError(f"node {node.name} cannot be its own relay: name another node")
        if relay.via:
            raise PreconditionError(
                f"node {relay.name} is itself behind {relay.via}: name a relay that is reached directly"
            )
        if behind := self._behind(node):
            raise PreconditionError(
                f"node {node.name} is the relay of {behind[0].name}: a relay cannot be behind another"
            )
        return relay

    # ---- reports -------------------------------------------------------------------------------------------

    async def hello(self, node: Node, hello: pb.NodeHello) -> None:
        """Take in what a session begins with."""
        self.require_host(node.name)
        if not 0 < hello.p4runtime_port <= _MAX_TCP_PORT or not 0 < hello.access_port <= MAX_PORT:
            raise InvalidRequestError(
                f"node {node.name} reports P4Runtime port {hello.p4runtime_port} and access port "
                f"{hello.access_port}: report 1 to {_MAX_TCP_PORT}, and 1 to {MAX_PORT}"
            )
        other_port = node.access_port not in (0, hello.access_port)
        await self._report(
            node,
            hello.locators,
            version=hello.version,
            p4runtime_port=hello.p4runtime_port,
            capacity=hello.connection_capacity,
            access_port=hello.access_port,
            ports=read_ports(hello.ports),
            feature_peers=read_peers(node, hello.feature_peers),
        )
        if other_port:
            self._planes.redial(node)

    async def locators_changed(self, node: Node, changed: pb.LocatorsChanged) -> None:
        """Take in where the node is now."""
        await self._report(node, changed)

    async def ports_changed(self, node: Node, changed: pb.PortsChanged) -> None:
        """Take in what became of its ports."""
        await self._store_and_set(node, ports=read_ports(changed.ports), last_seen_ns=time.time_ns())

    async def feature_peers_changed(self, node: Node, changed: pb.FeaturePeersChanged) -> None:
        """Take in what became of its feature peers."""
        found = read_peers(node, changed.feature_peers)
        await self._store_and_set(node, feature_peers=found, last_seen_ns=time.time_ns())

    async def _report(self, node: Node, changed: pb.LocatorsChanged, **facts: object) -> None:
        await self.take(node, changed.generation, read_locators(changed.locators), **facts)
        self._planes.node_changed(node)

    async def take(self, node: Node, generation: int, locators: tuple[Locator, ...], **facts: object) -> None:
        """Store where a node is, unless something newer is known, and other facts; tell whom it concerns."""
        news = generation > node.generation
        moved = news and locators != node.locators
        if news:
            facts |= {"generation": generation, "locators": locators}
        former, before = _former(node, locators), node.addresses
        await self._store_and_set(node, last_seen_ns=time.time_ns(), **facts)
        if moved:
            self._moved(node, former, before)

    async def _store_and_set(self, node: Node, **facts: object) -> None:
        links, ports = links_of_gateways([node]), node.ports
        async with self._stores[node.id]:
            self._state.node(node.name)  # unless it is being removed
            await self._store.commit(Transaction(puts={node.key: replace(node, **facts).encode()}))  # type: ignore[arg-type]
            for name, value in facts.items():
                setattr(node, name, value)
        if "feature_peers" in facts:
            self.on_feature_peers()
        if ports != node.ports:
            self.graphs.site_changed()
        if links_of_gateways([node]) - links:
            await asyncio.to_thread(warn_of_misplaced, node, list(self._state.services.values()))

    # ---- address changes -----------------------------------------------------------------------------------

    def _moved(self, node: Node, former: tuple[bytes, ...], before: tuple[bytes, ...]) -> None:
        """One entry at each peer, whatever the number of connections; again without ``former`` later."""
        node.previous = former
        gone = [address for address in before if address not in node.addresses]
        generation = node.generation
        log.info("node_moved", node=node.name, generation=generation, peers=len(node.peers))
        self._planes.update_paths(node, gone)
        if node.learn_mtu():
            self._begin(self._connections.mtu_changed(node))
            self.graphs.site_changed()
        self._rejects.clear()  # of pairs that had no address family in common, say
        for number in node.peers:
            self._sessions.peer(self._state.nodes_by_id[number], node)
        asyncio.get_running_loop().call_later(self._grace_seconds, self._end_grace, node, generation)
        if self._events.watched:
            self._begin(self._tell_watchers(node))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end_grace(self, node: Node, generation: int) -> None:
        if node.generation == generation and node.previous:
            gone, node.previous = node.previous, ()
            self._planes.update_paths(node, gone)

    async def _tell_watchers(self, node: Node) -> None:
        connections = self._state.connections_ending_at(node)
        for start in range(0, len(connections), _CHUNK):
            for connection in connections[start : start + _CHUNK]:
                if connection.id in node.connections:
                    self._events.publish(Kind.CHANGED, connection)
            await asyncio.sleep(0)

    def _free_id(self) -> int:
        for number in range(1, MAX_ID + 1):
            if number not in self._state.nodes_by_id:
                return number
        raise ExhaustedError(f"all {MAX_ID} node numbers are taken: remove nodes that are gone")


def _former(node: Node, locators: tuple[Locator, ...]) -> tuple[bytes, ...]:
    """Addresses that the node has left, the latest first; moves in quick succession keep those of several."""
    kept = {at.address for at in locators}
    left = [at.address for at in node.locators] + list(node.previous)
    return tuple(dict.fromkeys(address for address in left if address not in kept))[:_MAX_FORMER]
