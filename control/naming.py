# SPDX-License-Identifier: Apache-2.0
"""Names: services registered, with or without a lease, each with virtual addresses of its own."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Collection
from typing import Final

import structlog

from control.connections import Connections
from control.errors import (
    AlreadyExistsError,
    ControlError,
    InvalidRequestError,
    NotFoundError,
    PreconditionError,
)
from control.gateways import gateway_port, links_of_gateways
from control.records import Service
from control.rejects import Rejects
from control.sessions import Sessions
from control.southbound.dataplanes import DataPlanes
from control.state import State
from control.store.base import Store, Transaction
from control.virtual import AddressPool
from moorline.names import NodeName, ServiceName

log = structlog.get_logger(__name__)

MAX_TTL_SECONDS: Final = 366 * 86_400
_SECOND: Final = 1_000_000_000
_RETRY_SECONDS: Final = 1.0
_DEFAULT_TENANT: Final = 0


class Naming:
    """The registry of services."""

    def __init__(
        self,
        state: State,
        store: Store,
        pool: AddressPool,
        connections: Connections,
        planes: DataPlanes,
        sessions: Sessions,
        rejects: Rejects,
    ) -> None:
        self._state = state
        self._planes = planes
        self._store = store
        self._pool = pool
        self._connections = connections
        self._sessions = sessions
        self._rejects = rejects
        self._registering: set[str] = set()
        self._expiries: set[asyncio.Task[None]] = set()
        self._leases: list[tuple[int, str]] = []
        self._earlier = asyncio.Event()
        now = time.time_ns()
        for service in state.services.values():
            pool.restore(service.ipv4, service.ipv6)
            if service.ttl_seconds:
                # Nobody could renew while no controller ran.
                service.expires_ns = max(service.expires_ns, now + service.ttl_seconds * _SECOND)
            self._lease(service)

    async def register(
        self, text: str, node_name: str, ttl_seconds: int, addresses: Collection[bytes] = ()
    ) -> Service:
        """Register a service on a node.

        Args:
            text: its name.
            node_name: its node's.
            ttl_seconds: of its lease; 0: it has none.
            addresses: of the plain host behind a gateway port of the node; none: the service is at the node
                itself, and gets its addresses here.

        Raises:
            InvalidNameError: the name is none, or that of the node.
            InvalidRequestError: the time to live is too long.
            NotFoundError: the node is unknown.
            AlreadyExistsError: the name or an address is taken.
            PreconditionError: the addresses are on the link of no gateway port of the node; or the node is a
                switch, and there are none.
            ExhaustedError: no virtual address is left.
        """
        name = str(ServiceName.parse(text))
        node = self._state.node(NodeName.parse(node_name))
        if ttl_seconds > MAX_TTL_SECONDS:
            raise InvalidRequestError(
                f"a lease of {ttl_seconds} seconds for {name} is too long: ask for {MAX_TTL_SECONDS} at most"
            )
        taken = self._state.services.get(name)
        if taken is not None or name in self._registering:
            where = f" on node {taken.node.name}" if taken else ""
            raise AlreadyExistsError(f"service {name} is registered already{where}: unregister it first")
        if node.switch is not None and not addresses:
            raise PreconditionError(
                f"switch {node.name} runs no programs: give {name} the address of a plain host behind it"
            )
        port = gateway_port(node, addresses) if addresses else 0
        if addresses:
            ipv4, ipv6 = self._pool.claim(name, addresses)
        else:
            ipv4, ipv6 = self._pool.take(name, links_of_gateways(self._state.nodes.values()))
        now = time.time_ns()
        expires = now + ttl_seconds * _SECOND if ttl_seconds else 0
        service = Service(name, node, _DEFAULT_TENANT, ipv4, ipv6, ttl_seconds, expires, now, port)
        self._registering.add(name)
        node.registering += 1
        try:
            await self._store.commit(
                Transaction(compares={service.key: 0}, puts={service.key: service.encode()})
            )
        except ControlError:
            self._pool.release(ipv4, ipv6)
            raise
        finally:
            node.registering -= 1
            self._registering.discard(name)
        self._state.add_service(service)
        self._planes.reach_changed(node)
        self._lease(service)
        self._sessions.endpoints(node)
        self._rejects.clear()
        log.info("service_registered", service=name, node=node.name, ttl_seconds=ttl_seconds)
        return service

    async def renew(self, text: str) -> Service:
        """Begin the lease of a service anew; without a lease nothing changes."""
        service = self._state.service(ServiceName.parse(text))
        if service.leaving:
            raise NotFoundError(f"service {service.name} is just being taken back: register it again")
        if service.ttl_seconds:
            # Before it is stored, lest the lease ends meanwhile.
            service.expires_ns = time.time_ns() + service.ttl_seconds * _SECOND
            self._lease(service)
            await self._store.commit(Transaction(puts={service.key: service.encode()}))
        return service

    async def unregister(self, text: str) -> None:
        """Take a service back; its connections are closed."""
        await self._remove(self._state.service(ServiceName.parse(text)), "unregistered")

    async def run(self) -> None:
        """Let leases expire, for ever."""
        while True:
            delay = self._expire_due()
            self._earlier.clear()
            try:
                async with asyncio.timeout(delay):
                    await self._earlier.wait()
            except TimeoutError:
                continue

    def _lease(self, service: Service) -> None:
        if service.expires_ns:
            heapq.heappush(self._leases, (service.expires_ns, service.name))
            if self._leases[0] == (service.expires_ns, service.name):
                self._earlier.set()

    def _expire_due(self) -> float | None:
        """Begin to remove what has expired; returns the seconds until the next lease ends."""
        now = time.time_ns()
        while self._leases and self._leases[0][0] <= now:
            expires, name = heapq.heappop(self._leases)
            service = self._state.services.get(name)
            if service is not None and service.expires_ns == expires:
                task = asyncio.create_task(self._expire(service, expires))
                self._expiries.add(task)
                task.add_done_callback(self._expiries.discard)
        return (self._leases[0][0] - now) / _SECOND if self._leases else None

    async def _expire(self, service: Service, expires: int) -> None:
        if service.expires_ns != expires:
            return
        try:
            await self._remove(service, "lease expired")
        except ControlError as error:
            log.error("expiry_failed", service=service.name, why=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
            self._lease(service)

    async def _remove(self, service: Service, why: str) -> None:
        """Connections first: when the store fails on the way, the service is still there to be taken back."""
        if service.leaving or self._state.services.get(service.name) is not service:
            return
        service.leaving = True
        try:
            await self._connections.close_all(self._state.connections_of(service))
            await self._store.commit(Transaction(deletes=frozenset([service.key])))
        except ControlError:
            service.leaving = False
            raise
        self._state.remove_service(service)
        self._planes.reach_changed(service.node)
        self._pool.release(service.ipv4, service.ipv6)
        self._sessions.endpoints(service.node)
        log.info("service_removed", service=service.name, node=service.node.name, why=why)
