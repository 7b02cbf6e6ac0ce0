# SPDX-License-Identifier: Apache-2.0
"""The RADIUS accounting server: what network access servers tell of sessions goes into the directory."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

import structlog

from control.errors import ControlError, StartError
from control.state import State
from control.subscribers.directory import Subscribers, edge_port
from control.subscribers.radius_config import RadiusClientConfig, RadiusConfig
from control.subscribers.radius_packet import RadiusError, Reason, Report, Request, Status, read
from control.subscribers.records import Session
from moorline.addresses import packed, unmapped

log = structlog.get_logger(__name__)

IN_FLIGHT: Final = 1000
"""Requests that may be under way; more are dropped, and sent again."""

ANSWERED_SECONDS: Final = 30.0
"""How long a request that is sent again gets the same answer (RFC 5080, section 2.2.2)."""

REMEMBERED: Final = 10_000
"""Answers, and sessions that have ended, that are remembered at most."""

COMPLAINT_SECONDS: Final = 60.0
"""Of one kind of dropped packets of one client the log tells so often at most."""

_SWEEPS: Final = 8
"""Times in a session's time-out that it is looked for."""

_LONGEST_SWEEP: Final = 30.0

Key = tuple[str, int, bytes]
"""Address and port of a client, code, identifier and authenticator of its request."""


@dataclass(frozen=True, slots=True)
class Client:
    """A network access server that is known."""

    config: RadiusClientConfig
    secret: bytes = field(repr=False)


class RadiusServer:
    """Listens, drops what is not sound, stores, then answers."""

    def __init__(self, config: RadiusConfig, state: State, subscribers: Subscribers) -> None:
        self._config = config
        self._state = state
        self._subscribers = subscribers
        self._clients: dict[IPv4Address | IPv6Address, Client] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers: OrderedDict[Key, tuple[float, bytes | None]] = OrderedDict()
        self._ended: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        """When sessions ended, by client, NAS and their names."""

        self._complaints: dict[tuple[str, Reason], float] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        """Packets by client (empty: none that is known) and by what became of them."""

        self.port = 0

    async def start(self) -> None:
        """Begin to listen, if there is any client; raises :class:`StartError`."""
        if not self._config.clients:
            return
        self._clients = {one.address: Client(one, one.secret()) for one in self._config.clients}
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Protocol(self.receive), (str(self._config.address), self._config.port)
            )
        except OSError as error:
            raise StartError(
                f"UDP port {self._config.port} of {self._config.address} cannot be listened on "
                f"({error.strerror}): set another in [controller.radius]"
            ) from error
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]
        self._begin(self._sweep())
        log.info("radius_listening", port=self.port, clients=len(self._clients))

    async def close(self) -> None:
        """Stop listening; what is being stored is waited for no longer."""
        if self._transport is not None:
            self._transport.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- packets -------------------------------------------------------------------------------------------

    def receive(self, data: bytes, source: tuple[Any, ...]) -> None:
        """Take a datagram in; an answer follows when what it says is stored."""
        address = unmapped(packed(source[0].partition("%")[0]))
        client = self._clients.get(address)
        try:
            if client is None:
                raise RadiusError(Reason.UNKNOWN_CLIENT, "its sender is none of [[controller.radius.client]]")
            key = str(address), source[1], data[:2] + data[4:20]
            if self._answer_again(key, source):
                return
            request = read(data, client.secret)
            if len(self._tasks) >= IN_FLIGHT:
                raise RadiusError(Reason.BUSY, "too many requests are being stored")
        except RadiusError as error:
            self._drop(str(address), error, known=client is not None)
            return
        self._remember(key, None)
        self._begin(self._serve(client, key, request, source))

    def _answer_again(self, key: Key, source: tuple[Any, ...]) -> bool:
        """Whether a request was there before; what it says is not taken in twice."""
        known = self._answers.get(key)
        if known is None or known[0] < time.monotonic() - ANSWERED_SECONDS:
            return False
        if known[1] is not None:
            self._send(known[1], source)
        self.counts[key[0], "repeated"] += 1
        return True

    async def _serve(self, client: Client, key: Key, request: Request, source: tuple[Any, ...]) -> None:
        try:
            await self._take_in(client, request.report)
        except ControlError as error:
            self._answers.pop(key, None)
            log.warning("session_not_stored", client=str(client.config.address), why=str(error))
            return
        self._remember(key, request.answer)
        status = request.report.status
        self.counts[key[0], status.name.lower() if status is not None else "other"] += 1
        self._send(request.answer, source)

    def _remember(self, key: Key, answer: bytes | None) -> None:
        self._answers[key] = time.monotonic(), answer
        self._answers.move_to_end(key)
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)

    def _send(self, answer: bytes, source: tuple[Any, ...]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, source)

    def _drop(self, address: str, error: RadiusError, *, known: bool) -> None:
        who = address if known else ""
        self.counts[who, error.reason] += 1
        now = time.monotonic()
        if now >= self._complaints.get((who, error.reason), now):
            self._complaints[who, error.reason] = now + COMPLAINT_SECONDS
            log.warning("radius_packet_dropped", sender=address, reason=str(error.reason), why=str(error))

    # ---- what they say -------------------------------------------------------------------------------------

    async def _take_in(self, client: Client, report: Report) -> None:
        if report.status is None:
            return
        server = str(client.config.address)
        if report.status in (Status.ON, Status.OFF):
            await self._subscribers.end(self._subscribers.of_server(server, report.nas))
            for key in [key for key in self._ended if key[:2] == (server, report.nas)]:
                del self._ended[key]  # it may use the names again
            return
        key, session = (server, report.nas, report.session), self._session(client, report)
        ended = self._ended.get(key)
        if ended is not None and (report.status is not Status.START or session.started_ns <= ended):
            return  # on its way for longer than the news of the end, or that sent again
        if report.status is Status.START:
            self._ended.pop(key, None)
        if report.status is not Status.STOP:
            await self._subscribers.hear(session)
            return
        self._ended[key] = session.heard_ns
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        try:
            await self._subscribers.end([session])
        except ControlError:
            self._ended.pop(key, None)
            raise

    def _session(self, client: Client, report: Report) -> Session:
        """A session by what was said of it now."""
        now = time.time_ns()
        spec = self._subscribers.spec(report.customer)
        node = report.nas if report.nas in self._state.nodes else client.config.node
        return Session(
            str(client.config.address),
            report.session,
            report.nas,
            report.customer,
            report.station,
            spec.tenant if spec is not None else client.config.tenant,
            tuple(prefix for prefix in report.prefixes if client.config.may_tell_of(prefix)),
            report.profiles,
            node,
            self._port(node, report),
            report.tunnel if node else None,
            report.nas,
            now - report.delay_seconds * 10**9,
            now,
            report.traffic,
        )

    def _port(self, node: str, report: Report) -> str:
        """The edge port that a server means, if it is one."""
        known = self._state.nodes.get(node)
        if known is None or report.tunnel is not None:
            return ""
        return next((port for port in report.ports if edge_port(known, port) is not None), "")

    async def _sweep(self) -> None:
        """End sessions of which nothing is heard any more."""
        seconds = self._config.timeout_seconds
        while True:
            await asyncio.sleep(min(seconds / _SWEEPS, _LONGEST_SWEEP))
            try:
                ended = await self._subscribers.end_silent(seconds)
            except ControlError as error:
                log.warning("session_not_stored", why=str(error))
                continue
            if ended:
                log.info("sessions_timed_out", sessions=ended)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes, tuple[Any, ...]], None]) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._receive(data, addr)
