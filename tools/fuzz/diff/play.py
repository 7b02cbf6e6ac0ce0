# SPDX-License-Identifier: Apache-2.0
"""Plays windows of frames to the targets, and brings what became of them into one form.

What hooks and a switch are known to do differently (docs/wire-format.md, "The two hooks" and "A switch") is
evened out here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from moorline.wire import GENEVE_PORT, VXLAN_PORT, Event
from tools.fuzz.rules import IPV4, IPV6, link, u16
from tools.testrun import TestRunError
from tools.vectors.bmv2_target import HOST_PORT, Bmv2Target, arrives
from tools.vectors.bpf_target import DROP, VERDICTS, BpfTarget, TargetError, egress_of
from tools.vectors.model import Entry, PacketIn, Value
from tools.vectors.runner import comparable
from tools.vectors.target import Count, PortEvents, moved
from tools.vectors.world import ACCESS, UNASSIGNED

ARP: Final = 0x0806
ICMPV6: Final = 58


@dataclass(frozen=True, slots=True)
class Window:
    """Frames that arrive at one port, one behind the other."""

    port: int
    frames: tuple[bytes, ...]


@dataclass(slots=True)
class Result:
    """What became of a window."""

    events: dict[tuple[int, Event], Count]
    sent: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """On hosts: port and packet by the place in the window of the frame that left as it."""
    left: dict[int, list[bytes]] = field(default_factory=dict)
    """Frames that left, by port, in their order."""
    passed: list[bytes] = field(default_factory=list)
    """Frames that were left to the kernel, sorted."""
    punted: list[tuple[PacketIn, bytes]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What cannot be, whatever other targets do."""


class Player(Protocol):
    """A target that can be played to."""

    @property
    def hook(self) -> str:
        """The target's name."""

    def load(self, entries: Sequence[Entry]) -> None:
        """Hold exactly these entries, with counters at zero."""

    def play(self, window: Window) -> Result:
        """What becomes of a window."""

    def direct_counter(self, table: str, key: Mapping[str, Value], priority: int = 0) -> Count:
        """The direct counter of an entry."""


class HookPlayer:
    """A hook, by test runs."""

    def __init__(self, target: BpfTarget) -> None:
        self.hook = target.hook
        self._target = target

    def load(self, entries: Sequence[Entry]) -> None:
        """Hold exactly these entries, with counters at zero."""
        self._target.load(entries)

    def direct_counter(self, table: str, key: Mapping[str, Value], priority: int = 0) -> Count:
        """The direct counter of an entry."""
        return self._target.direct_counter(table, key, priority)

    def takes(self, frame: bytes) -> bool:
        """Whether the kernel takes the frame for a test run; asked at a port where nothing is counted."""
        try:
            self._target.program.run(frame, self._target.bench.ifindexes[UNASSIGNED])
        except TestRunError:
            return False
        return True

    def play(self, window: Window) -> Result:
        """What becomes of a window."""
        target = self._target
        verdicts, drop = VERDICTS[self.hook], DROP[self.hook]
        sent, passed, wrong = {}, [], []
        target.bench.fetch_punted()  # what was played before may have left some
        before = target.port_events()
        for place, frame in enumerate(window.frames):
            verdict, packet = target.program.run(frame, target.bench.ifindexes[window.port])
            if verdict == verdicts[Event.TX]:
                sent[place] = (_egress(packet), packet)
            elif verdict == verdicts[Event.PASS]:
                passed.append(packet)
            elif verdict != drop:
                wrong.append(f"verdict {verdict} on frame {place}")
        events = moved(before, target.port_events())
        return Result(events, sent, _by_port(sent), sorted(passed), target.bench.fetch_punted(), wrong)


class SwitchPlayer:
    """A switch, by real packets."""

    def __init__(self, target: Bmv2Target) -> None:
        self.hook = target.hook
        self._target = target
        self._assigned: set[Value] = set()

    def load(self, entries: Sequence[Entry]) -> None:
        """Hold exactly these entries, with counters at zero."""
        self._assigned = {entry.key["ingress_port"] for entry in entries if entry.table == "port_role"}
        self._target.load(entries)

    def direct_counter(self, table: str, key: Mapping[str, Value], priority: int = 0) -> Count:
        """The direct counter of an entry."""
        return self._target.direct_counter(table, key, priority)

    def play(self, window: Window) -> Result:
        """What becomes of a window."""
        played = self._target.play(window.port, window.frames)
        left = {port: [*frames] for port, frames in played.left.items()}
        to_host = left.pop(HOST_PORT, [])
        asked = [frame for packet_in, frame in played.punted if packet_in.reason is Event.PASS]
        punted = [told for told in played.punted if told[0].reason is not Event.PASS]
        wrong = [
            f"resolution to the host: {frame.hex()}" for frame in to_host if self._resolves(window, frame)
        ]
        wrong += [f"to the controller: {frame.hex()}" for frame in asked if not self._resolves(window, frame)]
        return Result({**played.events}, {}, left, sorted(to_host + asked), punted, wrong)

    def _resolves(self, window: Window, frame: bytes) -> bool:
        """Whether a frame that passes is the controller's."""
        if window.port not in self._assigned:
            return False
        at, ethertype = link(frame)
        if ethertype != IPV6:
            return ethertype == ARP
        whole = len(frame) > at + 40 and frame[at] >> 4 == 6
        return whole and frame[at + 6] == ICMPV6 and frame[at + 40] in (135, 136)


