# SPDX-License-Identifier: Apache-2.0
"""The DNS server that tells devices their endpoint, over UDP and TCP."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address, IPv6Address

import structlog

from control.errors import StartError
from control.subscribers.dns_core import Zone, answer
from moorline.dns_transport import Answer, DnsListener

log = structlog.get_logger(__name__)


class DnsServer:
    """Answers for one zone."""

    def __init__(self, address: IPv4Address | IPv6Address, port: int, zone: Zone) -> None:
        self._address = str(address)
        self._zone = zone
        self._listener = DnsListener(self._answer_to)
        self.port = port

    async def start(self) -> None:
        """Begin to listen; raises :class:`StartError`."""
        try:
            await self._listener.listen(self._address, self.port)
        except OSError as error:
            raise StartError(
                f"port {self.port} of {self._address} cannot be listened on for DNS ({error.strerror}): set "
                "another in [controller.endpoints]"
            ) from error
        self.port = self._listener.port
        log.info("endpoint_names", zone=self._zone.name, port=self.port)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _answer_to(self, client: IPv4Address | IPv6Address) -> Answer:
        return partial(self._answer, client)

    async def _answer(self, client: IPv4Address | IPv6Address, packet: bytes, *, tcp: bool) -> bytes | None:  # noqa: ARG002
        return answer(packet, client, self._zone)
