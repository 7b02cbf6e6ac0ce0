# SPDX-License-Identifier: Apache-2.0
"""The DNS server that tells devices their endpoint, over UDP and TCP."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

import structlog

from control.errors import StartError
from control.subscribers.dns_core import Zone, answer
from moorline.addresses import packed, unmapped

log = structlog.get_logger(__name__)

IDLE_SECONDS: Final = 10.0
"""How long a TCP connection may stand without a question."""

CONNECTIONS: Final = 100
"""TCP connections at a time; more are closed at once."""


class DnsServer:
    """Answers for one zone."""

    def __init__(self, address: IPv4Address | IPv6Address, port: int, zone: Zone) -> None:
        self._address = str(address)
        self._zone = zone
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = port

    async def start(self) -> None:
        """Begin to listen; raises :class:`StartError`."""
        loop = asyncio.get_running_loop()
        try:
            self._tcp = await asyncio.start_server(self._serve, self._address, self.port)
            self.port = self._tcp.sockets[0].getsockname()[1]
            self._udp, _ = await loop.create_datagram_endpoint(
                lambda: _Protocol(self._zone), (self._address, self.port)
            )
        except OSError as error:
            await self.close()
            raise StartError(
                f"port {self.port} of {self._address} cannot be listened on for DNS ({error.strerror}): set "
                "another in [controller.endpoints]"
            ) from error
        log.info("endpoint_names", zone=self._zone.name, port=self.port)

    async def close(self) -> None:
        """Stop listening."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
            for writer in self._open:
                writer.close()
            await self._tcp.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                source = _source(writer.get_extra_info("peername"))
                while len(self._open) <= CONNECTIONS:
                    async with asyncio.timeout(IDLE_SECONDS):
                        length = int.from_bytes(await reader.readexactly(2))
                        found = answer(await reader.readexactly(length), source, self._zone)
                        if found is None:
                            return
                        writer.write(len(found).to_bytes(2) + found)
                        await writer.drain()
        finally:
            self._open.discard(writer)
            writer.close()


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        found = answer(data, _source(addr), self._zone)
        if found is not None:
            self._transport.sendto(found, addr)


def _source(address: tuple[Any, ...]) -> IPv4Address | IPv6Address:
    return unmapped(packed(address[0].partition("%")[0]))
