# SPDX-License-Identifier: Apache-2.0
"""What the two ends of a connection sent to one another, as the senders' data planes counted it.

A counter begins anew when its entry is installed again; what was counted before is kept. Total and last
reading are stored together, so that a restarted controller goes on counting where it was.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final, Self

SHORTEST: Final = 0.2
"""Seconds over which a bit rate is taken at least: over less it says how packets happened to come."""


@dataclass(slots=True)
class Flow:
    """What one end sent to the other, in all."""

    packets: int = 0
    octets: int = 0
    bits_per_second: int = 0


@dataclass(slots=True)
class Meter:
    """One end's flow, with the last reading of each of its counters, by address family (4, 6)."""

    flow: Flow = field(default_factory=Flow)
    last: dict[int, tuple[int, int]] = field(default_factory=dict)
    measured: float = 0.0
    """Time of the last bit rate, in seconds; 0 = none yet."""
    since: int = 0
    """Octets since then."""

    def read(self, family: int, packets: int, octets: int) -> None:
        """Take a reading in."""
        before_packets, before_octets = self.last.get(family, (0, 0))
        if packets < before_packets or octets < before_octets:
            before_packets = before_octets = 0
        self.last[family] = (packets, octets)
        self.flow.packets += packets - before_packets
        self.flow.octets += octets - before_octets
        self.since += octets - before_octets

    def restart(self) -> None:
        """The counters have been deleted, after a last reading."""
        self.last.clear()
        self.flow.bits_per_second = 0

    def measure(self, now: float) -> None:
        """Compute the bit rate since the last time that this was done, unless that was just now."""
        if self.measured and now - self.measured < SHORTEST:
            return
        if self.measured:
            self.flow.bits_per_second = int(self.since * 8 / (now - self.measured))
        self.measured, self.since = now, 0


@dataclass(slots=True)
class Usage:
    """Both directions of one connection."""

    client: Meter = field(default_factory=Meter)
    server: Meter = field(default_factory=Meter)

    def encode(self) -> bytes:
        """Its value in the store."""
        ends = [
            [meter.flow.packets, meter.flow.octets, [[f, *last] for f, last in meter.last.items()]]
            for meter in (self.client, self.server)
        ]
        return json.dumps(ends, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read back what :meth:`encode` wrote."""
        return cls(
            *(
                Meter(Flow(packets, octets), {f: (p, o) for f, p, o in last})
                for packets, octets, last in json.loads(value)
            )
        )
