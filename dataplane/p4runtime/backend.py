# SPDX-License-Identifier: Apache-2.0
"""What the P4Runtime server needs of a data plane and of the agent around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from dataplane.bpf.table_map import TableMap
from dataplane.contract.binding import Binding


class CounterArray(Protocol):
    """An indirect counter: cells of packets and octets."""

    def read(self, index: int) -> tuple[int, int]:
        """Packets and octets of one cell."""

    def read_all(self) -> Sequence[tuple[int, int]]:
        """All cells."""

    def write(self, index: int, packets: int, octets: int) -> None:
        """Sets one cell."""


class Backend(Protocol):
    """A data plane bound to its contract, with what the agent does for the server."""

    @property
    def binding(self) -> Binding:
        """The contract and its encoders."""

    @property
    def tables(self) -> Mapping[str, TableMap]:
        """Tables by name."""

    @property
    def counters(self) -> Mapping[str, CounterArray]:
        """Indirect counters by name."""

    def load_config(self) -> bytes | None:
        """What ``save_config`` kept, also from an earlier process; ``None`` if nothing was."""

    def save_config(self, config: bytes) -> None:
        """Keeps the cookie and the device configuration that a controller gave, in an opaque form."""

    def packet_out(self, ingress_port: int, egress_port: int, payload: bytes) -> None:
        """Sends a packet straight out of the egress port; if that is 0, as if it came in at the ingress port.

        Raises:
            MoorlineError: it cannot be sent.
        """

    def forwarding_cleared(self) -> None:
        """All tables were emptied (VERIFY_AND_COMMIT): the agent's own entries must be written again."""
