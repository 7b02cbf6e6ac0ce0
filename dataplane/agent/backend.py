# SPDX-License-Identifier: Apache-2.0
"""The data plane as the P4Runtime server sees it (:class:`dataplane.p4runtime.backend.Backend`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dataplane.agent.inject import Injector
from dataplane.agent.state import write_private
from dataplane.bpf.table_map import TableMap
from dataplane.contract.binding import Binding
from dataplane.p4runtime.backend import CounterArray
from moorline.errors import MoorlineError


class PacketOutError(MoorlineError):
    """A packet-out for a port that takes none."""


class AgentBackend:
    """Tables and counters of the pipeline, and what the agent does around them.

    Args:
        binding: the contract.
        tables: the tables by name.
        counters: the indirect counters by name.
        config_file: where a controller's cookie and device data are kept.
        access_port: the port that takes packet-outs.
        on_cleared: called when the tables were emptied.
    """

    def __init__(
        self,
        binding: Binding,
        tables: Mapping[str, TableMap],
        counters: Mapping[str, CounterArray],
        config_file: Path,
        access_port: int,
        on_cleared: Callable[[], None],
    ) -> None:
        self._injector: Injector | None = None
        self._binding = binding
        self._tables = tables
        self._counters = counters
        self._config_file = config_file
        self._access_port = access_port
        self._on_cleared = on_cleared

    @property
    def binding(self) -> Binding:
        """The contract and its encoders."""
        return self._binding

    @property
    def tables(self) -> Mapping[str, TableMap]:
        """Tables by name."""
        return self._tables

    @property
    def counters(self) -> Mapping[str, CounterArray]:
        """Indirect counters by name."""
        return self._counters

    def load_config(self) -> bytes | None:
        """What a controller gave, also to an earlier agent."""
        try:
            return self._config_file.read_bytes()
        except OSError:
            return None

    def save_config(self, config: bytes) -> None:
        """Keep what a controller gave."""
        write_private(self._config_file, config)

    def packet_out(self, ingress_port: int, payload: bytes) -> None:
        """Let a packet pass the pipeline as if it had come in at the port. Raises PacketOutError."""
        if ingress_port != self._access_port or self._injector is None:
            raise PacketOutError(
                f"port {ingress_port} takes no packet-out: send to port {self._access_port}, the host's own"
            )
        self._injector.to_pipeline(payload)

    def inject_with(self, injector: Injector) -> None:
        """Send on this pair from now on."""
        self.close()
        self._injector = injector

    def close(self) -> None:
        """Send no more."""
        if self._injector is not None:
            self._injector.close()
            self._injector = None

    def to_host(self, packet: bytes) -> None:
        """Let an IP packet arrive at the host's programs."""
        if self._injector is not None:
            self._injector.to_host(packet)

    def forwarding_cleared(self) -> None:
        """All tables were emptied: write the agent's own rows again."""
        self._on_cleared()
