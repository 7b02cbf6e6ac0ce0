# SPDX-License-Identifier: Apache-2.0
"""Messages of DNS over UDP and TCP, on real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest

from moorline import dns_transport
from moorline.dns_transport import AnswerTo, DnsListener, read_message, write_message

ADDRESS = "127.0.0.1"
Address = IPv4Address | IPv6Address


def echo(_client: Address) -> Any:
    async def answer(packet: bytes, *, tcp: bool) -> bytes | None:
        return packet + (b" tcp" if tcp else b" udp") if packet else None

    return answer


@asynccontextmanager
async def listening(answer_to: AnswerTo = echo) -> AsyncIterator[int]:
    listener = DnsListener(answer_to)
    await listener.listen(ADDRESS, 0)
    try:
        async with asyncio.timeout(10):
            yield listener.port
    finally:
        listener.close()


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(ADDRESS, port)


async def ask_udp(port: int, *packets: bytes) -> list[bytes]:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as client:
        client.connect((ADDRESS, port))
        for packet in packets:
            await loop.sock_sendall(client, packet)
        return [await loop.sock_recv(client, 100) for packet in packets if packet]


async def test_one_connection_and_one_port_carry_several_messages() -> None:
    async with listening() as port:
        assert sorted(await ask_udp(port, b"one", b"", b"two")) == [b"one udp", b"two udp"]
        reader, writer = await connect(port)
        for packet in (b"one", b"two"):
            await write_message(writer, packet)
            assert await read_message(reader) == packet + b" tcp"
        await write_message(writer, b"")
        assert await reader.read() == b""
        writer.close()


async def test_a_silent_client_of_tcp_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_transport, "IDLE_SECONDS", 0.05)
    async with listening() as port:
        reader, writer = await connect(port)
        writer.write(b"\0")
        assert await reader.read() == b""
        writer.close()


async def test_a_client_that_does_not_take_its_answers_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def flood(_client: Address) -> Any:
        async def answer(packet: bytes, *, tcp: bool) -> bytes:
            return bytes(65535)

        return answer

    monkeypatch.setattr(dns_transport, "IDLE_SECONDS", 0.2)
    async with listening(flood) as port:
        _, writer = await connect(port)
        with pytest.raises(OSError):
            while True:
                await write_message(writer, bytes(1000))
                await asyncio.sleep(0)
        writer.close()


async def test_connections_beyond_the_most_are_closed_and_those_of_before_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dns_transport, "TCP_CONNECTIONS", 1)
    async with listening() as port:
        first_reader, first = await connect(port)
        await write_message(first, b"one")
        assert await read_message(first_reader) == b"one tcp"
        reader, second = await connect(port)
        assert await reader.read() == b""
        second.close()
        await write_message(first, b"two")
        assert await read_message(first_reader) == b"two tcp"
        first.close()


async def test_questions_beyond_the_most_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_transport, "IN_FLIGHT", 1)
    asked: asyncio.Queue[bytes] = asyncio.Queue()
    released = asyncio.Event()

    def slow(_client: Address) -> Any:
        async def answer(packet: bytes, *, tcp: bool) -> bytes:
            asked.put_nowait(packet)
            await released.wait()
            return packet

        return answer

    async with listening(slow) as port:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as client:
            client.connect((ADDRESS, port))
            await loop.sock_sendall(client, b"one")
            assert await asked.get() == b"one"
            await loop.sock_sendall(client, b"two")
            await loop.sock_sendall(client, b"three")
            _, writer = await connect(port)  # its turn comes after theirs
            await write_message(writer, b"last")
            assert await asked.get() == b"last"
            released.set()
            assert await loop.sock_recv(client, 100) == b"one"
            writer.close()


async def test_who_asks_is_known_by_the_address() -> None:
    asking: list[Address] = []

    def nobody(client: Address) -> None:
        asking.append(client)

    async with listening(nobody) as port:
        reader, writer = await connect(port)
        assert await reader.read() == b""
        assert asking == [ip_address(ADDRESS)]
        writer.close()
    assert dns_transport._client(("fe80::5%lan0", 1, 0, 0)) == ip_address("fe80::5")
    assert dns_transport._client(("::ffff:192.0.2.1", 1, 0, 0)) == ip_address("192.0.2.1")


async def test_a_port_that_another_server_has_is_left_whole() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((ADDRESS, 0))
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            await DnsListener(echo).listen(ADDRESS, port)
    listener = DnsListener(echo)
    await listener.listen(ADDRESS, port)
    assert await ask_udp(port, b"one") == [b"one udp"]
    listener.close()
