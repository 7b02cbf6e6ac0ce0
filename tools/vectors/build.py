# SPDX-License-Identifier: Apache-2.0
"""Short words in which the cases are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scapy.packet import Packet

from moorline.wire import Event

from .entries import BASE
from .model import DirectCounter, Entry, Outcome, PacketIn, Step, Vector
from .world import ACCESS, UNDERLAY

Frame = bytes | Packet


def passes(frame: Frame, port: int = UNDERLAY.number) -> Step:
    """The frame is the kernel's, unchanged."""
    return Step(port, bytes(frame), Outcome(Event.PASS))


def drops(frame: Frame, event: Event, port: int = UNDERLAY.number) -> Step:
    """The frame is dropped for this reason."""
    return Step(port, bytes(frame), Outcome(event))


def punts(frame: Frame, event: Event, port: int = ACCESS.number, mtu: int = 0) -> Step:
    """The frame goes to the controller for this reason."""
    return Step(port, bytes(frame), Outcome(event, packet_in=PacketIn(port, event, mtu)))


def delivers(frame: Frame, packet: Frame, port: int = UNDERLAY.number, egress: int = ACCESS.number) -> Step:
    """From the underlay to an access port."""
    return Step(port, bytes(frame), Outcome(Event.TX, egress, bytes(packet)))


def sends(frame: Frame, packet: Frame, port: int = ACCESS.number, egress: int = UNDERLAY.number) -> Step:
    """From an access port to the underlay."""
    return Step(port, bytes(frame), Outcome(Event.TX, egress, bytes(packet)))


def counts(entry: Entry, *frames: Frame) -> DirectCounter:
    """The entry counts these frames, as they arrived."""
    octets = sum(len(bytes(frame)) for frame in frames)
    return DirectCounter(entry.table, entry.key, len(frames), octets, entry.priority)


class Concern:
    """Collects the cases of one module: a folder below ``pcaps/``."""

    def __init__(
        self, name: str, entries: Sequence[Entry] = BASE, hooks: Sequence[str] = (), why: str = ""
    ) -> None:
        """``entries``: what its cases start from; ``hooks`` and ``why``: of those that name no hooks."""
        self.name = name
        self.entries = entries
        self.hooks = hooks
        self.why = why
        self.vectors: list[Vector] = []

    def case(
        self,
        name: str,
        description: str,
        rule: str,
        *steps: Step,
        entries: Sequence[Entry] = (),
        counters: Sequence[DirectCounter] = (),
        hooks: Sequence[str] = (),
        differs: Mapping[str, Event] | None = None,
        why: str = "",
    ) -> None:
        """Add a case; ``rule`` is its number in docs/wire-format.md."""
        self.vectors.append(
            Vector(
                self.name,
                name,
                description,
                rule,
                tuple(entries or self.entries),
                steps,
                tuple(counters),
                tuple(hooks or self.hooks),
                differs or {},
                why or self.why,
            )
        )
