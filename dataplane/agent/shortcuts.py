# SPDX-License-Identifier: Apache-2.0
"""Asks the controller for short-cuts in the name of feature peers, and hears what they have carried."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address
from typing import Final

import grpc
import structlog

from dataplane.peers.config import PeerConfig
from dataplane.peers.flows import Flow, Traffic
from moorline.api.v1 import graphs_pb2 as api
from moorline.api.v1.graphs_pb2_grpc import GraphsStub

log = structlog.get_logger(__name__)

REMEMBERED: Final = 10_000
"""Flows that were asked for last: each is asked for once in its idle time."""

AT_ONCE: Final = 16
PATIENCE: Final = 5.0
WATCH_AGAIN: Final = 1.0
"""Seconds."""

Ended = Callable[[str, Flow, Traffic, Traffic], Awaitable[None]]
"""A short-cut that a peer, by its name, asked for has ended: what the flow carried there, and back."""


class Shortcuts:
    """Without a session nothing is asked: the flow is seen again, if it goes on."""

    def __init__(self, peers: Iterable[PeerConfig], ended: Ended) -> None:
        self._hears = any(peer.shortcut is not None for peer in peers)
        self._ended = ended
        self._watch: asyncio.Task[None] | None = None
        self._channel: grpc.aio.Channel | None = None
        self._asked: OrderedDict[tuple[str, Flow], float] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def use(self, channel: grpc.aio.Channel | None) -> None:
        """Ask over this channel from now on."""
        self._channel = channel
        if self._watch is not None:
            self._watch.cancel()
        wanted = channel if self._hears else None
        self._watch = asyncio.create_task(self._hear(wanted), name="shortcuts") if wanted else None

    def ask(self, peer: PeerConfig, flow: Flow) -> None:
        """Ask for a short-cut for a flow, as the peer's settings say."""
        if peer.shortcut is None or self._channel is None or len(self._tasks) >= AT_ONCE:
            return
        now, key = asyncio.get_running_loop().time(), (peer.name, flow)
        if self._asked.get(key, now) > now:
            return
        self._asked[key] = now + peer.shortcut.idle_seconds
        self._asked.move_to_end(key)
        if len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        request = api.RequestShortcutRequest(
            graph=peer.shortcut.graph,
            flow=api.Flow(
                source=flow.source.packed,
                destination=flow.destination.packed,
                protocol=flow.protocol,
                source_port=flow.source_port,
                destination_port=flow.destination_port,
            ),
            # What a cache answers goes straight to it; a long flow goes straight to its end.
            until=peer.kind if peer.run == "cache" else "",
            idle_seconds=peer.shortcut.idle_seconds,
            peer=peer.name,
        )
        task = asyncio.create_task(self._request(peer.name, request, self._channel))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _request(
        self, peer: str, request: api.RequestShortcutRequest, channel: grpc.aio.Channel
    ) -> None:
        try:
            await GraphsStub(channel).RequestShortcut(request, timeout=PATIENCE)
        except grpc.aio.AioRpcError as error:
            log.warning("shortcut_not_made", peer=peer, graph=request.graph, why=error.details())

    async def _hear(self, channel: grpc.aio.Channel) -> None:
        while True:
            try:
                async for event in GraphsStub(channel).WatchShortcuts(api.WatchShortcutsRequest(own=True)):
                    if event.kind == api.ShortcutEvent.KIND_EXPIRED and event.shortcut.peer:
                        await self._tell(event.shortcut)
            except grpc.aio.AioRpcError as error:
                log.info("shortcuts_unwatched", why=error.details())
            await asyncio.sleep(WATCH_AGAIN)

    async def _tell(self, shortcut: api.Shortcut) -> None:
        flow = Flow(
            ip_address(shortcut.flow.source),
            ip_address(shortcut.flow.destination),
            shortcut.flow.protocol,
            shortcut.flow.source_port,
            shortcut.flow.destination_port,
        )
        there = Traffic(shortcut.packets, shortcut.bytes)
        back = Traffic(shortcut.packets_back, shortcut.bytes_back)
        await self._ended(shortcut.peer, flow, there, back)
