# SPDX-License-Identifier: Apache-2.0
"""What only the SQLite engine has: a file that may be full, damaged, foreign, newer, or read by others."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from control.errors import StoreError
from control.store import sqlite
from control.store.base import Transaction
from control.store.group import Group
from control.store.sqlite import SCHEMA_VERSION, SqliteStore


def put(key: str, value: bytes = b"x") -> Transaction:
    return Transaction(puts={key: value})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


async def fill(path: Path, count: int = 1) -> None:
    store = await SqliteStore.open(path)
    await store.commit(Transaction(puts={f"k{n:04}": bytes(500) for n in range(count)}))
    await store.close()


async def refused(path: Path, why: str) -> None:
    """Opening is refused in one sentence that names the file and says why."""
    with pytest.raises(StoreError, match=why) as caught:
        await SqliteStore.open(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_the_file_is_its_owners_alone(path: Path) -> None:
    await fill(path)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(path: Path) -> None:
    await fill(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    content = path.read_bytes()
    await refused(
        path, f"has schema {SCHEMA_VERSION + 1}, this version knows {SCHEMA_VERSION}: start the newer"
    )
    assert path.read_bytes() == content


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path) -> None:
    path.write_bytes(b"These are not the tables you are looking for.\n" * 100)
    content = path.read_bytes()
    await refused(path, "file is not a database.*: restore a backup")
    assert path.read_bytes() == content


async def test_a_database_of_something_else_is_refused_and_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE songs (title TEXT)")
    await refused(path, "is a database of something else: name another state_dir")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("songs",)]


async def test_a_store_without_its_tables_is_refused(path: Path) -> None:
    await fill(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM revision")
        db.commit()
    await refused(path, "it has no revision.*: restore a backup")
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE revision")
    await refused(path, "no such table: revision.*: restore a backup")


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    await refused(tmp_path / "nowhere" / "store.sqlite", "No such file or directory.*: check path")


async def test_a_damaged_page_is_told_to_whoever_reads_it(path: Path) -> None:
    await fill(path, 200)
    content = bytearray(path.read_bytes())
    content[-8192:] = b"\xff" * 8192  # leaves, not what is read at the start
    path.write_bytes(content)
    store = await SqliteStore.open(path)
    for _ in range(2):  # the store lives on
        with pytest.raises(StoreError, match=r"malformed.*: stop the controller and restore a backup"):
            await store.scan("")
    await store.close()


@contextmanager
def no_more_room(beyond: int) -> Iterator[None]:
    """No file of this process may grow beyond so many octets: what a full disk is to SQLite."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (beyond, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_fails_what_is_asked_and_loses_nothing(path: Path) -> None:
    await fill(path, 10)
    store = await SqliteStore.open(path)
    before = await store.scan("")
    with no_more_room(64 << 10):
        outcomes = await asyncio.gather(
            *(store.commit(put(f"big{n}", bytes(100_000))) for n in range(3)), return_exceptions=True
        )
        for outcome in outcomes:
            assert isinstance(outcome, StoreError)
            assert "cannot be written" in str(outcome)
            assert "check disk space" in str(outcome)
        assert await store.scan("") == before
    assert await store.commit(put("after")) == before.revision + 1
    await store.close()
    store = await SqliteStore.open(path)
    assert await store.get("after") is not None
    assert (await store.scan("k")).entries == before.entries
    await store.close()


async def test_a_backup_can_be_made_while_a_controller_runs(path: Path, tmp_path: Path) -> None:
    store = await SqliteStore.open(path)
    await store.commit(put("a"))
    with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(tmp_path / "copy")) as copy:
        live.backup(copy)
        assert live.execute("SELECT key FROM entry").fetchall() == [("a",)]
    await store.commit(put("b"))
    await store.close()
    restored = await SqliteStore.open(tmp_path / "copy")
    assert (await restored.scan("")).revision == 1
    await restored.close()


async def test_a_commit_waits_for_a_tool_that_writes(path: Path) -> None:
    store = await SqliteStore.open(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as tool:
        tool.execute("BEGIN IMMEDIATE")
        commit = asyncio.create_task(store.commit(put("a")))
        await asyncio.sleep(0)
        tool.execute("COMMIT")
    await commit
    await store.close()


async def test_what_comes_close_together_is_committed_together(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused, go_on = threading.Event(), threading.Event()
    groups: list[int] = []

    class Counted(Group):
        def __init__(self, db: sqlite3.Connection, transactions: Sequence[Transaction]) -> None:
            groups.append(len(transactions))
            super().__init__(db, transactions)

    def pause(_seconds: float) -> None:
        paused.set()
        go_on.wait(10)

    monkeypatch.setattr(sqlite, "Group", Counted)
    monkeypatch.setattr(sqlite, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pause))
    store = await SqliteStore.open(path)
    first = asyncio.gather(*(store.commit(put(f"first{n}")) for n in range(3)))
    assert await asyncio.to_thread(paused.wait, 10)
    then = [asyncio.create_task(store.commit(put(f"then{n}"))) for n in range(3)]
    await asyncio.sleep(0)  # all are queued
    assert sum(groups) in (1, 3)
    go_on.set()
    await asyncio.gather(first, *then)
    assert sum(groups) == 6
    assert groups[-1] >= 3
    await store.close()


async def test_who_writes_alone_waits_for_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_SPACING", 3600.0)
    store = await SqliteStore.open(path)
    for n in range(20):
        await store.commit(put(f"k{n}"))
    await store.close()


async def test_a_store_is_free_again_after_it_was_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    for _ in range(2):
        await refused(path, "has schema")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 0")
    await fill(path)