def even_out(result: Result, xdp: Result, window: Window) -> Result:
    """What TC did, as if it had known of routes and neighbours what XDP knew.

    A frame that XDP drops and TC sends is told as lost for want of a way. Whether that was XDP's reason, the
    counters show.
    """
    lost = result.sent.keys() - xdp.sent.keys()
    if not lost:
        return result
    sent = {place: packet for place, packet in result.sent.items() if place not in lost}
    octets = sum(len(window.frames[place]) for place in lost)
    events = dict(result.events)
    for event, sign in ((Event.TX, -1), (Event.DROP_NO_ROUTE, 1)):
        was = events.pop((window.port, event), Count(0, 0))
        now = Count(was.packets + sign * len(lost), was.bytes + sign * octets)
        if now.packets:
            events[window.port, event] = now
    return replace(result, events=events, sent=sent, left=_by_port(sent))


def differences(one: Result, other: Result, *, complete: bool) -> list[str]:
    """What two targets did otherwise with the same window; ``complete``: both write link layers."""
    found = [*one.wrong, *other.wrong]
    events = _merged(one.events), _merged(other.events)
    for port, event in sorted({*events[0], *events[1]}):
        counts = [found_there.get((port, event), Count(0, 0)) for found_there in events]
        if counts[0] != counts[1]:
            found.append(f"port_events {port} {event.name}: {tuple(counts[0])}, {tuple(counts[1])}")
    for port in sorted({*one.left, *other.left}):
        packets = [
            [comparable(packet, complete or port == ACCESS.number) for packet in result.left.get(port, [])]
            for result in (one, other)
        ]
        if packets[0] != packets[1]:
            found.append(f"packets from port {port}")
    if one.passed != other.passed:
        found.append("packets that pass")
    if one.punted != other.punted:
        found.append("packet-ins")
    return found


def playable(frame: bytes) -> bool:
    """Whether a host and a switch must do the same with a frame."""
    return arrives(frame) and not _has_summed_padding(frame)


def on_path(frame: bytes) -> bool:
    """Whether a data packet carries an SPI other than 0: at TC it is dropped for that."""
    at, ethertype = link(frame)
    geneve = at + (20 if ethertype == IPV4 else 40) + 8
    return (
        len(frame) >= geneve + 24
        and u16(frame, geneve - 6) == GENEVE_PORT
        and any(frame[geneve + 20 : geneve + 23])
    )


def _has_summed_padding(frame: bytes) -> bool:
    """Whether there are octets behind an outer UDP packet with a checksum: a switch sums them up with it."""
    at, ethertype = link(frame)
    udp = at + (20 if ethertype == IPV4 else 40)  # what has options is dropped before
    if len(frame) < udp + 8 or u16(frame, udp + 2) not in (GENEVE_PORT, VXLAN_PORT):
        return False
    return bool(u16(frame, udp + 6)) and any(frame[udp + u16(frame, udp + 4) :])


def _egress(packet: bytes) -> int:
    """The port by which a host sends a packet; 0 for one whose way the kernel will look for in vain."""
    try:
        return egress_of(packet)
    except TargetError:
        return 0


def _by_port(sent: Mapping[int, tuple[int, bytes]]) -> dict[int, list[bytes]]:
    left: dict[int, list[bytes]] = {}
    for egress, packet in sent.values():
        left.setdefault(egress, []).append(packet)
    return left


def _merged(events: PortEvents) -> dict[tuple[int, Event], Count]:
    """Want of a route is the same as want of a neighbour: a switch has one table for both."""
    merged: dict[tuple[int, Event], Count] = {}
    for (port, event), count in events.items():
        told = Event.DROP_NO_NEIGHBOUR if event is Event.DROP_NO_ROUTE else event
        was = merged.get((port, told), Count(0, 0))
        merged[port, told] = Count(was.packets + count.packets, was.bytes + count.bytes)
    return merged
