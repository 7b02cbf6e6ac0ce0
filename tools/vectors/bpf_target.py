# SPDX-License-Identifier: Apache-2.0
"""The targets XDP and TC: this machine's kernel, by test runs, in the small world's namespace."""

from __future__ import annotations

import asyncio
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from control.southbound.contract import Contract
from dataplane.agent.port_map import PortEntry, PortMap
from dataplane.bpf import sys as bpf
from dataplane.bpf.hook import Hook
from dataplane.bpf.pipeline import Pipeline, PipelineSpec, ensure_pipeline
from dataplane.contract.binding import Binding
from dataplane.contract.p4info import load_p4info
from dataplane.contract.rows import Tables
from moorline.errors import MoorlineError
from moorline.wire import Event
from tools.lab import cleanup
from tools.testrun import TestProgram, TestRunError

from .live import send_to_tc
from .matching import Matching
from .model import Entry, Outcome, PacketIn, Value, number
from .namespace import World, entered, world
from .target import Count, PortEvents
from .world import (
    ACCESS,
    BEHIND,
    GATEWAY,
    INTERNET,
    PEERS,
    SECOND,
    UNASSIGNED,
    UNASSIGNED_INTERFACE,
    UNDERLAY,
    USERS,
)

P4INFO: Final = Path(__file__).resolve().parents[2] / "p4" / "moorline.p4info.txtpb"
RECORD: Final = struct.Struct("=IHHH2x")
"""A record of the ring ``packet_in`` before its data: length, port, reason, MTU (ebpf/packet_in.h)."""

VERDICTS: Final[dict[Hook, dict[Event, int]]] = {
    Hook.XDP: {Event.PASS: 2, Event.TX: 4},
    Hook.TC: {Event.PASS: 0, Event.TX: 7},
}
DROP: Final[dict[Hook, int]] = {Hook.XDP: 1, Hook.TC: 2}
"""What each hook returns: XDP_PASS, XDP_REDIRECT, XDP_DROP; TC_ACT_OK, TC_ACT_REDIRECT, TC_ACT_SHOT."""


WIRES: Final = {
    **{port.number: (port.interface, f"{port.interface}x") for port in (UNDERLAY, SECOND)},
    **{port.number: port.wire for port in (ACCESS, GATEWAY, INTERNET, USERS, PEERS, BEHIND)},
    UNASSIGNED: (UNASSIGNED_INTERFACE, f"{UNASSIGNED_INTERFACE}x"),
}
"""Interface of each port, and the other end of its veth pair."""


class TargetError(MoorlineError):
    """A program that contradicts itself: its verdict, its counters and its packet do not fit together."""


class Bench:
    """A pipeline of its own, loaded and pinned, that both targets share."""

    def __init__(self, pipeline: Pipeline, interfaces: Mapping[str, int]) -> None:
        self.pipeline = pipeline
        self.ifindexes = _ifindexes(interfaces)
        contract = load_p4info(pipeline.spec.p4info, pipeline.spec.sizes)
        self.matching = Matching(Contract.load(pipeline.spec.p4info).p4info)
        self.tables = Tables(Binding(contract, pipeline.shapes), pipeline.tables)
        self.punted: list[tuple[PacketIn, bytes]] = []
        self.ring = bpf.RingBuffer(pipeline.packet_in_fd, self._on_record)
        self._loaded: tuple[Entry, ...] = ()
        PortMap(pipeline.ports, pipeline.port_ifindex).write(_port_entries(interfaces))

    def load(self, entries: Sequence[Entry]) -> None:
        """Hold exactly these entries, with counters at zero and no packet-in of before."""
        self.fetch_punted()
        for entry in self._loaded:
            self.tables.remove(entry.table, self.matching.of(entry.table, entry.key), entry.priority)
        self._loaded = ()
        for entry in entries:
            match = self.matching.of(entry.table, entry.key)
            self.tables.write(entry.table, match, entry.action, _numbers(entry.params), entry.priority)
            self._loaded = (*self._loaded, entry)

    def port_events(self) -> dict[tuple[int, Event], Count]:
        """All counts of the world's ports that are not zero."""
        return {
            (port, event): Count(*count)
            for port in self.ifindexes
            for event, count in self.pipeline.port_events.port(port).items()
            if count[0]
        }

    def fetch_punted(self) -> list[tuple[PacketIn, bytes]]:
        """The packet-ins since the last call, each with its frame."""
        while self.ring.consume():
            pass
        punted, self.punted = self.punted, []
        return punted

    def _on_record(self, record: bytes) -> None:
        length, port, reason, mtu = RECORD.unpack_from(record)
        frame = record[RECORD.size :]
        if length != len(frame):
            raise TargetError(f"a packet-in says {length} octets and holds {len(frame)}; look at packet_in.h")
        self.punted.append((PacketIn(port, Event(reason), mtu), frame))


