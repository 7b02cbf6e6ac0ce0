# SPDX-License-Identifier: Apache-2.0
"""Carries address change messages: UDP sockets and a timer around the exchange."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import structlog

from dataplane.agent.change import Acknowledged, ChangeError, ChangeExchange, PeerMoved
from dataplane.agent.peers import Peers
from moorline.addresses import unmapped
from moorline.errors import MoorlineError

log = structlog.get_logger(__name__)

MAX_DATAGRAM: Final = 2048
_BATCH: Final = 64
"""Datagrams read before others get their turn."""


class ChangePortError(MoorlineError):
    """The port for address changes cannot be used."""


class ChangeSocket:
    """Sends what is due, when it is due, to all addresses of a peer; hands up what peers tell."""

    def __init__(self, port: int, peers: Peers, on_moved: Callable[[PeerMoved], None]) -> None:
        self.exchange = ChangeExchange(0)
        self._port = port
        self._peers = peers
        self._on_moved = on_moved
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sockets = {
            family: found for family in (socket.AF_INET, socket.AF_INET6) if (found := _bind(family, port))
        }
        for handle in self._sockets.values():
            self._loop.add_reader(handle, self._readable, handle)

    def close(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()
        for handle in self._sockets.values():
            self._loop.remove_reader(handle)
            handle.close()

    def send_due(self) -> None:
        """Send what is due now, and come back when the next is."""
        for peer, datagram in self.exchange.due(self._loop.time()):
            found = self._peers.get(peer)
            for address in found.addresses if found is not None else ():
                self._send(datagram, str(unmapped(address)), self._port)
        if self._timer is not None:
            self._timer.cancel()
        due = self.exchange.next_due()
        self._timer = None if due is None else self._loop.call_at(due, self.send_due)

    def hurry(self, peer: int | None = None) -> None:
        """Send at once what is still unanswered, to one peer or to all."""
        self.exchange.hurry(self._loop.time(), peer)
        self.send_due()

    def _readable(self, handle: socket.socket) -> None:
        for _ in range(_BATCH):
            try:
                datagram, source = handle.recvfrom(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP error about something sent before
                log.debug("change_not_delivered", error=error.strerror)
                continue
            self._received(handle, datagram, source)

    def _received(self, handle: socket.socket, datagram: bytes, source: tuple[str, int]) -> None:
        try:
            received = self.exchange.receive(datagram)
        except ChangeError as error:
            log.debug("change_refused", why=str(error), source=source[0])
            return
        # The rows first: the acknowledgement ends the peer's interest, and says that they stand.
        match received.event:
            case PeerMoved():
                self._on_moved(received.event)
            case Acknowledged():
                log.debug("change_acknowledged", peer=received.event.peer)
        if received.answer is not None:
            _send(handle, received.answer, source)

    def _send(self, datagram: bytes, address: str, port: int) -> None:
        handle = self._sockets.get(socket.AF_INET6 if ":" in address else socket.AF_INET)
        if handle is not None:
            _send(handle, datagram, (address, port))


def _bind(family: socket.AddressFamily, port: int) -> socket.socket | None:
    try:
        handle = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    except OSError:
        return None  # a kernel without IPv6
    if family is socket.AF_INET6:
        handle.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        handle.bind(("", port))
    except OSError as error:
        handle.close()
        raise ChangePortError(
            f"UDP port {port} cannot be used ({error.strerror}): free it, or set change_port in [node]"
        ) from error
    return handle


def _send(handle: socket.socket, datagram: bytes, destination: tuple[str, int]) -> None:
    try:
        handle.sendto(datagram, destination)
    except OSError as error:  # no route just now: it is sent again, at the latest when there is one
        log.debug("change_not_sent", error=error.strerror)
