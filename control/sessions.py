# SPDX-License-Identifier: Apache-2.0
"""Sessions of nodes: what each agent is told beside its tables, in order and without waiting for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog

from control import messages
from control.connection_records import Connection
from control.errors import ExhaustedError, PreconditionError
from control.pair_keys import PairKeys
from control.records import Node
from control.state import State
from moorline.api.v1 import moorline_pb2 as pb

log = structlog.get_logger(__name__)

BACKLOG: Final = 200_000
"""Updates that an agent may lag behind before it has to attach again."""

AT_ONCE: Final = 100
"""Updates in one message, at most."""

PAUSE: Final = 0.02
"""Seconds after a message in which changes of the translation table wait for more of them.

Hosts do not wait for them, and a message costs each end more than what is in it.
"""

_CHUNK: Final = 500


class Session:
    """One attached agent; :meth:`updates` is read by its stream.

    Args:
        endpoints: makes the update with all services of the node as they are when it is called.
    """

    def __init__(self, endpoints: Callable[[], pb.NodeUpdate]) -> None:
        self._endpoints = endpoints
        self._endpoints_due = False
        self._updates: deque[pb.NodeUpdate] = deque()
        self._wake = asyncio.Event()
        self._less = asyncio.Event()
        self._pause_ends = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self._error: Exception | None = None

    def send(self, update: pb.NodeUpdate) -> None:
        """Queue an update."""
        self._queue(update)
        self._wake.set()

    def send_soon(self, update: pb.NodeUpdate) -> None:
        """Queue an update that may wait for others for a moment, unless it is the first for a while."""
        self._queue(update)
        loop = asyncio.get_running_loop()
        if len(self._updates) >= AT_ONCE or loop.time() >= self._pause_ends:
            self._wake.set()
        elif self._timer is None:
            self._timer = loop.call_at(self._pause_ends, self._end_pause)

    def send_endpoints(self) -> None:
        """Queue the services of the node: once, however often they change until the agent reads on."""
        self._endpoints_due = True
        self._wake.set()

    def end(self, error: Exception | None) -> None:
        """Make :meth:`updates` raise ``error``, or end when the agent has."""
        self._ended = True
        self._error = self._error or error
        self._wake.set()
        self._less.set()

    async def room(self) -> None:
        """Wait until the agent has read most of what is queued, or is gone."""
        while len(self._updates) > AT_ONCE and not self._ended:
            self._less.clear()
            await self._less.wait()

    async def updates(self) -> AsyncIterator[pb.NodeUpdate]:
        """What is to be sent, until the session ends."""
        while not self._ended:
            self._wake.clear()
            if self._endpoints_due:
                self._endpoints_due = False
                self._updates.append(self._endpoints())
            due = len(self._updates)  # what comes while a message is sent says itself when it is to go
            while due > 0 and not self._ended:
                due -= AT_ONCE
                self._pause_ends = asyncio.get_running_loop().time() + PAUSE
                yield self._next()
                self._less.set()
            await self._wake.wait()
        if self._error is not None:
            raise self._error

    def _queue(self, update: pb.NodeUpdate) -> None:
        if len(self._updates) >= BACKLOG:
            self.end(ExhaustedError(f"the agent fell {BACKLOG} updates behind: attach again"))
        self._updates.append(update)

    def _end_pause(self) -> None:
        self._timer = None
        self._wake.set()

    def _next(self) -> pb.NodeUpdate:
        """All that waits, in one message."""
        if len(self._updates) == 1:
            return self._updates.popleft()
        several = pb.NodeUpdate()
        for _ in range(min(AT_ONCE, len(self._updates))):
            several.several.updates.append(self._updates.popleft())
        return several


class Sessions:
    """All attached agents, by number of the node; everything else is told as soon as it changes."""

    def __init__(self, state: State, prefixes: tuple[str, str], keys: PairKeys) -> None:
        self._state = state
        self._keys = keys
        self._prefixes = prefixes
        self._sessions: dict[int, Session] = {}

    def __contains__(self, node: Node) -> bool:
        return node.id in self._sessions

    def __len__(self) -> int:
        return len(self._sessions)

    def attach(self, node: Node) -> Session:
        """A session for ``node``, which ends the one that it may have had."""
        self.end(node, f"node {node.name} has attached once more: only its last session stands")
        session = self._sessions[node.id] = Session(lambda: _endpoints(node))
        log.info("node_attached", node=node.name)
        return session

    def detach(self, node: Node, session: Session) -> bool:
        """The stream of ``session`` is over; whether the node is without one now."""
        if self._sessions.get(node.id) is session:
            del self._sessions[node.id]
            log.info("node_detached", node=node.name)
        return node.id not in self._sessions

    def end(self, node: Node, why: str) -> None:
        """Throw the agent of ``node`` out, if it is attached."""
        session = self._sessions.pop(node.id, None)
        if session is not None:
            session.end(PreconditionError(why))

    async def tell_all(self, node: Node, session: Session) -> None:
        """Send everything that holds now. Changes meanwhile are sent too, never before what they change."""
        session.send(
            pb.NodeUpdate(
                welcome=pb.Welcome(node_id=node.id, node=node.name, virtual_prefixes=self._prefixes)
            )
        )
        session.send(_endpoints(node))
        for number in list(node.peers):
            if number in node.peers:
                self.peer(node, self._state.nodes_by_id[number])
        connections = self._state.connections_ending_at(node)
        for start in range(0, len(connections), _CHUNK):
            for connection in connections[start : start + _CHUNK]:
                if connection.id in node.connections:
                    self.translation(node, connection)
            await session.room()
        session.send(pb.NodeUpdate(synchronized=pb.Synchronized()))

    # ---- changes, told to the agent of ``node`` if it is attached ------------------------------------------

    def endpoints(self, node: Node) -> None:
        """The services of ``node`` have changed."""
        session = self._sessions.get(node.id)
        if session is not None:
            session.send_endpoints()

    def peer(self, node: Node, peer: Node) -> None:
        """``peer`` is new to ``node``, has moved, or is now relayed there or no more."""
        if node in self:
            key, relayed = self._keys.between(node, peer), peer.id in node.origins
            self._send(node, pb.NodeUpdate(peer=messages.peer_changed(peer, key, relayed=relayed)))

    def peer_removed(self, node: Node, peer: Node) -> None:
        """``node`` has no connection with ``peer`` left."""
        self._send(node, pb.NodeUpdate(peer_removed=pb.PeerRemoved(node_id=peer.id)))

    def translation(self, node: Node, connection: Connection, former_scid: int = 0) -> None:
        """``connection`` is new, its channel went up or down, or it had another SCID until now."""
        session = self._sessions.get(node.id)
        if session is None:
            return
        update = pb.NodeUpdate(translation=messages.translation(connection, node, former_scid))
        if connection.client.port or connection.server.port:
            session.send(update)  # a plain host may ask the agent for names as soon as it reaches it
        else:
            session.send_soon(update)

    def translation_removed(self, node: Node, connection: Connection) -> None:
        """``connection`` was closed."""
        scid = connection.path.scid_at(node)
        self._send(node, pb.NodeUpdate(translation_removed=pb.TranslationRemoved(scid=scid)))

    def _send(self, node: Node, update: pb.NodeUpdate) -> None:
        session = self._sessions.get(node.id)
        if session is not None:
            session.send(update)


def _endpoints(node: Node) -> pb.NodeUpdate:
    endpoints = [
        pb.Endpoint(service=s.name, ipv4=s.ipv4, ipv6=s.ipv6, port=s.port) for s in node.services.values()
    ]
    return pb.NodeUpdate(endpoints=pb.Endpoints(endpoints=endpoints))