class BpfTarget:
    """One hook of the bench."""

    def __init__(self, bench: Bench, hook: Hook) -> None:
        self.hook = hook
        self.frames_complete = hook is Hook.XDP
        self.bench = bench
        self.program = TestProgram(bpf.object_get(Path(bench.pipeline.program_path(hook))), hook)

    def load(self, entries: Sequence[Entry]) -> None:
        """Hold exactly these entries, with counters at zero."""
        self.bench.load(entries)

    def send(self, port: int, frame: bytes) -> Outcome:
        """Let ``frame`` arrive at ``port`` and say what became of it.

        Raises:
            TargetError: verdict, counters, packet and packet-in contradict one another.
        """
        before = self.bench.port_events()
        try:
            verdict, packet = self.program.run(frame, self.bench.ifindexes[port])
        except TestRunError:
            return self._send_live(port, frame, before)
        event = _only_event(before, self.bench.port_events())
        self._check(event, verdict, frame, packet)
        punted = self.bench.fetch_punted()
        if [seen for _, seen in punted] != [frame] * event.name.startswith("PUNT_"):
            raise TargetError(f"{event.name} came with {len(punted)} packet-ins, or with another frame")
        if event is Event.TX:
            return Outcome(event, egress_of(packet), packet)
        return Outcome(event, packet_in=punted[0][0] if punted else None)

    def direct_counter(self, table: str, key: Mapping[str, Value], priority: int = 0) -> Count:
        """The direct counter of the entry with this key."""
        row = self.bench.tables.get(table, self.bench.matching.of(table, key), priority)
        if row is None:
            raise TargetError(f"table {table} has no entry {dict(key)}; load the vector's entries")
        return Count(row.packets, row.bytes)

    def port_events(self) -> dict[tuple[int, Event], Count]:
        """The counter ``port_events``."""
        return self.bench.port_events()

    def _send_live(self, port: int, frame: bytes, before: PortEvents) -> Outcome:
        """The same over a wire, for frames that never leave again."""
        interface, wire_end = WIRES[port]
        send_to_tc(
            interface,
            self.bench.ifindexes[port],
            wire_end,
            self.program.fd,
            frame,
            lambda: self.bench.port_events() != before,
        )
        event = _only_event(before, self.bench.port_events())
        if event is not Event.PASS and not event.is_drop:
            raise TargetError(f"a frame of {len(frame)} octets, sent over a wire, came to {event.name}")
        return Outcome(event)

    def _check(self, event: Event, verdict: int, frame: bytes, packet: bytes) -> None:
        if verdict != VERDICTS[self.hook].get(event, DROP[self.hook]):
            raise TargetError(f"the {self.hook} program counts {event.name} and returns {verdict}")
        if event is Event.PASS and packet != frame:
            raise TargetError(f"the {self.hook} program lets a packet pass that it has changed")


