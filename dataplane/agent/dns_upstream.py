# SPDX-License-Identifier: Apache-2.0
"""The host's own resolvers, for all names but those of services."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dataplane.agent import dns_core as core
from moorline.dns_transport import read_message, write_message

PORT: Final = 53
SECONDS: Final = 2.0
"""How long one server may take."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """They are asked one after the other."""

    own: str
    """Where the node's own server listens, which is none of them."""

    resolv_conf: Path
    """Where they stand, unless they are ``given``."""

    given: tuple[str, ...] = ()

    def servers(self) -> tuple[str, ...]:
        """Whom to ask: read anew each time, for networks come and go."""
        if self.given:
            return self.given
        try:
            text = self.resolv_conf.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ()
        return core.nameservers(text, frozenset({self.own}))

    async def ask(self, packet: bytes, *, tcp: bool) -> bytes | None:
        """The first answer that comes; None when there is none."""
        for server in self.servers():
            try:
                async with asyncio.timeout(SECONDS):
                    found = await (ask_tcp if tcp else ask_udp)(packet, server, PORT)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                continue
            return found
        return None


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
