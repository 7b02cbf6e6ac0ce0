# SPDX-License-Identifier: Apache-2.0
"""The data plane as the P4Runtime server sees it (:class:`dataplane.p4runtime.backend.Backend`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from dataplane.agent.inject import Injector
from dataplane.agent.ports import Ports, PortState
from dataplane.agent.punts import lowered
from dataplane.agent.state import write_private
from dataplane.bpf.hook import Hook
from dataplane.bpf.table_map import TableMap
from dataplane.contract.binding import Binding
from dataplane.contract.errors import EntryError
from dataplane.p4runtime.backend import CounterArray

_AS_IF_ARRIVED: Final = frozenset({"underlay", "edge", "peer"})
"""Roles of ports where a packet-out cannot come in by way of the host's own port."""


class PacketOutError(EntryError):
    """A packet-out for a port that takes none."""


class AgentBackend:
    """Tables and counters of the pipeline, and what the agent does around them.

    Args:
        binding: the contract.
        tables: the tables by name.
        counters: the indirect counters by name.
        config_file: where a controller's cookie and device data are kept.
        ports: packet-outs go through the access port, or straight out of any.
        on_cleared: called when the tables were emptied.
    """

    def __init__(
        self,
        binding: Binding,
        tables: Mapping[str, TableMap],
        counters: Mapping[str, CounterArray],
        config_file: Path,
        ports: Ports,
        on_cleared: Callable[[], None],
    ) -> None:
        self._injector: Injector | None = None
        self._binding = binding
        self._tables = tables
        self._counters = counters
        self._config_file = config_file
        self._ports = ports
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

    def packet_out(self, ingress_port: int, egress_port: int, payload: bytes) -> None:
        """Sends a packet straight out of a port, or, with the egress port 0, through the pipeline.

        Raises:
            PacketOutError: the port is none, or not one that packets can come in at.
        """
        if egress_port:
            self._straight_out(egress_port, payload)
            return
        access, port = self._ports.access, self._ports.numbered(ingress_port)
        if port is not None and port.role in _AS_IF_ARRIVED and port.hook is Hook.XDP:
            self._let_in(port, payload)
            return
        # What came from behind a gateway port can only come in once more at the host's own port.
        if port is None or port.role in _AS_IF_ARRIVED or port.tenant != access.tenant:
            raise PacketOutError(
                f"no packet-out can come in at port {ingress_port}: give port {access.number}, the host's "
                "own, a gateway port of its tenant, another port whose hook is XDP, or an egress port"
            )
        frame = lowered(payload, port.hops - access.hops)
        if frame is not None:
            self.to_pipeline(frame)

    def _let_in(self, port: PortState, frame: bytes) -> None:
        if self._injector is not None and port.attached:
            self._injector.arrive(port.attached, frame)

    def _straight_out(self, number: int, payload: bytes) -> None:
        port = self._ports.numbered(number)
        if port is None:
            known = ", ".join(f"{port.number} ({port.interface})" for port in self._ports)
            raise PacketOutError(f"no packet-out can leave by port {number}: there are {known}")
        self.straight_out(port.interface, payload)

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

    def to_pipeline(self, frame: bytes) -> None:
        """Let a frame pass the pipeline as if the host had sent it."""
        if self._injector is not None:
            self._injector.to_pipeline(frame)

    def straight_out(self, interface: str, frame: bytes) -> None:
        """Let a frame leave by an interface."""
        if self._injector is not None:
            self._injector.straight_out(interface, frame)

    def forwarding_cleared(self) -> None:
        """All tables were emptied: write the agent's own rows again."""
        self._on_cleared()
