# SPDX-License-Identifier: Apache-2.0
"""Speaks for switches, which have no host of their own: ARP, neighbour discovery, ICMP errors.

What a switch does with packets stands in its tables. This is what it would say itself, sent by packet-out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog
from finsy.proto import p4r

from control.icmp_answers import icmp_answer
from control.neighbours.table import Conflict, Key, Neighbours, Output, Resolved, Send
from control.next_hops import NextHopRows, links_of, needed_for, wanted_by
from control.records import Node
from control.southbound.contract import Row
from control.southbound.dataplane import DataPlane
from control.southbound.dataplanes import DataPlanes
from control.southbound.packet_format import PacketFormat, Received
from control.state import State
from control.subscribers.records import Device
from moorline.addresses import unmapped
from moorline.icmp import ANSWERS_BURST, ANSWERS_PER_SECOND
from moorline.limits import Limiter

log = structlog.get_logger(__name__)

Devices = Callable[[], Iterable[Device]]

OUTBOX: Final = 4096
"""Frames that may wait for the stream of a switch; the oldest makes room: it will be asked for anew."""


PATIENCE: Final = 1.0
"""Seconds that a new connection waits for neighbours at most; later ones have the sender's repetition."""


class Speaker:
    """For one switch: what it knows, and what waits to be sent. Sans-IO but for its event."""

    def __init__(self, node: Node, state: State, packet_format: PacketFormat, devices: Devices) -> None:
        self.node = node
        self._devices = devices
        self.neighbours = Neighbours()
        self.outbox: deque[p4r.StreamMessageRequest] = deque(maxlen=OUTBOX)
        self.wake = asyncio.Event()
        self.rows_changed = False
        self._stale = True
        self._awaited: dict[asyncio.Future[None], set[Key]] = {}
        self._state = state
        self._format = packet_format
        self._answers = Limiter(ANSWERS_PER_SECOND, ANSWERS_BURST)

    def refresh(self) -> None:
        """Whom the switch has to reach, or its ports, may have changed."""
        self._stale = True
        self.wake.set()

    def work(self, now: float) -> None:
        """Do what it is time for."""
        self._update(now)
        self._take(self.neighbours.tick(now))

    def heard(self, received: Received, now: float) -> None:
        """A message of a neighbour."""
        self._update(now)
        self._take(self.neighbours.received(received.port, received.frame, now))

    def not_carried(self, received: Received, now: float) -> None:
        """A packet that the switch could not carry: its sender is told, as often as is allowed."""
        if not self._answers.allows(now):
            return
        answer = icmp_answer(self.node, received, self._state, self._format)
        if answer is not None:
            self._send(answer)

    def reaching(self, peer: Node) -> asyncio.Future[None] | None:
        """Done when the way to ``peer`` is known, or in vain after a while; None when it is already."""
        missing = {key for key in needed_for(self.node, peer) if self.neighbours.mac_of(*key) is None}
        if not missing:
            return None
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._awaited[future] = missing
        loop.call_later(PATIENCE, self.settle, [future])
        return future

    def reached(self) -> list[asyncio.Future[None]]:
        """Those of :meth:`reaching` of which all is known now."""
        known = self.neighbours.mac_of
        return [future for future, keys in self._awaited.items() if all(known(*key) for key in keys)]

    def settle(self, futures: Iterable[asyncio.Future[None]]) -> None:
        """Let those who wait go on."""
        for future in futures:
            self._awaited.pop(future, None)
            if not future.done():
                future.set_result(None)

    def adopt(self, neighbours: Iterable[tuple[int, bytes, bytes]], now: float) -> None:
        """Take over what the switch has in its table, while it is not known better."""
        self._update(now)
        for port, address, mac in neighbours:
            if self.neighbours.adopt(port, address, mac, now):
                self.wake.set()

    def _update(self, now: float) -> None:
        if self._stale:
            self._stale = False
            self.rows_changed = True
            wanted = wanted_by(self.node, self._state, self._devices())
            self._take(self.neighbours.configure(links_of(self.node), wanted, now))

    def _take(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            match output:
                case Send(port, frame):
                    self._send(self._format.straight(port, frame))
                case Resolved():
                    self.rows_changed = True
                    self.wake.set()
                case Conflict(port, address, mac):
                    log.warning(
                        "address_conflict",
                        node=self.node.name,
                        port=port,
                        address=str(unmapped(address)),
                        also_at=mac.hex(":"),
                    )

    def _send(self, message: p4r.StreamMessageRequest) -> None:
        self.outbox.append(message)
        self.wake.set()


class Speakers:
    """For all switches; the source of their next hops (:class:`control.southbound.own_rows.RowSource`).

    ``devices`` are all customers'.
    """

    def __init__(
        self, state: State, planes: DataPlanes, packet_format: PacketFormat, devices: Devices
    ) -> None:
        self._devices = devices
        self._state = state
        self._planes = planes
        self._format = packet_format
        self._rows = NextHopRows(planes.contract)
        self._speakers: dict[int, Speaker] = {}

    # ---- control.southbound.own_rows.RowSource -------------------------------------------------------------

    @property
    def tables(self) -> Sequence[int]:
        """Ids of the tables."""
        return [self._rows.table]

    def found(self, node: Node, rows: Iterable[Row]) -> None:
        """What a controller before this one told the switch holds until its neighbours have answered."""
        neighbours = filter(None, map(self._rows.neighbour_in, rows))
        self._of(node).adopt(neighbours, _now())

    def rows(self, node: Node) -> Iterable[Row]:
        """All rows that ``node`` is to have now."""
        return self._rows.rows(node, self._of(node).neighbours)

    # ---- while a switch takes changes ----------------------------------------------------------------------

    async def attend(self, dataplane: DataPlane) -> None:
        """Speak for the switch until it is lost."""
        speaker = self._of(dataplane.node)
        speaker.refresh()
        while True:
            speaker.wake.clear()
            speaker.work(_now())
            if speaker.rows_changed:
                speaker.rows_changed = False
                self._settle(speaker, self._planes.own_rows_changed(speaker.node))
            while speaker.outbox:
                await dataplane.send(speaker.outbox.popleft())
            await _wait(speaker.wake, speaker.neighbours.deadline - _now())

    @staticmethod
    def _settle(speaker: Speaker, written: list[asyncio.Future[None]]) -> None:
        """Let those go on whose neighbours are found, once the rows of these stand."""
        if reached := speaker.reached():
            standing = asyncio.gather(*written, return_exceptions=True)
            standing.add_done_callback(lambda _: speaker.settle(reached))

    def refresh(self, node: Node) -> None:
        """Whom ``node`` has to reach, or what its ports are, may have changed."""
        if node.switch is not None:
            self._of(node).refresh()

    async def refresh_all(self) -> None:
        """Whom any switch has to reach may have changed."""
        for speaker in self._speakers.values():
            speaker.refresh()

    def reaching(self, node: Node, peer: Node) -> asyncio.Future[None] | None:
        """Done when ``node`` knows the way to its neighbour ``peer``, or after a while; None when it does."""
        return self._of(node).reaching(peer) if node.switch is not None else None

    def heard(self, node: Node, received: Received) -> None:
        """A packet-in with a message of a neighbour of ``node``."""
        self._of(node).heard(received, _now())

    def not_carried(self, node: Node, received: Received) -> None:
        """A packet-in with a packet that ``node`` could not carry."""
        self._of(node).not_carried(received, _now())

    def _of(self, node: Node) -> Speaker:
        speaker = self._speakers.get(node.id)
        if speaker is None or speaker.node is not node:  # the number of one that was removed
            speaker = self._speakers[node.id] = Speaker(node, self._state, self._format, self._devices)
        return speaker


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(None if seconds == float("inf") else seconds):
            await event.wait()
    except TimeoutError:
        pass
