# SPDX-License-Identifier: Apache-2.0
"""Hosts on the links of edge and gateway ports that have not spoken yet: found when a packet is for them.

A program at XDP drops what is for a neighbour that the kernel does not know, and hands it up here. The kernel
is told to ask for the neighbour, and the packets that came meanwhile go out once there is an answer. They are
not left to the kernel to hold: for those that it holds in vain it would tell their senders, by routes of its
own, which have nothing to do with those of services.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Protocol, Self

import structlog
from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent.neighbours import Hop
from dataplane.agent.ports import PortState
from dataplane.bpf.sys import RingBuffer
from moorline import ethernet

log = structlog.get_logger(__name__)

MOST_ASKED: Final = 256
"""Hosts asked for at once: an address without a host takes one of these places for some seconds."""

MOST_HELD: Final = 32
"""Packets held for each of them."""

MOST_KEPT: Final = 512
"""Hosts kept resolved: half of the neighbours that Linux has room for (``gc_thresh3``)."""

LOOKS: Final = (0.0, *(0.002 * 2**number for number in range(11)))
"""Seconds to wait before each look for the answer. Linux asks three times, a second apart."""

SWEEP_SECONDS: Final = 60.0
"""Between two looks at who of those kept answers no more."""

_RECORD: Final = struct.Struct("=II")


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A record of the ring ``unresolved`` (``ebpf/unresolved.h``): a packet, and the port it is to leave by.

    ``packet`` is empty where the frame was cut, or has a VLAN tag, which the kernel would not put on.
    """

    port: int
    destination: str
    packet: bytes

    @classmethod
    def parse(cls, record: bytes) -> Self | None:
        """Read a record; None for one that has no IP packet."""
        if len(record) < _RECORD.size + ethernet.OCTETS:
            return None
        length, port = _RECORD.unpack_from(record)
        frame = record[_RECORD.size :][:length]
        kind, packet = ethernet.contents(frame)
        at = {ethernet.IPV4: slice(16, 20), ethernet.IPV6: slice(24, 40)}.get(kind)
        if at is None or len(packet) < at.stop:
            return None
        whole = len(frame) == length and len(packet) == length - ethernet.OCTETS
        return cls(port, str(ip_address(packet[at])), packet if whole else b"")


class Ports(Protocol):
    """``dataplane.agent.ports.Ports``, as far as it is needed here."""

    def numbered(self, number: int) -> PortState | None:
        """The port of this number."""

    @property
    def plain(self) -> tuple[PortState, ...]:
        """Edge and gateway ports."""


class Kernel(Protocol):
    """``dataplane.agent.neighbours.Neighbours``, as far as it is needed here."""

    async def next_hop(self, destination: str, interface: int) -> Hop | None:
        """The next hop to an address out of one interface."""

    async def manage(self, hop: Hop) -> None:
        """Have a neighbour resolved, now and from now on."""

    async def let_go(self, hop: Hop) -> None:
        """Forget a neighbour."""

    async def is_resolved(self, hop: Hop) -> bool:
        """Whether a neighbour's link-layer address is known."""

    async def resolved(self) -> set[Hop]:
        """Those of the neighbours kept resolved whose link-layer address is known."""


class SilentHosts:
    """Finds hosts for which there are packets, and keeps those found for as long as they answer.

    Args:
        ports: the node's.
        kernel: its neighbours.
        send: sends an IP packet out of an interface as it is; see :func:`send_by`.
    """

    def __init__(self, ports: Ports, kernel: Kernel, send: Callable[[str, str, bytes], None]) -> None:
        self._ports = ports
        self._kernel = kernel
        self._send = send
        self._asked: dict[Hop, list[bytes]] = {}
        self._hops: set[Hop] = set()
        self._found: dict[Hop, None] = {}
        self._tasks = asyncio.TaskGroup()

    def __iter__(self) -> Iterator[Hop]:
        """The neighbours kept resolved, and those asked for."""
        return iter([*self._found, *self._hops])

    async def run(self, ring: int) -> None:
        """Serve until cancelled; ``ring`` is a file descriptor of the map ``unresolved``."""
        loop = asyncio.get_running_loop()
        async with self.asking():
            records = RingBuffer(ring, self.take)
            loop.add_reader(records.fileno(), records.consume)
            try:
                while True:
                    await asyncio.sleep(SWEEP_SECONDS)
                    await self.sweep()
            finally:
                loop.remove_reader(records.fileno())
                records.close()

    def asking(self) -> asyncio.TaskGroup:
        """The tasks that ask; records can be taken within only."""
        return self._tasks

    async def adopt(self) -> None:
        """Keep those whom an earlier agent has found."""
        links = {port.attached for port in self._ports.plain if port.attached}
        self._found |= {hop: None for hop in await self._kernel.resolved() if hop[0] in links}

    def take(self, record: bytes) -> None:
        """One record of the ring."""
        missing = Unresolved.parse(record)
        port = self._ports.numbered(missing.port) if missing is not None else None
        if missing is None or port is None or not port.attached or port not in self._ports.plain:
            return
        asked = (port.attached, missing.destination)
        held = self._asked.get(asked)
        if held is None:
            if len(self._asked) >= MOST_ASKED:
                return
            held = self._asked[asked] = []
            self._tasks.create_task(self._find(asked, port.interface))
        if missing.packet and len(held) < MOST_HELD:
            held.append(missing.packet)

    async def _find(self, asked: Hop, interface: str) -> None:
        index, destination = asked
        answered = False
        try:
            hop = await self._kernel.next_hop(destination, index)
            answered = hop is not None and hop[0] == index and await self._ask(hop)
        except NetlinkError as error:
            log.warning("neighbour_not_asked_for", interface=interface, code=error.code)
        finally:
            held = self._asked.pop(asked)
        for packet in held if answered else ():
            self._send(interface, destination, packet)

    async def _ask(self, hop: Hop) -> bool:
        """Whether this neighbour answers; it is kept resolved from now on if so."""
        self._hops.add(hop)
        try:
            await self._kernel.manage(hop)
            for wait in LOOKS:
                await asyncio.sleep(wait)
                if await self._kernel.is_resolved(hop):
                    await self._keep(hop)
                    return True
            await self._kernel.let_go(hop)
            return False
        finally:
            self._hops.discard(hop)

    async def _keep(self, hop: Hop) -> None:
        if len(self._found) >= MOST_KEPT and hop not in self._found:
            longest = next(iter(self._found))
            del self._found[longest]
            await self._kernel.let_go(longest)
        self._found[hop] = None

    async def sweep(self) -> None:
        """Forget who answers no more: the next packet for it asks anew."""
        if not self._found:
            return
        try:
            resolved = await self._kernel.resolved()
        except NetlinkError as error:
            log.warning("neighbours_not_read", code=error.code)
            return
        for hop in [hop for hop in self._found if hop not in resolved]:
            del self._found[hop]
            await self._kernel.let_go(hop)


def send_by(interface: str, destination: str, packet: bytes) -> None:
    """Send an IP packet as it is out of an interface, as the host's own: nothing is forwarded."""
    family = socket.AF_INET if packet[0] >> 4 == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_RAW) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            raw.sendto(packet, (destination, 0))
    except OSError as error:
        log.debug("held_packet_not_sent", interface=interface, why=error.strerror)
