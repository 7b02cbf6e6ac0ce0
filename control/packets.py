# SPDX-License-Identifier: Apache-2.0
"""Packets of unknown pairs: looked up by their virtual addresses, held meanwhile, sent on in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from finsy.proto import p4r

from control.connections import Connections
from control.errors import ControlError, NodeAwayError
from control.floods import Floods
from control.graphs.extras import Addition
from control.graphs.trace import Tracer
from control.held import Held
from control.idle import Idle
from control.neighbours.frame import is_resolution
from control.records import Node, Status
from control.rejects import Rejects
from control.southbound.contract import read_match
from control.southbound.dataplane import DataPlane
from control.southbound.digests import DigestFormat
from control.southbound.packet_format import PacketFormat, Received
from control.speakers import Speakers
from control.state import State
from moorline import ethernet
from moorline.wire import Event

log = structlog.get_logger(__name__)

_TENANT: Final = 0

Addresses = tuple[bytes, bytes]
"""Source and destination, 4 or 16 octets."""


def inner_addresses(frame: bytes) -> Addresses | None:
    """The IP addresses in an Ethernet frame; None when it carries no whole IP header."""
    kind, packet = ethernet.contents(frame)
    if kind == ethernet.IPV4 and len(packet) >= 20:
        return packet[12:16], packet[16:20]
    if kind == ethernet.IPV6 and len(packet) >= 40:
        return packet[8:24], packet[24:40]
    return None


class Packets:
    """What data planes say on their streams: packet-ins, idle entries, digests."""

    def __init__(
        self,
        state: State,
        connections: Connections,
        rejects: Rejects,
        idle: Idle,
        speakers: Speakers,
        packet_format: PacketFormat,
        digest_format: DigestFormat,
        floods: Floods,
        additions: Sequence[Addition],
        tracer: Tracer,
    ) -> None:
        self._state = state
        self._connections = connections
        self._rejects = rejects
        self._idle = idle
        self._speakers = speakers
        self._format = packet_format
        self._digests = digest_format
        self._floods = floods
        self._additions = additions
        self._tracer = tracer
        self._held = Held[tuple[int, Addresses], Received](lambda packet: len(packet.frame))
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- control.southbound.dataplane.Listener -------------------------------------------------------------

    def packet_in(self, dataplane: DataPlane, packet: p4r.PacketIn) -> None:
        """Hold a packet of an unknown pair and look the pair up; answer other packets for a switch."""
        node, received = dataplane.node, self._format.read(packet)
        if node.switch is not None and is_resolution(received.frame):
            self._speakers.heard(node, received)
        elif received.reason == Event.PUNT_CONNECTION_MISS:
            self._look_up(dataplane, received)
        elif node.switch is not None:
            self._speakers.not_carried(node, received)

    def digest(self, dataplane: DataPlane, digests: p4r.DigestList) -> None:
        """Packets of connections that should be there show that the data plane lacks entries."""
        self._tracer.digest(dataplane.node, digests)
        for scid in self._digests.scids(digests):
            connection = self._state.connections_by_scid.get(scid)
            paths = connection.paths if connection is not None and connection.status is Status.UP else ()
            if any((dataplane.node, scid) in path.places for path in paths):
                dataplane.doubt()
            else:
                dataplane.unknown_scids += 1
                self._floods.asked(dataplane.node)

    def idle(self, dataplane: DataPlane, entry: p4r.TableEntry) -> None:
        """Take an entry out that refuses a pair nobody tries any longer, or a channel down; a short-cut or a
        pinned customer may come to an end.
        """
        key = (entry.table_id, read_match(entry), entry.priority)
        if any(addition.idle(dataplane.node, key) for addition in self._additions):
            return
        if not self._rejects.idle(dataplane.node, key):
            self._idle.notified(dataplane.node, key)

    def dialled(self, dataplane: DataPlane) -> None:
        """Nothing of before is known to stand at this data plane."""
        self._rejects.forget(dataplane.node)

    def reconciled(self, dataplane: DataPlane) -> None:
        """What failed for want of this node may be asked again."""
        log.debug("pairs_may_ask_again", node=dataplane.node.name)
        self._rejects.clear()

    async def attend(self, dataplane: DataPlane) -> None:
        """Speak for a data plane without a host."""
        if dataplane.node.switch is not None:
            await self._speakers.attend(dataplane)

    def reach_changed(self, node: Node) -> None:
        """Neighbours of a switch may be others now."""
        self._speakers.refresh(node)

    def reaching(self, node: Node, peer: Node) -> asyncio.Future[None] | None:
        """Done when a switch has found its neighbour, or has not for a while."""
        return self._speakers.reaching(node, peer)

    # ---- the way of a packet -------------------------------------------------------------------------------

    def _look_up(self, dataplane: DataPlane, received: Received) -> None:
        addresses = inner_addresses(received.frame)
        if addresses is None:
            return
        if self._held.add((dataplane.node.id, addresses), received):
            task = asyncio.create_task(self._connect(dataplane, addresses))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, dataplane: DataPlane, addresses: Addresses) -> None:
        node = dataplane.node
        try:
            await self._lookup(node, addresses)
            await self._release(dataplane, addresses)
        except ControlError as error:
            self._rejects.add(node, _TENANT, *addresses)
            (log.debug if self._floods.asked(node) else log.info)(
                "packet_refused", node=node.name, why=str(error)
            )
        except Exception:
            log.exception("packet_failed", node=node.name)
        finally:
            self._held.drop((node.id, addresses))

    async def _lookup(self, node: Node, addresses: Addresses) -> None:
        source, destination = (self._state.services_by_address.get(address) for address in addresses)
        if source is None or source.node is not node or destination is None:
            raise NodeAwayError(f"no pair of services has the addresses of a packet from {node.name}")
        await self._connections.lookup(source.name, destination.name)

    async def _release(self, dataplane: DataPlane, addresses: Addresses) -> None:
        """Send what was held; what comes meanwhile is sent after it."""
        try:
            while (packet := self._held.take((dataplane.node.id, addresses))) is not None:
                await dataplane.send(self._format.through(packet.port, packet.frame))
        except NodeAwayError as error:
            log.info("held_packets_lost", node=dataplane.node.name, why=str(error))
