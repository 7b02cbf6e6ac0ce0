# SPDX-License-Identifier: Apache-2.0
"""Finds services by name for this host, so that connections stand before their first packet."""

from __future__ import annotations

import asyncio
from typing import Final

import grpc
import structlog

from dataplane.agent.dns import Verdict
from dataplane.agent.dns_core import Addresses
from dataplane.agent.lookups import TIMEOUT_SECONDS, ControllerAwayError, LookupFailedError, Lookups
from dataplane.agent.translations import Translations
from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import moorline_pb2_grpc as rpc

log = structlog.get_logger(__name__)

OWN_SERVICE_SECONDS: Final = 3.0
"""How long a first question waits until the host has a service of its own to ask with."""

_VERDICTS: Final = {
    grpc.StatusCode.PERMISSION_DENIED.value[0]: Verdict.FORBIDDEN,
    grpc.StatusCode.NOT_FOUND.value[0]: Verdict.UNKNOWN,
    grpc.StatusCode.INVALID_ARGUMENT.value[0]: Verdict.UNKNOWN,
}


class Resolver:
    """Asks the controller in the name of the host's first service, and gives the host one when it has none;
    for a plain host, in the name of its own.
    """

    def __init__(self, node: str, translations: Translations) -> None:
        self.lookups = Lookups()
        self._node = node
        self._translations = translations
        self._channel: grpc.aio.Channel | None = None
        self._named = asyncio.Event()
        self._registering: asyncio.Task[None] | None = None
        self._under_way: dict[tuple[str, str], asyncio.Task[Addresses | Verdict]] = {}

    def use(self, channel: grpc.aio.Channel | None) -> None:
        """The controller is reached by this channel now, or (None) not at all."""
        self._channel = channel
        self.lookups.use(channel)

    def endpoints_stand(self) -> None:
        """The addresses of this host's services are on its interface."""
        if self._translations.own_endpoints:
            self._named.set()
        else:
            self._named.clear()

    async def resolve(self, name: str, asking: bytes = b"") -> Addresses | Verdict:
        """The addresses of a service. Questions for A and AAAA come together: both wait for one lookup.

        Args:
            name: of the service.
            asking: the address (4 or 16 octets) of a plain host that wants to know; empty: this host does.
                One behind another node, which must have a connection to here, has none made for it: that is
                for its own gateway to do, when the first packet comes.
        """
        client = ""
        if asking:
            endpoint = self._translations.endpoint_at(asking)
            if endpoint is None and self._translations.name_of(asking):
                return await self._find(name)
            if endpoint is None or not endpoint.port:
                return Verdict.FORBIDDEN
            client = endpoint.service
        own = self._translations.endpoints if not client else ()
        if client == name or any(endpoint.service == name for endpoint in own):
            return self._translations.addresses_of(name) or Verdict.UNKNOWN
        asked = client, name
        task = self._under_way.get(asked)
        if task is None:
            task = asyncio.create_task(self._ask(client, name), name="resolve")
            self._under_way[asked] = task
            task.add_done_callback(lambda _: self._under_way.pop(asked, None))
        return await asyncio.shield(task)

    async def _ask(self, client: str, name: str) -> Addresses | Verdict:
        try:
            response = await self.lookups.lookup(client or await self._client(), name)
        except LookupFailedError as error:
            return self._refused(name, error)
        except ControllerAwayError:
            # What is connected works on without the controller.
            return self._translations.addresses_of(name) or Verdict.AWAY
        return Addresses(response.server_ipv4, response.server_ipv6)

    async def _find(self, name: str) -> Addresses | Verdict:
        known = self._translations.addresses_of(name) or Verdict.AWAY
        if self._channel is None:
            return known
        request = api.GetServiceRequest(name=name)
        try:
            found = await rpc.NamingStub(self._channel).GetService(request, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            return _VERDICTS.get(error.code().value[0], known)
        return Addresses(found.ipv4, found.ipv6)

    def _refused(self, name: str, error: LookupFailedError) -> Verdict:
        verdict = _VERDICTS.get(error.code)
        if verdict is not None:
            return verdict
        log.warning("lookup_failed", service=name, code=error.code, why=str(error))
        return Verdict.AWAY

    async def _client(self) -> str:
        """The service in whose name to ask. Raises ControllerAwayError."""
        if not self._named.is_set():
            if self._registering is None or self._registering.done():
                self._registering = asyncio.create_task(self._register(), name="register-host")
            try:
                await asyncio.wait_for(self._named.wait(), OWN_SERVICE_SECONDS)
            except TimeoutError:
                raise ControllerAwayError(
                    f"node {self._node} has no service to ask with: see that the controller is reached"
                ) from None
        # They may have gone again meanwhile, just before the host's addresses follow.
        own = next((endpoint.service for endpoint in self._translations.own_endpoints), None)
        if own is None:
            raise ControllerAwayError(f"node {self._node} has lost its last service: try again later")
        return own

    async def _register(self) -> None:
        if self._channel is None:
            return
        request = api.RegisterServiceRequest(name=f"{self._node}.host")
        try:
            await rpc.NamingStub(self._channel).RegisterService(request, timeout=OWN_SERVICE_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                log.warning("host_not_registered", code=error.code().name, detail=error.details())
