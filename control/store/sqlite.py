# SPDX-License-Identifier: Apache-2.0
"""The store in one SQLite file, written by a thread of its own with group commit.

All transactions that were queued while a commit ran become one SQLite transaction, so that the price of
``fsync`` is shared: with many writers a commit costs a fraction of one. Those that come close together wait a
little for one another: they share what follows from a commit too, such as the writes to data planes.
"""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
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

_SPACING: Final = 0.007
"""Seconds from the beginning of a commit to that of the next, while several transactions come in that time.

A commit of one costs as much processor time as one of many, here and in all that wakes up with it: with
commits as often as the disk allows, half of the load would take hardly less of it than all.
"""

_PAGES_BETWEEN_CHECKPOINTS: Final = 4000
"""16 MiB of log: a checkpoint holds commits up for several milliseconds."""

_PRIVATE: Final = 0o600
_PATIENCE: Final = 5.0
"""Seconds for which a commit waits for an operator's tool that writes to the file."""


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
        self._crowded = False
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
            rows = db.execute("SELECT key, value, revision FROM entry WHERE key >= ? ORDER BY key", (prefix,))
            below = takewhile(lambda row: row[0].startswith(prefix), rows)
            return Listing(tuple(Entry(*row) for row in below), read_revision(db))

        listing: Listing = await self._read(run)
        return listing

    async def commit(self, transaction: Transaction) -> int:
        """See :class:`control.store.base.Store`."""
        self._refuse_when_closed()
        write = _Write(transaction, self._loop.create_future())
        self._queue.put(write)
        return await write.done  # a caller that gives up does not undo the write: others still hear of it

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
        assert self._history is not None
        self._history.close(self._closing())
        await asyncio.to_thread(self._thread.join)

    async def _read(self, run: Callable[[sqlite3.Connection], Any]) -> Any:
        self._refuse_when_closed()
        read = _Read(run, self._loop.create_future())
        self._queue.put(read)
        return await read.done

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise self._closing()

    def _closing(self) -> StoreError:
        return StoreError(f"store {self._path} is closed: the controller is stopping, ask again later")

    # ---- in the thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with _owned(self._path), closing(_connect(self._path)) as db:
                self._tell(_resolve, self._opened, read_revision(db), None)
                with suppress(EOFError):
                    while True:
                        self._serve_next(db)
        except StoreError as error:
            self._tell(_resolve, self._opened, None, error)

    def _serve_next(self, db: sqlite3.Connection) -> None:
        """Serve what is queued, and let more come if several write at a time."""
        group = self._next_group()
        begun = time.monotonic()
        self._crowded = False
        self._serve(db, group)
        if self._crowded:
            time.sleep(max(0.0, begun + _SPACING - time.monotonic()))

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
        except Exception as error:  # whatever it is, the thread goes on and nobody waits for ever
            self._tell(_resolve, read.done, None, self._failure("read", error))

    def _commit(self, db: sqlite3.Connection, writes: list[_Write]) -> None:
        if not writes:
            return
        try:
            db.execute("BEGIN IMMEDIATE")
            group = Group(db, [write.transaction for write in writes])
            group.write(db)
            db.execute("COMMIT")
            # Before anybody is told: whoever writes again after the answer is not one of several.
            self._crowded = len(writes) > 1 or not self._queue.empty()
        except Exception as error:  # as above
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            failure = self._failure("written", error)
            self._tell(_resolve_all, [(write.done, failure) for write in writes])
            return
        outcomes = [(write.done, outcome) for write, outcome in zip(writes, group.outcomes, strict=True)]
        self._tell(self._committed, outcomes, group.changes, group.revision)

    def _failure(self, what: str, error: Exception) -> StoreError:
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        mend = "stop the controller and restore a backup" if damaged else "check disk space and permissions"
        return StoreError(f"store {self._path} cannot be {what} ({error}): {mend}")

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


@contextmanager
def _owned(path: Path) -> Iterator[None]:
    """Keep a second controller out: it is refused at its start, not at its first write.

    A lock of its own, beside SQLite's: those let operators read, and make backups, while a controller runs.
    """
    try:
        lock = path.with_name(f"{path.name}.lock").open("w")
    except OSError as error:
        raise StoreError(
            f"store {path} cannot be opened ({error.strerror}): check path and permissions"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(
                f"store {path} is in use by another process: stop that controller first"
            ) from error
        yield


def _connect(path: Path) -> sqlite3.Connection:
    try:
        path.touch(mode=_PRIVATE)
        db = sqlite3.connect(path, isolation_level=None, timeout=_PATIENCE)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"store {path} cannot be opened ({error}): check path and permissions") from error
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_BETWEEN_CHECKPOINTS}")
        _ensure_schema(db, path)
    except sqlite3.Error as error:
        db.close()
        raise StoreError(
            f"store {path} cannot be opened ({error}): restore a backup, or name another state_dir"
        ) from error
    except StoreError:
        db.close()
        raise
    return db


def _ensure_schema(db: sqlite3.Connection, path: Path) -> None:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"store {path} has schema {version}, this version knows {SCHEMA_VERSION}: start the newer "
            "Moorline that wrote it, or name another state_dir"
        )
    if version == 0:
        if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise StoreError(f"{path} is a database of something else: name another state_dir")
        db.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            db.execute(statement)
        db.execute("COMMIT")
    read_revision(db)


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
