# SPDX-License-Identifier: Apache-2.0
"""The target BMv2: a real switch process, entries over P4Runtime, real packets over veth.

What the kernel of a host knows of its small world, routes and neighbours, a switch has in its table ``fib``.
"""

from __future__ import annotations

import os
import select
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from pyroute2 import netns

from control.southbound.contract import Contract, Prefix, Row
from moorline.errors import MoorlineError
from moorline.wire import Event
from tools.contract import P4, P4INFO, SWITCH
from tools.lab import cleanup
from tools.lab.switch import Switch
from tools.lab.waiting import wait_until

from . import wires
from .entries import mapped
from .matching import Matching
from .model import Entry, Outcome, PacketIn, Value, number
from .namespace import entered
from .switch_client import SwitchClient
from .target import Count, PortEvents, moved
from .world import ACCESS, BEHIND, GATEWAY, INTERNET, PEERS, SECOND, UNASSIGNED, UNDERLAY, USERS

HOST_PORT: Final = 509
"""Where what passes leaves (p4/constants.p4)."""

PORTS: Final = (
    *(port.number for port in (UNDERLAY, SECOND, ACCESS, GATEWAY, INTERNET, USERS, PEERS, BEHIND)),
    UNASSIGNED,
)
PATIENCE_SECONDS: Final = 5.0
WINDOW: Final = 60
"""Frames under way at a time: a queue of the switch's holds 64, and loses what comes beyond."""

SHORTEST_TAGGED: Final = 20
"""The kernel drops a frame with a VLAN tag that ends before the EtherType behind it and two octets more."""


class Bmv2Error(MoorlineError):
    """A switch that contradicts itself, or loses packets."""


@dataclass(frozen=True, slots=True)
class Played:
    """What became of frames that arrived at one port."""

    events: PortEvents
    """By how much the port's counters moved."""
    left: Mapping[int, Sequence[bytes]]
    """The frames that left, by port, in their order; what passes leaves by ``HOST_PORT``."""
    punted: Sequence[tuple[PacketIn, bytes]]


class Bmv2Target:
    """A switch that stands in the small world."""

    hook = "bmv2"
    frames_complete = True

    def __init__(self, address: str, program: Path) -> None:
        """In the namespace of the ports' outer ends."""
        self._punted: SimpleQueue[tuple[PacketIn, bytes]] = SimpleQueue()
        self.traces: SimpleQueue[tuple[int, ...]] = SimpleQueue()
        """Messages of the digest ``path_trace``, in their order."""
        self._bell = os.eventfd(0, os.EFD_NONBLOCK)
        self._contract = Contract.load(P4 / P4INFO)
        self._wires = {port: wires.Wire(port) for port in (*PORTS, HOST_PORT)}
        self._poll = select.epoll()
        for descriptor in (*(wire.fileno() for wire in self._wires.values()), self._bell):
            self._poll.register(descriptor, select.EPOLLIN)
        self._client = SwitchClient(address, self._contract, self._on_packet, self.traces.put)
        self._client.push(program)
        self._client.subscribe("path_trace")
        self._client.insert(next_hops(self._contract))
        self._rows: list[Row] = []
        self._entries: tuple[Entry, ...] = ()

    def close(self) -> None:
        """Let go of the switch and of its ports."""
        self._client.close()
        self._poll.close()
        for wire in self._wires.values():
            wire.close()
        os.close(self._bell)

    def load(self, entries: Sequence[Entry]) -> None:
        """Hold exactly these entries, with counters at zero."""
        self._client.delete(self._rows)
        self._rows, self._entries = [], ()
        rows = rows_of(self._contract, entries)
        self._client.insert(rows)
        self._rows, self._entries = rows, tuple(entries)

    def send(self, port: int, frame: bytes) -> Outcome:
        """Let ``frame`` arrive at ``port`` and say what became of it.

        Raises:
            Bmv2Error: counters, packet and packet-in contradict one another, or the frame was lost.
        """
        return outcome_of(port, frame, self.play(port, [frame]))

    def play(self, port: int, frames: Sequence[bytes]) -> Played:
        """Let frames, at most ``WINDOW``, arrive at ``port`` in this order, and wait for all of them.

        Raises:
            Bmv2Error: a frame was lost.
        """
        before = self._client.port_events([port])
        for frame in frames:
            self._wires[port].send(frame)
        events = self._accounted(port, len(frames), before)
        visible = (event for (_, event) in events if event is not Event.RX and not event.is_drop)
        expected = sum(events[port, event].packets for event in visible)
        left, punted = self._collect(expected)
        return Played(events, left, punted)

    def direct_counter(self, table: str, key: Mapping[str, Value], priority: int = 0) -> Count:
        """The direct counter of the entry with this key."""
        for entry, row in zip(self._entries, self._rows, strict=True):
            if (entry.table, entry.key, entry.priority) == (table, key, priority):
                return self._client.direct_counter(row)
        raise Bmv2Error(f"table {table} has no entry {dict(key)}; load the vector's entries")

    def port_events(self) -> PortEvents:
        """The counter ``port_events``."""
        return self._client.port_events(PORTS)

    def _accounted(self, port: int, count: int, before: PortEvents) -> PortEvents:
        """The port's events once all frames have been counted, as what arrived and as what they became."""

        def accounted() -> PortEvents | None:
            now = moved(before, self._client.port_events([port]))
            packets = sum(counted.packets for counted in now.values())
            return now if packets >= 2 * count else None

        return wait_until(accounted, f"the switch counted {count} frames", PATIENCE_SECONDS, every=0.001)

    def _collect(self, count: int) -> tuple[dict[int, list[bytes]], list[tuple[PacketIn, bytes]]]:
        """What leaves until ``count`` frames and packet-ins have come, or no more come."""
        left: dict[int, list[bytes]] = {}
        punted: list[tuple[PacketIn, bytes]] = []
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            for port, wire in self._wires.items():
                while (frame := wire.receive()) is not None:
                    left.setdefault(port, []).append(frame)
            punted += self._fetch_punted()
            if sum(map(len, left.values())) + len(punted) >= count or time.monotonic() > deadline:
                return left, punted
            self._poll.poll(max(0.0, deadline - time.monotonic()))

    def _fetch_punted(self) -> Iterator[tuple[PacketIn, bytes]]:
        try:
            os.eventfd_read(self._bell)
        except BlockingIOError:
            return
        while True:
            try:
                yield self._punted.get_nowait()
            except Empty:
                return

    def _on_packet(self, packet_in: PacketIn, frame: bytes) -> None:
        self._punted.put((packet_in, frame))
        os.eventfd_write(self._bell, 1)


