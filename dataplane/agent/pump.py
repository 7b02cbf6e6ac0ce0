# SPDX-License-Identifier: Apache-2.0
"""Carries punted packets from the data plane's ring: to the controller, or answered on the spot."""

from __future__ import annotations

import asyncio
import sys
from typing import Final, Protocol

import structlog

from dataplane.agent.answers import Answers
from dataplane.agent.ports import Ports
from dataplane.agent.punts import Punt, SourceLimits, is_for_one_host, source_of, with_checksum
from dataplane.bpf.sys import RingBuffer
from moorline.limits import Limiter
from moorline.wire import Event

log = structlog.get_logger(__name__)

COMPLAINTS_PER_SECOND: Final = 0.1


class Upwards(Protocol):
    """The P4Runtime server."""

    def packet_in(self, port: int, reason: int, mtu: int, payload: bytes, source: bytes) -> None:
        """Hand a packet to the primary controller, or keep it until there is one."""

    def digest(self, digest_id: int, message: bytes) -> None:
        """Hand a digest to the primary controller, if it wants it."""


class Pump:
    """Reads the ring for as long as it is open.

    Args:
        ring: file descriptor of the map ``packet_in``.
        ports: the node's.
        upwards: where packets without an entry go.
        answers: answers the others.
    """

    def __init__(self, ring: int, ports: Ports, upwards: Upwards, answers: Answers) -> None:
        self._ports = ports
        self._upwards = upwards
        self._answers = answers
        self._sources = SourceLimits()
        self._complaints = Limiter(COMPLAINTS_PER_SECOND, 1)
        self._loop = asyncio.get_running_loop()
        self._ring = RingBuffer(ring, self.take)
        self._loop.add_reader(self._ring.fileno(), self._ring.consume)

    def close(self) -> None:
        """Stop."""
        self._loop.remove_reader(self._ring.fileno())
        self._ring.close()

    def take(self, record: bytes) -> None:
        """One record of the ring."""
        punt = Punt.parse(record)
        if punt is None:
            return
        if punt.reason == Event.PUNT_CONNECTION_MISS:
            self._miss(punt)
        else:
            self._answers.answer(punt)

    def _miss(self, punt: Punt) -> None:
        if not is_for_one_host(punt.packet):  # the kernel's own neighbour and group messages
            return
        source = source_of(punt.packet)
        if not self._sources.allows(source, now := self._loop.time()):
            if self._complaints.allows(now):
                log.warning(
                    "packets_without_connection_dropped", port=punt.port, why="one source sends too many"
                )
            return
        frame = punt.frame
        port = self._ports.numbered(punt.port)
        if punt.whole and port is not None and port.half_checksums:
            frame = with_checksum(frame)
        self._upwards.packet_in(punt.port, punt.reason, punt.mtu, frame, source)


class DigestPump:
    """Reads the ring of digests for as long as it is open.

    Args:
        ring: file descriptor of the map ``digests``.
        upwards: where they go.
    """

    def __init__(self, ring: int, upwards: Upwards) -> None:
        self._upwards = upwards
        self._loop = asyncio.get_running_loop()
        self._ring = RingBuffer(ring, self.take)
        self._loop.add_reader(self._ring.fileno(), self._ring.consume)

    def close(self) -> None:
        """Stop."""
        self._loop.remove_reader(self._ring.fileno())
        self._ring.close()

    def take(self, record: bytes) -> None:
        """One record of the ring (``ebpf/digest.h``)."""
        self._upwards.digest(int.from_bytes(record[:4], sys.byteorder), record[4:])
