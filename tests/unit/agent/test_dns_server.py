# SPDX-License-Identifier: Apache-2.0
"""The DNS server on real sockets, with name servers beside it that answer, lie, fall silent or are away."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest
from dnslib import RCODE, RR, A, DNSRecord

from dataplane.agent import dns_upstream as upstreams
from dataplane.agent.config import DnsConfig
from dataplane.agent.dns import DnsError, DnsServer, Resolve, Verdict
from dataplane.agent.dns_core import Addresses
from dataplane.agent.translations import Translations

FILES = Addresses(bytes([198, 18, 0, 7]), b"")
ADDRESS = "127.0.0.1"
Answer = Callable[[bytes], list[bytes]]


async def known(name: str, _asking: bytes) -> Addresses | Verdict:
    return {"files.demo": FILES, "secret.demo": Verdict.FORBIDDEN}.get(name, Verdict.UNKNOWN)


async def away(_name: str, _asking: bytes) -> Addresses | Verdict:
    return Verdict.AWAY


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as handle:
        handle.bind((ADDRESS, 0))
        return int(handle.getsockname()[1])


@pytest.fixture(autouse=True)
def upstream_port(monkeypatch: pytest.MonkeyPatch) -> int:
    port = free_port()
    monkeypatch.setattr(upstreams, "PORT", port)
    monkeypatch.setattr(upstreams, "SECONDS", 0.3)
    return port


@asynccontextmanager
async def serving(resolve: Resolve = known, upstream: tuple[str, ...] = (ADDRESS,)) -> AsyncIterator[int]:
    port = free_port()
    config = DnsConfig(address=ADDRESS, port=port, upstream=upstream, resolv_conf=Path("/nonexistent"))
    server = DnsServer(config, Translations(), resolve)
    await server.start()
    try:
        yield port
    finally:
        await server.close()


class _Upstream(asyncio.DatagramProtocol):
    def __init__(self, answers: Answer) -> None:
        self.answers = answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for answer in self.answers(data):
            self.transport.sendto(answer, addr)  # type: ignore[attr-defined]


@asynccontextmanager
async def upstream(port: int, answers: Answer, address: str = ADDRESS) -> AsyncIterator[None]:
    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        packet = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
        for answer in answers(packet):
            writer.write(len(answer).to_bytes(2) + answer)
        await writer.drain()
        writer.close()

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Upstream(answers), local_addr=(address, port))
    tcp = await asyncio.start_server(stream, address, port)
    try:
        yield
    finally:
        transport.close()
        tcp.close()
        await asyncio.sleep(0)  # the transport closes its socket in the loop's next turn


def reply(
    packet: bytes, address: str = "203.0.113.5", truncated: int = 0, code: int = RCODE.NOERROR
) -> bytes:
    answer = DNSRecord.parse(packet).reply()
    answer.header.tc = truncated
    answer.header.rcode = code
    if code == RCODE.NOERROR and not truncated:
        answer.add_answer(RR(str(answer.q.qname), rdata=A(address)))
    return bytes(answer.pack())


async def ask(port: int, name: str, *, tcp: bool = False, server: str = ADDRESS) -> DNSRecord:
    packet = bytes(DNSRecord.question(name).pack())
    async with asyncio.timeout(5):
        found = await (upstreams.ask_tcp if tcp else upstreams.ask_udp)(packet, server, port)
    return DNSRecord.parse(found)


def addresses(answer: DNSRecord) -> list[str]:
    return [str(record.rdata) for record in answer.rr]


@pytest.mark.parametrize("tcp", [False, True])
async def test_services_and_other_names(upstream_port: int, tcp: bool) -> None:
    async with serving() as port, upstream(upstream_port, lambda packet: [reply(packet)]):
        assert addresses(await ask(port, "files.demo", tcp=tcp)) == ["198.18.0.7"]
        assert addresses(await ask(port, "www.example.org", tcp=tcp)) == ["203.0.113.5"]
        assert (await ask(port, "secret.demo", tcp=tcp)).header.rcode == RCODE.REFUSED


async def test_a_truncated_answer_is_handed_on_and_tcp_gets_the_whole(upstream_port: int) -> None:
    async with serving() as port:
        async with upstream(upstream_port, lambda packet: [reply(packet, truncated=1)]):
            assert (await ask(port, "www.example.org")).header.tc == 1
        async with upstream(upstream_port, lambda packet: [reply(packet)]):
            assert addresses(await ask(port, "www.example.org", tcp=True)) == ["203.0.113.5"]


async def test_a_forged_datagram_does_not_end_the_wait(upstream_port: int) -> None:
    def lies_first(packet: bytes) -> list[bytes]:
        lie = bytes(DNSRecord.question("evil.example.org").pack())
        return [reply(packet[:2] + lie[2:], "192.0.2.66"), b"\0" * 4, reply(packet)]

    async with serving() as port, upstream(upstream_port, lies_first):
        assert addresses(await ask(port, "www.example.org")) == ["203.0.113.5"]


async def test_the_next_server_is_asked_when_one_is_silent_or_gone(upstream_port: int) -> None:
    async with (
        serving(upstream=("127.0.0.3", "127.0.0.4", ADDRESS)) as port,
        upstream(upstream_port, lambda _packet: [], "127.0.0.3"),
        upstream(upstream_port, lambda packet: [reply(packet)]),
    ):
        assert addresses(await ask(port, "www.example.org")) == ["203.0.113.5"]


async def test_nobody_answers() -> None:
    async with serving() as port:
        for tcp in (False, True):
            assert (await ask(port, "www.example.org", tcp=tcp)).header.rcode == RCODE.SERVFAIL
        assert addresses(await ask(port, "files.demo")) == ["198.18.0.7"]  # services need nobody


async def test_an_unknown_name_where_nobody_else_could_know_it() -> None:
    async with serving(upstream=()) as port:
        assert (await ask(port, "nothing.demo")).header.rcode == RCODE.NXDOMAIN


async def test_without_the_controller_no_name_is_said_not_to_exist(upstream_port: int) -> None:
    async with serving(away) as port:
        async with upstream(upstream_port, lambda packet: [reply(packet, code=RCODE.NXDOMAIN)]):
            assert (await ask(port, "files.demo")).header.rcode == RCODE.SERVFAIL
        async with upstream(upstream_port, lambda packet: [reply(packet)]):
            assert addresses(await ask(port, "www.example.org")) == ["203.0.113.5"]


async def test_an_address_in_use_is_one_sentence() -> None:
    async with serving() as port:
        config = DnsConfig(address=ADDRESS, port=port)
        with pytest.raises(DnsError, match=rf"^DNS cannot listen on {ADDRESS} port {port} .*: change it in"):
            await DnsServer(config, Translations(), known).start()


# ---- plain hosts behind a gateway port ---------------------------------------------------------------------

LINK = ip_interface("127.0.0.53/8")
LONE_LINK = ip_interface("127.0.0.52/32")
"""Questions come from 127.0.0.1."""


@pytest.mark.parametrize("tcp", [False, True])
async def test_a_plain_host_asks_in_its_own_name(tcp: bool) -> None:
    asked: list[tuple[str, bytes]] = []

    async def resolve(name: str, asking: bytes) -> Addresses | Verdict:
        asked.append((name, asking))
        return FILES

    port = free_port()
    server = DnsServer(DnsConfig(address=ADDRESS, port=port), Translations(), resolve)
    await server.start()
    await server.serve_links([LINK])
    await server.serve_links([LINK])  # nothing is opened twice
    assert addresses(await ask(port, "files.demo", tcp=tcp, server=str(LINK.ip))) == ["198.18.0.7"]
    await ask(port, "files.demo", tcp=tcp)
    assert [name for name, _ in asked] == ["files.demo"] * 2
    assert asked[0][1].startswith(bytes([127]))
    assert asked[1][1] == b""
    await server.serve_links([])
    with pytest.raises((ConnectionRefusedError, TimeoutError)):
        async with asyncio.timeout(0.5):
            await upstreams.ask_tcp(b"", str(LINK.ip), port)
    await server.close()


async def test_who_is_not_on_the_link_gets_no_answer() -> None:
    port = free_port()
    server = DnsServer(DnsConfig(address=ADDRESS, port=port), Translations(), known)
    await server.serve_links([LONE_LINK])
    query = bytes(DNSRecord.question("files.demo").pack())
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await upstreams.ask_tcp(query, str(LONE_LINK.ip), port)
    assert server._answer_to(LONE_LINK, ip_address(ADDRESS)) is None
    assert server._answer_to(LONE_LINK, LONE_LINK.ip) is not None
    await server.close()


async def test_a_link_whose_address_another_server_has_is_left_out() -> None:
    port = free_port()
    server = DnsServer(DnsConfig(address=ADDRESS, port=port), Translations(), known)
    await server.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((str(LINK.ip), port))
        await server.serve_links([LINK])
    await server.serve_links([LINK])  # it has gone: the next change of the host finds the address free
    assert addresses(await ask(port, "files.demo", server=str(LINK.ip))) == ["198.18.0.7"]
    await server.close()
