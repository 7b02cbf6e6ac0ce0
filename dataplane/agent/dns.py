# SPDX-License-Identifier: Apache-2.0
"""The node's DNS server: service names from the controller, all others from the host's resolvers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection
from enum import Enum, auto
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Final

import structlog
from dnslib import RCODE

from dataplane.agent import dns_core as core
from dataplane.agent.config import DnsConfig
from moorline.dns_transport import Answer, DnsListener, read_message, write_message
from moorline.errors import MoorlineError

log = structlog.get_logger(__name__)

UPSTREAM_PORT: Final = 53
UPSTREAM_SECONDS: Final = 2.0


class DnsError(MoorlineError):
    """The server cannot listen."""


class Verdict(Enum):
    """What the controller said of a name that it gave no addresses for."""

    UNKNOWN = auto()
    FORBIDDEN = auto()
    AWAY = auto()


Resolve = Callable[[str, bytes], Awaitable[core.Addresses | Verdict]]
"""Finds a service by name for the plain host with this address, or (empty) for this host; makes the
connection to it before it answers."""

Link = IPv4Interface | IPv6Interface
"""The host's own address towards plain hosts, with their network."""


class Upstream:
    """The other resolvers, asked one after the other."""

    def __init__(self, config: DnsConfig) -> None:
        self._config = config

    def servers(self) -> tuple[str, ...]:
        """Whom to ask: read anew each time, for networks come and go."""
        if self._config.upstream:
            return self._config.upstream
        try:
            text = self._config.resolv_conf.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ()
        return core.nameservers(text, frozenset({self._config.address}))

    async def ask(self, packet: bytes, *, tcp: bool) -> bytes | None:
        """The first answer that comes; None when there is none."""
        for server in self.servers():
            try:
                async with asyncio.timeout(UPSTREAM_SECONDS):
                    found = await (ask_tcp if tcp else ask_udp)(packet, server, UPSTREAM_PORT)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                continue
            return found
        return None


class DnsServer:
    """Serves UDP and TCP: for this host on one address, and for plain hosts on those of gateway ports and of
    services.
    """

    def __init__(self, config: DnsConfig, directory: core.Directory, resolve: Resolve) -> None:
        self._config = config
        self._directory = directory
        self._resolve = resolve
        self._upstream = Upstream(config)
        self._listeners: dict[Link | None, DnsListener] = {}

    async def start(self) -> None:
        """Listen for this host. Raises DnsError."""
        try:
            self._listeners[None] = await self._listen(self._config.address, None)
        except OSError as error:
            raise DnsError(
                f"DNS cannot listen on {self._config.address} port {self._config.port} ({error.strerror}): "
                "change it in [node.dns]"
            ) from error

    async def serve_links(self, links: Collection[Link]) -> None:
        """Listen for the plain hosts on these links, and on no others."""
        for link in [link for link in self._listeners if link is not None and link not in links]:
            self._listeners.pop(link).close()
        for link in links:
            if link in self._listeners:
                continue
            try:
                self._listeners[link] = await self._listen(str(link.ip), link)
                log.info("dns_for_plain_hosts", address=str(link.ip))
            except OSError as error:  # another server is there, or the address has just gone
                log.warning("dns_not_for_plain_hosts", address=str(link.ip), why=error.strerror)

    async def _listen(self, address: str, link: Link | None) -> DnsListener:
        listener = DnsListener(partial(self._answer_to, link))
        await listener.listen(address, self._config.port)
        return listener

    def _answer_to(self, link: Link | None, client: IPv4Address | IPv6Address) -> Answer | None:
        """Plain hosts are answered in their own name, those that are not on the link not at all."""
        if link is None:
            return self.handle
        return partial(self.handle, asking=client.packed) if client in link.network else None

    async def close(self) -> None:
        """Stop listening."""
        for listener in self._listeners.values():
            listener.close()

    async def handle(self, packet: bytes, *, tcp: bool, asking: bytes = b"") -> bytes | None:
        """The answer to a query of the plain host with this address, or (empty) of this host; None: there
        is none.
        """
        decision = core.decide(packet, self._directory)
        match decision:
            case core.Answer():
                return decision.packet
            case core.Forward():
                return await self._forward(decision.query, tcp=tcp)
            case core.Ask():
                return await self._ask(decision, asking, tcp=tcp)
        return None

    async def _ask(self, ask: core.Ask, asking: bytes, *, tcp: bool) -> bytes:
        found = await self._resolve(ask.service, asking)
        match found:
            case core.Addresses():
                return core.answer(ask.query, found)
            case Verdict.FORBIDDEN:
                return core.refuse(ask.query, RCODE.REFUSED)
            case Verdict.UNKNOWN:
                if not self._upstream.servers():  # nobody else who could know it
                    return core.refuse(ask.query, RCODE.NXDOMAIN)
                return await self._forward(ask.query, tcp=tcp)
        # Without the controller nobody can say that there is no such name.
        answer = await self._forward(ask.query, tcp=tcp)
        return core.refuse(ask.query, RCODE.SERVFAIL) if core.says_no_such_name(answer) else answer

    async def _forward(self, query: core.Query, *, tcp: bool) -> bytes:
        found = await self._upstream.ask(query.packet, tcp=tcp)
        return found if found is not None else core.refuse(query, RCODE.SERVFAIL)


async def ask_udp(packet: bytes, server: str, port: int) -> bytes:
    """The answer of a server to a query; waits for ever. Raises OSError."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    # A socket of its own, connected, for each question: the kernel picks a random port and takes answers from
    # there only (RFC 5452).
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as handle:
        handle.connect((server, port))
        await loop.sock_sendall(handle, packet)
        while True:
            answer = await loop.sock_recv(handle, 65535)
            if core.is_answer_to(answer, packet):  # what is none may be forged, and the true one still come
                return answer


async def ask_tcp(packet: bytes, server: str, port: int) -> bytes:
    """The same over TCP. Raises OSError, or IncompleteReadError when the server hangs up."""
    reader, writer = await asyncio.open_connection(server, port)
    try:
        await write_message(writer, packet)
        while True:
            answer = await read_message(reader)
            if core.is_answer_to(answer, packet):
                return answer
    finally:
        writer.close()
