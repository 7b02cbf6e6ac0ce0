# SPDX-License-Identifier: Apache-2.0
"""The node's DNS server: service names from the controller, all others from the host's resolvers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from enum import Enum, auto
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

import structlog
from dnslib import RCODE

from dataplane.agent import dns_core as core
from dataplane.agent.config import DnsConfig
from dataplane.agent.dns_upstream import Upstream
from moorline.dns_transport import Answer, DnsListener
from moorline.errors import MoorlineError

log = structlog.get_logger(__name__)


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


class DnsServer:
    """Serves UDP and TCP: for this host on one address, and for plain hosts on those of gateway ports and of
    services.
    """

    def __init__(self, config: DnsConfig, directory: core.Directory, resolve: Resolve) -> None:
        self._config = config
        self._directory = directory
        self._resolve = resolve
        self._upstream = Upstream(config.address, config.resolv_conf, config.upstream)
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
