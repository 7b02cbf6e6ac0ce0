# SPDX-License-Identifier: Apache-2.0
"""What the runner asks of a data plane, whatever it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from moorline.wire import Event

from .model import Entry, Outcome, Value


class TargetName(StrEnum):
    """What a vector's ``hooks`` may hold."""

    XDP = "xdp"
    TC = "tc"
    BMV2 = "bmv2"


class Count(NamedTuple):
    """A counter's value."""

    packets: int
    bytes: int


PortEvents = Mapping[tuple[int, Event], Count]
"""What ``port_events`` holds, by port and event; zero counts are left out."""


def moved(before: PortEvents, after: PortEvents) -> dict[tuple[int, Event], Count]:
    """By how much counts have grown; those that have not are left out."""
    zero = Count(0, 0)
    return {
        key: Count(now.packets - before.get(key, zero).packets, now.bytes - before.get(key, zero).bytes)
        for key, now in after.items()
        if now != before.get(key, zero)
    }


class Target(Protocol):
    """A data plane that stands in the world of :mod:`tools.vectors.world`."""

    @property
    def hook(self) -> str:
        """Its :class:`TargetName`."""

    @property
    def frames_complete(self) -> bool:
        """Whether packets to a neighbour have their link layer when :meth:`send` returns them; if not, they
        are compared from the network header on.
        """

    def load(self, entries: Sequence[Entry]) -> None:
        """Hold exactly these entries, with counters at zero."""

    def send(self, port: int, frame: bytes) -> Outcome:
        """Let ``frame`` arrive at ``port`` and say what became of it."""

    def direct_counter(self, table: str, key: Mapping[str, Value], priority: int = 0) -> Count:
        """The direct counter of the entry with this key."""

    def port_events(self) -> PortEvents:
        """The counter ``port_events``."""
