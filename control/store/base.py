# SPDX-License-Identifier: Apache-2.0
"""The interface of the controller's store: a revisioned key-value space, as etcd has it.

Every transaction that writes gets the next revision. A key remembers the revision that wrote it last, which
is what a compare asks for; 0 stands for "no such key". Every engine has to pass
``tests/unit/control/test_store.py``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from control.errors import StoreError


class CompactedError(StoreError):
    """A watch from a revision whose successors are no longer remembered: list again, watch from there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value and the revision that wrote it."""

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Listing:
    """All entries below a prefix, ordered by key, as they stood at ``revision``."""

    entries: tuple[Entry, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """Puts and deletes that happen together, or not at all when a compare fails.

    ``compares`` maps keys to the revision that they must have (0: absent). Deleting an absent key is no
    error. A key is either put or deleted.
    """

    compares: Mapping[str, int] = field(default_factory=dict)
    puts: Mapping[str, bytes] = field(default_factory=dict)
    deletes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """One key written (or, with ``value`` None, deleted) by the transaction of ``revision``."""

    key: str
    value: bytes | None
    revision: int


class Store(Protocol):
    """A durable, ordered key-value space; all methods may be called from many tasks at once."""

    async def get(self, key: str) -> Entry | None:
        """The entry of ``key``, or None."""

    async def scan(self, prefix: str) -> Listing:
        """All entries whose keys begin with ``prefix``."""

    async def commit(self, transaction: Transaction) -> int:
        """Write durably; returns the revision. When it returns, a crash loses nothing of it.

        Raises:
            ConflictError: a compare failed; nothing was written.
            StoreError: the engine failed; nothing was written.
        """

    def watch(self, prefix: str, after: int) -> AsyncIterator[Change]:
        """Every change below ``prefix`` with a revision greater than ``after``, in order, for ever.

        Raises:
            CompactedError: changes after ``after`` have been forgotten, or the reader fell too far behind.
            StoreError: the store was closed.
        """

    async def close(self) -> None:
        """Finish what is queued and let go of the engine."""