@contextmanager
def bpf_targets(hooks: Sequence[Hook] = tuple(Hook)) -> Iterator[list[BpfTarget]]:
    """Targets for these hooks. Until the end the calling thread stands in the small world's namespace."""
    cleanup.sweep()
    name = cleanup.unique_name()
    spec = PipelineSpec(
        P4INFO, cleanup.PINS / name, Path(tempfile.mkdtemp(prefix=f"{name}-")), {}, frozenset(Hook)
    )
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, spec.state, ignore_errors=True)
        stack.callback(shutil.rmtree, spec.pins, ignore_errors=True)
        pipeline = asyncio.run(ensure_pipeline(spec))
        standing: World = stack.enter_context(world(name))
        stack.enter_context(entered(name))
        bench = Bench(pipeline, standing.interfaces)
        stack.callback(bench.ring.close)
        targets = [BpfTarget(bench, hook) for hook in hooks]
        for target in targets:
            stack.callback(os.close, target.program.fd)
        yield targets


def egress_of(packet: bytes) -> int:
    """The port by which a packet leaves, told from its addresses.

    Raises:
        TargetError: they are no port's.
    """
    by_mac = _OWN_MACS.get(packet[6:12])
    if by_mac is not None:
        return by_mac
    at = 18 if packet[12:14] == b"\x81\x00" else 14
    source, destination = (12, 16) if packet[at] >> 4 == 4 else (8, 24)
    octets = destination - source
    port = _UNDERLAY_SOURCES.get(packet[at + source :][:octets])
    port = port or _LAN.get(packet[at + destination :][:octets])
    if port is None:
        raise TargetError(f"the packet {packet[:64].hex()} leaves by no port of the world")
    return port


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


_OWN_MACS: Final = {
    **{_mac(port.mac): port.number for port in (UNDERLAY, SECOND, PEERS, BEHIND)},
    **{_mac(port.far_mac): port.number for port in (ACCESS, GATEWAY, INTERNET, USERS)},
}
"""Ports by the link-layer source of what leaves by them; at TC the kernel writes most of these afterwards."""
_UNDERLAY_SOURCES: Final = {
    number(address): port.number for port in (UNDERLAY, SECOND) for address in (port.address4, port.address6)
}
_LAN: Final = {number(address): GATEWAY.number for address in (GATEWAY.host4, GATEWAY.host6)}


def _only_event(before: PortEvents, after: PortEvents) -> Event:
    moved = [event for (port, event), count in after.items() if count != before.get((port, event))]
    others = [event for event in moved if event is not Event.RX]
    if len(others) != 1 or len(moved) != 2:
        raise TargetError(
            f"one packet moved the events {[event.name for event in moved]}; it must be rx and one"
        )
    return others[0]


def _numbers(values: Mapping[str, Value]) -> dict[str, int | bytes]:
    return {name: number(value) for name, value in values.items()}


def _ifindexes(interfaces: Mapping[str, int]) -> dict[int, int]:
    """Interface number of each port."""
    return {port: interfaces[interface] for port, (interface, _) in WIRES.items()}


def _port_entries(interfaces: Mapping[str, int]) -> list[PortEntry]:
    numbers = _ifindexes(interfaces)
    entries = [PortEntry(numbers[port.number], port.number, _mac(port.mac)) for port in (UNDERLAY, SECOND)]
    near = interfaces[ACCESS.interface]
    entries.append(
        PortEntry(numbers[ACCESS.number], ACCESS.number, _mac(ACCESS.far_mac), near, _mac(ACCESS.near_mac))
    )
    for lan in (GATEWAY, INTERNET, USERS):
        entries.append(PortEntry(numbers[lan.number], lan.number, _mac(lan.far_mac)))
    for peers in (PEERS, BEHIND):
        entries.append(PortEntry(numbers[peers.number], peers.number, _mac(peers.mac)))
    return [*entries, PortEntry(numbers[UNASSIGNED], UNASSIGNED, bytes(6))]
