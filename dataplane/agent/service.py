# SPDX-License-Identifier: Apache-2.0
"""The agent's own gRPC service, on its local socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dataplane.agent.translations import Translations
from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import moorline_pb2_grpc as rpc


class AgentService(rpc.AgentServicer):
    """Status and translation table, for the command."""

    def __init__(self, status: Callable[[], api.AgentStatus], translations: Translations) -> None:
        self._status = status
        self._translations = translations

    async def GetAgentStatus(  # noqa: N802 - the method's name in the protobuf file
        self, _request: api.GetAgentStatusRequest, _context: Any
    ) -> api.AgentStatus:
        """The state of this node."""
        return self._status()

    async def ListTranslations(  # noqa: N802
        self, _request: api.ListTranslationsRequest, _context: Any
    ) -> api.ListTranslationsResponse:
        """The translation table, without keys."""
        return api.ListTranslationsResponse(translations=list(self._translations))
