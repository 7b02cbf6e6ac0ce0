# SPDX-License-Identifier: Apache-2.0
"""Join tokens: with one, a node of a given name gets a certificate, once."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import structlog

from control.authority import Authority
from control.errors import ConflictError, InvalidRequestError, UnauthenticatedError
from control.nodes import Nodes
from control.records import TOKEN
from control.store.base import Store, Transaction
from moorline.names import NodeName
from moorline.tls import node as node_identity

log = structlog.get_logger(__name__)

MAX_TTL_SECONDS: Final = 366 * 86_400
_SECRET_OCTETS: Final = 32
_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a token tells its node, ``host:port`` each."""

    join: str
    api: str


class Joining:
    """Makes tokens and redeems them; only a hash of each is stored."""

    def __init__(
        self, store: Store, authority: Authority, nodes: Nodes, addresses: Addresses, ttl_seconds: int
    ) -> None:
        self._store = store
        self._authority = authority
        self._nodes = nodes
        self._addresses = addresses
        self._ttl_seconds = ttl_seconds

    async def create_token(self, text: str, ttl_seconds: int) -> tuple[str, str, int]:
        """A token for a node, in place of an earlier one: (node, token, nanoseconds when it ends)."""
        name = str(NodeName.parse(text))
        self._nodes.require_host(name)
        if ttl_seconds > MAX_TTL_SECONDS:
            raise InvalidRequestError(
                f"a token for {ttl_seconds} seconds is too long-lived: ask for {MAX_TTL_SECONDS} at most"
            )
        expires = time.time_ns() + (ttl_seconds or self._ttl_seconds) * _SECOND
        secret = secrets.token_urlsafe(_SECRET_OCTETS)
        record = json.dumps({"hash": sha256(secret.encode()).hexdigest(), "expires": expires})
        await self._store.commit(Transaction(puts={TOKEN + name: record.encode()}))
        log.info("join_token_created", node=name)
        return name, self._encode(name, secret), expires

    async def join(self, text: str, secret: bytes, request: bytes) -> tuple[bytes, bytes]:
        """Redeem a token: the node's certificate and the authority's (DER).

        Raises:
            UnauthenticatedError: no such token, or its time is over, or it was used. All look alike.
            InvalidRequestError: the certificate request is bad; the token stays good.
        """
        name = str(NodeName.parse(text))
        refusal = UnauthenticatedError(
            f"the join token for node {name} is not valid, used or expired: create another one"
        )
        entry = await self._store.get(TOKEN + name)
        record: dict[str, Any] = json.loads(entry.value) if entry else {"hash": "0" * 64, "expires": 0}
        right = hmac.compare_digest(sha256(secret).hexdigest(), record["hash"])
        if entry is None or not right or record["expires"] <= time.time_ns():
            log.warning("join_refused", node=name)
            raise refusal
        certificate = self._authority.sign_request(request, node_identity(name))
        try:
            await self._store.commit(
                Transaction(compares={entry.key: entry.revision}, deletes=frozenset([entry.key]))
            )
        except ConflictError:
            raise refusal from None
        await self._nodes.admit(name)
        log.info("node_joined", node=name)
        return certificate, self._authority.der

    def _encode(self, name: str, secret: str) -> str:
        content = {
            "controller": self._addresses.join,
            "api": self._addresses.api,
            "node": name,
            "secret": secret,
            "ca": base64.b64encode(self._authority.der).decode(),
        }
        return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()
