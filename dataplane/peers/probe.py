# SPDX-License-Identifier: Apache-2.0
"""Probes: packets that go into a peer from our side and come out where the agent waits for them."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
import socket
import struct
from ipaddress import ip_address
from typing import Final

from dnslib import DNSRecord

from dataplane.peers.base import PeerError
from dataplane.peers.namespace import Namespace
from dataplane.peers.recipe import PROBE, PROBE_PORT, PROBE_SOURCE, PROBE_TARGET
from dataplane.peers.wiring import OUT_TABLE, Cable
from moorline import ethernet
from moorline.icmp import checksum

PROBE_NAME: Final = "probe.moorline"
ANSWER_SECONDS: Final = 0.5

_TUNSETIFF: Final = 0x400454CA
_IFF_TUN: Final = 0x1
_IFF_NO_PI: Final = 0x1000
_READ: Final = 2048
_HEADERS: Final = 28


def open_tun(name: str) -> int:
    """A file descriptor of an interface in the namespace of who calls; IP packets, one a read."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


class Probe:
    """For one peer; it lasts as long as its agent, unlike the peer."""

    def __init__(self, namespace: Namespace, cable: Cable) -> None:
        self._namespace = namespace
        self._cable = cable
        self._numbers = itertools.count(os.getpid())
        self._out = -1
        self._in: socket.socket | None = None
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def _open(self) -> None:
        if self._in is not None:
            return
        self._out = await self._namespace.call(lambda: open_tun(PROBE))
        await self._namespace.run(
            "ip",
            "-batch",
            "-",
            text=f"link set {PROBE} up\nroute replace {PROBE_TARGET}/32 dev {PROBE} table {OUT_TABLE}\n",
        )
        asyncio.get_running_loop().add_reader(self._out, self._came)
        handle = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            handle.bind((self._cable.ours, 0))
        except OSError:
            handle.close()
            raise
        self._in = handle

    def close(self) -> None:
        """Take both ends away."""
        if self._out >= 0:
            asyncio.get_running_loop().remove_reader(self._out)
            os.close(self._out)
            self._out = -1
        if self._in is not None:
            self._in.close()
            self._in = None

    async def passes(self) -> bool:
        """Whether a packet comes through, of two at most."""
        try:
            await self._open()
        except (OSError, PeerError):
            self.close()
            return False
        return await self._one() or await self._one()

    async def _one(self) -> bool:
        assert self._in is not None
        number = next(self._numbers) & 0xFFFF
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._in.send(_frame(self._cable, number))
            async with asyncio.timeout(ANSWER_SECONDS):
                await future
        except (OSError, TimeoutError):
            return False
        finally:
            del self._waiting[number]
        return True

    def _came(self) -> None:
        try:
            packet = os.read(self._out, _READ)
        except OSError:
            return
        number = int.from_bytes(packet[_HEADERS : _HEADERS + 2])
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_result(None)


def _frame(cable: Cable, number: int) -> bytes:
    """A question for a name, which content filters have to let pass; ``number`` is that of the question."""
    question = DNSRecord.question(PROBE_NAME)
    question.header.id = number
    payload: bytes = question.pack()
    source, target = (ip_address(text).packed for text in (PROBE_SOURCE, PROBE_TARGET))
    udp = struct.pack("!HHHH", PROBE_PORT + 1, PROBE_PORT, 8 + len(payload), 0) + payload
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, source, target)
    header = header[:10] + checksum(header).to_bytes(2) + header[12:]
    return ethernet.frame(ethernet.octets(cable.mac), ethernet.octets(cable.our_mac), header + udp)
