# SPDX-License-Identifier: Apache-2.0
"""Keys that two neighbouring nodes share, to tell one another that they have moved."""

from __future__ import annotations

import secrets
from typing import Final, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from control.records import Node
from control.store.base import Store, Transaction

SECRET: Final = "secret/pairs"  # noqa: S105 - a key in the store
_OCTETS: Final = 32


class PairKeys:
    """All follow from one secret of the site, by HKDF (RFC 5869) with numbers and names of the two nodes."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    async def load(cls, store: Store) -> Self:
        """Read the secret, or make it at the first start."""
        entry = await store.get(SECRET)
        if entry is not None:
            return cls(entry.value)
        secret = secrets.token_bytes(_OCTETS)
        await store.commit(Transaction(compares={SECRET: 0}, puts={SECRET: secret}))
        return cls(secret)

    def between(self, one: Node, other: Node) -> bytes:
        """The key of two nodes, whichever is named first."""
        names = sorted(f"{node.id} {node.name}" for node in (one, other))
        info = "\n".join(["moorline neighbours", *names]).encode()
        return HKDF(SHA256(), _OCTETS, salt=None, info=info).derive(self._secret)
