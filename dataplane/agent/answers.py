# SPDX-License-Identifier: Apache-2.0
"""ICMP answers to packets that the data plane could not carry, each sent to where its packet came from."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Interface, IPv6Interface
from typing import Protocol

from dataplane.agent.ports import Ports, PortState
from dataplane.agent.punts import Punt, carried
from moorline import ethernet
from moorline.icmp import ANSWERS_BURST, ANSWERS_PER_SECOND, answer_to
from moorline.limits import Limiter


class Outlets(Protocol):
    """The ways that an answer may take."""

    def to_host(self, packet: bytes) -> None:
        """Let an IP packet arrive at the host's programs."""

    def to_pipeline(self, frame: bytes) -> None:
        """Let a frame pass the pipeline as if the host had sent it."""

    def straight_out(self, interface: str, frame: bytes) -> None:
        """Let a frame leave by an interface."""


class Answers:
    """Answers what was punted, at a bounded rate.

    Args:
        ports: the node's.
        outlets: where answers leave.
        own_addresses: the addresses on a port's interface.
        clock: seconds.
    """

    def __init__(
        self,
        ports: Ports,
        outlets: Outlets,
        own_addresses: Callable[[PortState], list[IPv4Interface | IPv6Interface]],
        clock: Callable[[], float],
    ) -> None:
        self._ports = ports
        self._outlets = outlets
        self._own_addresses = own_addresses
        self._clock = clock
        self._limiter = Limiter(ANSWERS_PER_SECOND, ANSWERS_BURST)

    def answer(self, punt: Punt) -> None:
        """Tell the packet's sender, if the RFCs let it be told and the rate allows."""
        port = self._ports.numbered(punt.port)
        if port is None or not self._limiter.allows(self._clock()):
            return
        if port.role == "underlay":
            self._to_far_end(punt)
        elif port.role in ("gateway", "edge"):
            self._to_plain_host(punt, port)
        elif answer := answer_to(punt.reason, punt.packet, punt.mtu):
            self._outlets.to_host(answer)

    def _to_far_end(self, punt: Punt) -> None:
        """Through the packet's own connection: from the address that it was for, for there is no other."""
        if answer := answer_to(punt.reason, carried(punt.frame), punt.mtu):
            self._outlets.to_pipeline(ethernet.frame(bytes(6), bytes(6), answer))

    def _to_plain_host(self, punt: Punt, port: PortState) -> None:
        packet = punt.packet
        version = packet[0] >> 4 if packet else 0
        own = next((at.packed for at in self._own_addresses(port) if at.version == version), b"")
        if answer := answer_to(punt.reason, packet, punt.mtu, own):
            back = ethernet.frame(punt.frame[6:12], punt.frame[:6], answer)
            self._outlets.straight_out(port.interface, back)
