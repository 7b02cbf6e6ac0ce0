# SPDX-License-Identifier: Apache-2.0
"""A group of transactions as one SQLite transaction, in as few statements as possible.

Each step of a statement hands Python's global lock to the event loop's thread, and has to wait until it comes
back: statements for whole groups keep commits short, however many transactions there are.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from control.errors import ConflictError
from control.store.base import Change, Transaction

_KEYS_AT_ONCE: Final = 10_000
_ROWS_AT_ONCE: Final = 10_000
"""SQLite takes 32,766 parameters in a statement; a row has three."""


def read_revision(db: sqlite3.Connection) -> int:
    """The revision of the store; raises sqlite3.Error."""
    row = db.execute("SELECT number FROM revision").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("it has no revision")
    return int(row[0])


class Group:
    """Applies transactions one after another in memory, then writes what they come to.

    Attributes:
        outcomes: the revision or the conflict of each transaction.
        changes: everything written, in order.
        revision: the revision of the store afterwards.
    """

    def __init__(self, db: sqlite3.Connection, transactions: Sequence[Transaction]) -> None:
        self.revision = read_revision(db)
        self.changes: list[Change] = []
        asked = {key for t in transactions for keys in (t.compares, t.deletes) for key in keys}
        self._revisions = _read_revisions(db, asked)
        self.outcomes = [self._apply(transaction) for transaction in transactions]

    def write(self, db: sqlite3.Connection) -> None:
        """Write all changes; of each key only the last counts."""
        last = {change.key: change for change in self.changes}
        puts = (change for change in last.values() if change.value is not None)
        deletes = (change.key for change in last.values() if change.value is None)
        while rows := [*islice(puts, _ROWS_AT_ONCE)]:
            db.execute(
                f"INSERT INTO entry VALUES {','.join(['(?,?,?)'] * len(rows))} "  # noqa: S608 - only marks
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision",
                [item for change in rows for item in (change.key, change.value, change.revision)],
            )
        for keys in _batches(deletes):
            db.execute("DELETE FROM entry WHERE key IN (SELECT value FROM json_each(?))", (json.dumps(keys),))
        if self.changes:
            db.execute("UPDATE revision SET number = ?", (self.revision,))

    def _apply(self, transaction: Transaction) -> int | ConflictError:
        for key, wanted in transaction.compares.items():
            if self._revisions.get(key, 0) != wanted:
                return ConflictError(f"{key} was changed by somebody else meanwhile: try again")
        revision = self.revision + 1
        changes = [Change(key, value, revision) for key, value in transaction.puts.items()]
        changes += [Change(key, None, revision) for key in sorted(transaction.deletes) if self._has(key)]
        if changes:
            self.revision = revision
            self.changes += changes
            for change in changes:
                self._revisions[change.key] = 0 if change.value is None else revision
        return self.revision

    def _has(self, key: str) -> bool:
        return bool(self._revisions.get(key))


def _read_revisions(db: sqlite3.Connection, keys: Iterable[str]) -> dict[str, int]:
    """The revisions of those of ``keys`` that exist."""
    found: dict[str, int] = {}
    for batch in _batches(iter(keys)):
        row = db.execute(
            "SELECT json_group_object(key, revision) FROM entry "
            "WHERE key IN (SELECT value FROM json_each(?))",
            (json.dumps(batch),),
        ).fetchone()
        found |= json.loads(row[0])
    return found


def _batches(keys: Iterator[str]) -> Iterator[list[str]]:
    while batch := [*islice(keys, _KEYS_AT_ONCE)]:
        yield batch
