# SPDX-License-Identifier: Apache-2.0
"""DNS over UDP and TCP (RFC 1035, section 4.2) for servers; what they answer is their own business."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, Protocol

from moorline.addresses import packed, unmapped

IDLE_SECONDS: Final = 10.0
"""How long a TCP connection may stand without a question, or without taking its answer."""

IN_FLIGHT: Final = 1000
"""Questions over UDP that may be under way at one address; more are dropped, and asked again."""

TCP_CONNECTIONS: Final = 100
"""Likewise; more are closed at once."""


class Answer(Protocol):
    """Answers the messages of one client; None: this one gets no answer, and its TCP connection is closed."""

    def __call__(self, packet: bytes, *, tcp: bool) -> Awaitable[bytes | None]:
        """The answer to ``packet``."""


AnswerTo = Callable[[IPv4Address | IPv6Address], Answer | None]
"""Who answers the client with this address; None: nobody does."""


class DnsListener:
    """Listens at one address."""

    def __init__(self, answer_to: AnswerTo) -> None:
        self.port = 0
        self._answer_to = answer_to
        self._tcp: asyncio.Server | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._questions: set[asyncio.Task[None]] = set()

    async def listen(self, address: str, port: int) -> None:
        """Begin; ``port`` 0: any, which ``self.port`` then is. Raises OSError."""
        self._tcp = await asyncio.start_server(self._stream, address, port)
        self.port = self._tcp.sockets[0].getsockname()[1]
        try:
            self._udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Datagrams(self._datagram), (address, self.port)
            )
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Stop listening, and hang up."""
        for listening in (self._tcp, self._udp, *self._connections):
            if listening is not None:
                listening.close()
        for question in self._questions:
            question.cancel()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        peer = writer.get_extra_info("peername")  # none when it has hung up already
        answer = self._answer_to(_client(peer)) if peer else None
        try:
            while answer is not None and len(self._connections) <= TCP_CONNECTIONS:
                async with asyncio.timeout(IDLE_SECONDS):
                    packet = await read_message(reader)
                found = await answer(packet, tcp=True)
                if found is None:
                    break
                async with asyncio.timeout(IDLE_SECONDS):
                    await write_message(writer, found)
        except TimeoutError:
            writer.transport.abort()  # to close it would wait until all is taken
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()

    def _datagram(self, packet: bytes, peer: tuple[Any, ...]) -> None:
        answer = self._answer_to(_client(peer))
        if answer is not None and len(self._questions) < IN_FLIGHT:
            question = asyncio.create_task(self._reply(answer, packet, peer))
            self._questions.add(question)
            question.add_done_callback(self._questions.discard)

    async def _reply(self, answer: Answer, packet: bytes, peer: tuple[Any, ...]) -> None:
        found = await answer(packet, tcp=False)
        if found is not None and self._udp is not None:
            self._udp.sendto(found, peer)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, tuple[Any, ...]], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._received(data, addr)


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """The next message of a TCP connection; raises OSError and IncompleteReadError."""
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2)))


async def write_message(writer: asyncio.StreamWriter, message: bytes) -> None:
    """Send a message over a TCP connection; raises OSError."""
    writer.write(len(message).to_bytes(2) + message)
    await writer.drain()


def _client(peer: tuple[Any, ...]) -> IPv4Address | IPv6Address:
    return unmapped(packed(str(peer[0]).partition("%")[0]))
