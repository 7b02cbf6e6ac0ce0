# SPDX-License-Identifier: Apache-2.0
"""The feature peers of the site: what nodes report of theirs, and which ones an operator has drained."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import structlog

from control.errors import NotFoundError
from control.records import DRAINED, FeaturePeer, Node
from control.state import State
from control.store.base import Store, Transaction
from moorline.wire import PeerHeader

log = structlog.get_logger(__name__)

AWAY_SECONDS: Final = 10.0
"""How long a node may be without a session before others of their kind stand in for its peers."""


class PeerState(Enum):
    """Whether an instance takes traffic."""

    UP = "up"
    DOWN = "down"
    DRAINING = "draining"
    """It works, and an operator wants it to have none."""


@dataclass(frozen=True, slots=True)
class PeerInstance:
    """An instance of a feature peer.

    Of two ``ports``, packets of forward paths go in at the first and come out at the second, those of reverse
    paths the other way round. ``macs`` are its own link-layer addresses there, ``port_macs`` those of the
    ports.
    """

    name: str
    kind: str
    node: str
    tenant: int
    ports: tuple[int, ...]
    header: PeerHeader
    by_mac: bool
    macs: tuple[bytes, ...]
    port_macs: tuple[bytes, ...]
    addresses: tuple[IPv4Address | IPv6Address, ...]
    rewrites: bool
    spare: bool
    state: PeerState
    local: IPv4Address | IPv6Address | None
    remote: IPv4Address | IPv6Address | None
    problem: str = ""


_SAME: Final = {field.name for field in fields(PeerInstance)} & {field.name for field in fields(FeaturePeer)}


class Peers:
    """All instances, computed anew from the records of nodes whenever these change.

    ``changed`` are called after each change.
    """

    def __init__(self, state: State, store: Store) -> None:
        self.changed: list[Callable[[], None]] = []
        self._state = state
        self._store = store
        self._instances: dict[str, PeerInstance] = {}
        self._drained: frozenset[str] = frozenset()
        self._away: dict[str, asyncio.TimerHandle | None] = {}
        """Nodes without a session: a timer while their peers still count."""
        self._draining = asyncio.Lock()

    async def load(self) -> None:
        """Read from the store what is drained; call it before any other method."""
        entries = (await self._store.scan(DRAINED)).entries
        self._drained = frozenset(entry.key.removeprefix(DRAINED) for entry in entries)
        for node in self._state.nodes.values():
            if node.switch is None:
                self.detached(node)
        self.refresh()

    def all(self) -> tuple[PeerInstance, ...]:
        """All instances by name."""
        return tuple(self._instances.values())

    def named(self, name: str) -> PeerInstance:
        """The instance of this name, else :class:`NotFoundError`."""
        peer = self._instances.get(name)
        if peer is None:
            raise NotFoundError(f"there is no feature peer {name!r}: see 'moorline peer list'")
        return peer

    def is_drained(self, name: str) -> bool:
        """Whether an operator has drained an instance."""
        return name in self._drained

    async def drain(self, name: str, *, wanted: bool) -> PeerInstance:
        """Have an instance get no traffic, or let it have some again; raises :class:`NotFoundError`."""
        async with self._draining:
            self.named(name)
            key = DRAINED + name
            await self._store.commit(
                Transaction(puts={key: b"{}"}) if wanted else Transaction(deletes=frozenset([key]))
            )
            self._drained = self._drained | {name} if wanted else self._drained - {name}
        log.info("feature_peer_drained" if wanted else "feature_peer_taken_back", peer=name)
        self.refresh()
        return self.named(name)

    def attached(self, node: Node) -> None:
        """A node has a session: what it reports holds."""
        timer = self._away.pop(node.name, None)
        if timer is not None:
            timer.cancel()
        self.refresh()

    def detached(self, node: Node) -> None:
        """A node has none: its peers most likely go on, for a while nothing changes."""
        if node.name not in self._away:
            loop = asyncio.get_running_loop()
            self._away[node.name] = loop.call_later(AWAY_SECONDS, self._is_gone, node.name)

    def _is_gone(self, name: str) -> None:
        self._away[name] = None
        self.refresh()

    def refresh(self) -> None:
        """Compute all instances; tell whoever wants to know if any is another now."""
        found: dict[str, PeerInstance] = {}
        for node in sorted(self._state.nodes.values(), key=lambda node: node.id):
            for peer in () if node.leaving else node.feature_peers:
                if peer.name in found:
                    log.warning(
                        "feature_peer_twice", peer=peer.name, node=node.name, also=found[peer.name].node
                    )
                    continue
                found[peer.name] = self._instance(peer, node)
        instances = {name: self._unless_gone(peer, found) for name, peer in sorted(found.items())}
        if instances == self._instances:
            return
        for name, now in instances.items():
            before = self._instances.get(name)
            if before is None or before.state is not now.state:
                log.info("feature_peer", peer=name, state=now.state.value, why=now.problem or None)
        self._instances = instances
        for tell in self.changed:
            tell()

    def _instance(self, peer: FeaturePeer, node: Node) -> PeerInstance:
        if not peer.up:
            state = PeerState.DOWN
        else:
            state = PeerState.DRAINING if peer.name in self._drained else PeerState.UP
        return PeerInstance(
            node=node.name, state=state, **{name: getattr(peer, name) for name in sorted(_SAME)}
        )

    def _unless_gone(self, peer: PeerInstance, among: dict[str, PeerInstance]) -> PeerInstance:
        """A node may be lost, or only its agent: its peers are taken for lost once others can stand in."""
        if peer.state is not PeerState.UP or not self._gone(peer.node):
            return peer
        others = (other for other in among.values() if other.kind == peer.kind and not self._gone(other.node))
        if not any(other.state is PeerState.UP for other in others):
            return peer
        problem = f"node {peer.node} has had no session for {AWAY_SECONDS:.0f} s"
        return replace(peer, state=PeerState.DOWN, problem=problem)

    def _gone(self, node: str) -> bool:
        return node in self._away and self._away[node] is None
