# SPDX-License-Identifier: Apache-2.0
"""The store in one SQLite file, written by a thread of its own with group commit.

All transactions that were queued while a commit ran become one SQLite transaction, so that the price of
``fsync`` is shared: with many writers a commit costs a fraction of one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final

from control.errors import ConflictError, StoreError
from control.store.base import Change, Entry, Listing, Transaction
from control.store.group import Group, read_revision
from control.store.history import History

SCHEMA_VERSION: Final = 1
_SCHEMA: Final = (
    "CREATE TABLE entry (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE revision (number INTEGER NOT NULL)",
    "INSERT INTO revision VALUES (0)",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_MAX_GROUP: Final = 2000
"""Transactions in one commit: keeps the first of them from waiting long for the last."""

_PRIVATE: Final = 0o600


@dataclass(slots=True, eq=False)
class _Write:
    transaction: Transaction
    done: asyncio.Future[int]


@dataclass(slots=True, eq=False)
class _Read:
    run: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]


class SqliteStore:
    """``control.store.base.Store`` over SQLite; open it with :meth:`open`."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self._loop = loop
        self._queue: SimpleQueue[_Write | _Read | None] = SimpleQueue()
        self._history: History | None = None
        self._opened: asyncio.Future[int] = loop.create_future()
        self._closed = False
        self._thread = Thread(target=self._run, name="store", daemon=True)

    @classmethod
    async def open(cls, path: Path) -> SqliteStore:
        """Open or make the file at ``path``.

        Raises:
            StoreError: it cannot be opened, is no store, or a newer version wrote it.
        """
        store = cls(path, asyncio.get_running_loop())
        store._thread.start()
        store._history = History(await store._opened)
        return store

    async def get(self, key: str) -> Entry | None:
        """See :class:`control.store.base.Store`."""

        def run(db: sqlite3.Connection) -> Entry | None:
            row = db.execute("SELECT value, revision FROM entry WHERE key = ?", (key,)).fetchone()
            return Entry(key, *row) if row else None

        found: Entry | None = await self._read(run)
        return found

    async def scan(self, prefix: str) -> Listing:
        """See :class:`control.store.base.Store`."""

        def run(db: sqlite3.Connection) -> Listing:
            rows = db.execute(
                "SELECT key, value, revision FROM entry "
                "WHERE key >= ? AND substr(key, 1, ?) = ? ORDER BY key",
                (prefix, len(prefix), prefix),
            )
            return Listing(tuple(Entry(*row) for row in rows), read_revision(db))

        listing: Listing = await self._read(run)
        return listing

    async def commit(self, transaction: Transaction) -> int:
        """See :class:`control.store.base.Store`."""
        self._refuse_when_closed()
        write = _Write(transaction, self._loop.create_future())
        self._queue.put(write)
        # Shielded: a caller that gives up does not undo the write, which others still have to hear of.
        return await asyncio.shield(write.done)

    def watch(self, prefix: str, after: int) -> AsyncIterator[Change]:
        """See :class:`control.store.base.Store`."""
        assert self._history is not None
        return self._history.watch(prefix, after)

    async def close(self) -> None:
        """See :class:`control.store.base.Store`."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    async def _read(self, run: Callable[[sqlite3.Connection], Any]) -> Any:
        self._refuse_when_closed()
        read = _Read(run, self._loop.create_future())
        self._queue.put(read)
        return await read.done

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise StoreError(f"store {self._path} is closed: the controller is stopping, ask again later")

    # ---- in the thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            db = _open(self._path)
        except StoreError as error:
            self._tell(_resolve, self._opened, None, error)
            return
        self._tell(_resolve, self._opened, read_revision(db), None)
        with suppress(EOFError):
            while True:
                self._serve(db, self._next_group())
        db.close()

    def _next_group(self) -> list[_Write | _Read]:
        """What is queued, at least one; raises EOFError once the store is to be closed."""
        group: list[_Write | _Read] = []
        item = self._queue.get()
        while item is not None:
            group.append(item)
            if len(group) == _MAX_GROUP:
                return group
            try:
                item = self._queue.get_nowait()
            except Empty:
                return group
        if not group:
            raise EOFError
        self._queue.put(None)
        return group

    def _serve(self, db: sqlite3.Connection, group: list[_Write | _Read]) -> None:
        """Serve in the order of the queue; runs of writes are committed together."""
        writes: list[_Write] = []
        for item in group:
            if isinstance(item, _Write):
                writes.append(item)
                continue
            self._commit(db, writes)
            writes = []
            self._answer(db, item)
        self._commit(db, writes)

    def _answer(self, db: sqlite3.Connection, read: _Read) -> None:
        try:
            self._tell(_resolve, read.done, read.run(db), None)
        except sqlite3.Error as error:
            self._tell(_resolve, read.done, None, self._failure("read", error))

    def _commit(self, db: sqlite3.Connection, writes: list[_Write]) -> None:
        if not writes:
            return
        try:
            db.execute("BEGIN IMMEDIATE")
            group = Group(db, [write.transaction for write in writes])
            group.write(db)
            db.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            failure = self._failure("written", error)
            self._tell(_resolve_all, [(write.done, failure) for write in writes])
            return
        outcomes = [(write.done, outcome) for write, outcome in zip(writes, group.outcomes, strict=True)]
        self._tell(self._committed, outcomes, group.changes, group.revision)

    def _failure(self, what: str, error: sqlite3.Error) -> StoreError:
        return StoreError(f"store {self._path} cannot be {what} ({error}): check disk space and permissions")

    def _tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        # The loop is gone when the process is stopping without close(); then nobody waits for the answer.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)

    # ---- back in the loop ----------------------------------------------------------------------------------

    def _committed(
        self,
        outcomes: list[tuple[asyncio.Future[int], int | ConflictError]],
        changes: list[Change],
        revision: int,
    ) -> None:
        assert self._history is not None
        self._history.add(changes, revision)
        _resolve_all(outcomes)


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.touch(mode=_PRIVATE)
        db = sqlite3.connect(path, isolation_level=None, timeout=1.0)
        # One controller owns the file: a second one is refused at start instead of at its first write.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"store {path} has schema {version}, this version knows {SCHEMA_VERSION}: start the newer "
                "Moorline that wrote it, or name another state_dir"
            )
        if version == 0:
            for statement in _SCHEMA:
                db.execute(statement)
        db.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StoreError(
                f"store {path} is in use by another process: stop that controller first"
            ) from error
        raise StoreError(f"store {path} cannot be opened ({error}): check path and permissions") from error
    except (sqlite3.DatabaseError, OSError) as error:
        raise StoreError(
            f"store {path} cannot be opened ({error}): restore it, or name another state_dir"
        ) from error
    return db


def _resolve(future: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)


def _resolve_all(outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, outcome in outcomes:
        error = outcome if isinstance(outcome, Exception) else None
        _resolve(future, outcome, error)