def next_hops(contract: Contract) -> Iterator[Row]:
    """Routes and neighbours of the small world, as a switch has them."""

    def row(port: int, destination: Prefix, own: str, other: str) -> Row:
        macs = {"src_mac": _mac(own), "dst_mac": _mac(other)}
        return contract.row("fib", {"port": port, "destination": destination}, "next_hop", macs)

    for port in (UNDERLAY, SECOND):
        for address in (port.neighbour.address4, port.neighbour.address6, port.routed4):
            yield row(port.number, _whole(address), port.mac, port.neighbour.mac)
    for lan in (GATEWAY, INTERNET, USERS):
        for address in (lan.host4, lan.host6):
            yield row(lan.number, _whole(address), lan.far_mac, lan.near_mac)
    yield row(ACCESS.number, Prefix(bytes(16), 0), ACCESS.far_mac, ACCESS.near_mac)


def rows_of(contract: Contract, entries: Sequence[Entry]) -> list[Row]:
    """A vector's entries as P4Runtime has them."""
    matching = Matching(contract.p4info)
    return [
        contract.row(
            entry.table,
            matching.of(entry.table, entry.key),
            entry.action,
            {name: number(value) for name, value in entry.params.items()},
            priority=entry.priority,
        )
        for entry in entries
    ]


def outcome_of(port: int, frame: bytes, played: Played) -> Outcome:
    """What became of a single frame.

    Raises:
        Bmv2Error: counters, packet and packet-in contradict one another.
    """
    others = [event for (_, event) in played.events if event is not Event.RX]
    left = [(egress, packet) for egress, packets in played.left.items() for packet in packets]
    if len(others) != 1 or len(left) + len(played.punted) > 1:
        names = [event.name for event in others]
        raise Bmv2Error(
            f"one frame came to {names}, left {len(left)} times and was punted {len(played.punted)} times"
        )
    (event,) = others
    egress, packet = left[0] if left else (None, None)
    packet_in, shown = played.punted[0] if played.punted else (None, None)
    if event is Event.TX:
        return Outcome(event, egress, packet, packet_in)
    if event is Event.PASS:
        to_controller = packet_in == PacketIn(port, Event.PASS) and shown == frame
        if not to_controller and (egress, packet) != (HOST_PORT, frame):
            raise Bmv2Error(f"a packet that passes leaves by port {egress} as {packet!r}")
        return Outcome(event)
    if packet_in is not None and shown != frame:
        raise Bmv2Error(f"{event.name} came with another frame")
    return Outcome(event, egress, packet, packet_in)


def arrives(frame: bytes) -> bool:
    """Whether the kernel hands such a frame to a switch at all."""
    return len(frame) >= SHORTEST_TAGGED or frame[12:14] not in (b"\x81\x00", b"\x88\xa8")


@contextmanager
def bmv2_target(program: Path = P4 / SWITCH) -> Iterator[Bmv2Target]:
    """A switch with the small world around it, in a namespace of its own.

    ``program``: what it runs, compiled for BMv2; the contract is Moorline's.
    """
    cleanup.sweep()
    name = cleanup.unique_name()
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        netns.create(name)
        stack.callback(netns.remove, name)
        with entered(name):
            interfaces = wires.lay((*PORTS, HOST_PORT))
        switch = stack.enter_context(Switch("bmv2", cleanup.NAMESPACES / name, interfaces, folder))
        with entered(name):
            target = Bmv2Target(switch.address, program)
        stack.callback(target.close)
        yield target


def _whole(address: str) -> Prefix:
    """What only this address matches."""
    return Prefix(IPv6Address(mapped(address)).packed, 128)


def _mac(text: str) -> int:
    return int(text.replace(":", ""), 16)
