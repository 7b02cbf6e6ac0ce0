# SPDX-License-Identifier: Apache-2.0
"""What every engine of the store has to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from control.errors import ConflictError, StoreError
from control.store.base import Change, CompactedError, Entry, Store, Transaction
from control.store.history import KEPT
from tests.unit.control.engines import ENGINES, Open


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Open:
    return ENGINES[request.param]


@pytest.fixture
async def store(engine: Open, tmp_path: Path) -> AsyncIterator[Store]:
    store = await engine(tmp_path)
    yield store
    await store.close()


async def put(store: Store, **values: str) -> int:
    return await store.commit(Transaction(puts={key: value.encode() for key, value in values.items()}))


async def delete(store: Store, *keys: str) -> int:
    return await store.commit(Transaction(deletes=frozenset(keys)))


async def keys(store: Store, prefix: str) -> list[str]:
    return [entry.key for entry in (await store.scan(prefix)).entries]


async def take(changes: AsyncIterator[Change], count: int) -> list[Change]:
    async with asyncio.timeout(10):
        return [await anext(changes) for _ in range(count)]


# ---- entries and revisions ---------------------------------------------------------------------------------


async def test_an_absent_key_is_none(store: Store) -> None:
    assert await store.get("a") is None
    assert (await store.scan("")).entries == ()


async def test_each_writing_transaction_has_the_next_revision(store: Store) -> None:
    first = await put(store, a="1", b="1")
    second = await put(store, b="2")
    assert second == first + 1
    assert await store.get("a") == Entry("a", b"1", first)
    assert await store.get("b") == Entry("b", b"2", second)
    assert (await store.scan("")).revision == second


async def test_what_writes_nothing_takes_no_revision(store: Store) -> None:
    revision = await put(store, a="1")
    assert await delete(store, "nothing") == revision
    assert await store.commit(Transaction(compares={"a": revision})) == revision


async def test_a_deleted_key_is_gone_and_counts_as_absent(store: Store) -> None:
    await put(store, a="1")
    await delete(store, "a")
    assert await store.get("a") is None
    await store.commit(Transaction(compares={"a": 0}, puts={"a": b"2"}))


async def test_values_are_any_octets(store: Store) -> None:
    value = bytes(range(256)) * 4096
    await store.commit(Transaction(puts={"a": value, "empty": b""}))
    entries = (await store.scan("")).entries
    assert [entry.value for entry in entries] == [value, b""]


async def test_a_scan_lists_what_begins_with_the_prefix_in_order(store: Store) -> None:
    inside = ["a/", "a/b", "a/b/c", "a/z", "a/\u00e9", "a/\U0010ffff", "a/\U0010ffffz"]
    outside = ["A/b", "a", "a.b", "a0", "b/a", "%/b", "a_b"]
    for key in reversed([*inside, *outside]):
        await store.commit(Transaction(puts={key: b"x"}))
    assert await keys(store, "a/") == inside
    assert await keys(store, "") == sorted([*inside, *outside])
    assert await keys(store, "c") == []


# ---- compares ----------------------------------------------------------------------------------------------


async def test_a_failed_compare_writes_nothing_at_all(store: Store) -> None:
    revision = await put(store, a="1", b="1")
    for compares in ({"a": revision - 1}, {"a": 0}, {"a": revision, "b": revision + 1}, {"new": revision}):
        with pytest.raises(ConflictError):
            await store.commit(Transaction(compares, {"a": b"2", "c": b"2"}, frozenset(["b"])))
    listing = await store.scan("")
    assert listing.revision == revision
    assert [(entry.key, entry.value) for entry in listing.entries] == [("a", b"1"), ("b", b"1")]


async def test_a_compare_that_holds_writes_all(store: Store) -> None:
    revision = await put(store, a="1", b="1")
    after = await store.commit(
        Transaction({"a": revision, "b": revision, "c": 0}, {"a": b"2", "c": b"2"}, frozenset(["b"]))
    )
    entries = (await store.scan("")).entries
    assert [(entry.key, entry.value, entry.revision) for entry in entries] == [
        ("a", b"2", after),
        ("c", b"2", after),
    ]


async def test_of_many_that_create_a_key_at_once_one_succeeds(store: Store) -> None:
    def create(number: int) -> Transaction:
        return Transaction(compares={"a": 0}, puts={"a": str(number).encode()})

    outcomes = await asyncio.gather(*(store.commit(create(n)) for n in range(50)), return_exceptions=True)
    winners = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, int)]
    assert len(winners) == 1
    assert sum(isinstance(outcome, ConflictError) for outcome in outcomes) == 49
    entry = await store.get("a")
    assert entry is not None
    assert entry.value == str(winners[0]).encode()


async def test_concurrent_increments_are_all_counted(store: Store) -> None:
    await put(store, n="0")

    async def increment() -> None:
        while True:
            entry = await store.get("n")
            assert entry is not None
            with suppress(ConflictError):
                value = str(int(entry.value) + 1).encode()
                await store.commit(Transaction(compares={"n": entry.revision}, puts={"n": value}))
                return

    await asyncio.gather(*(increment() for _ in range(40)))
    entry = await store.get("n")
    assert entry is not None
    assert entry.value == b"40"


async def test_a_read_sees_what_was_committed_before_it(store: Store) -> None:
    writes = [asyncio.create_task(put(store, a=str(n))) for n in range(20)]
    await asyncio.sleep(0)
    read = asyncio.create_task(store.get("a"))
    entry = await read
    assert entry is not None
    assert entry.value == b"19"
    await asyncio.gather(*writes)


async def test_whoever_gives_up_on_a_commit_does_not_undo_it(store: Store) -> None:
    task = asyncio.create_task(put(store, a="1"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.get("a") is not None


# ---- watches -----------------------------------------------------------------------------------------------


async def test_a_watch_tells_past_and_coming_changes_in_order(store: Store) -> None:
    start = await put(store, a="0")
    first = await put(store, a="1")
    changes = store.watch("", start)
    assert await take(changes, 1) == [Change("a", b"1", first)]
    upcoming = asyncio.create_task(take(changes, 3))
    second = await put(store, a="2", b="2")
    third = await delete(store, "a")
    assert await upcoming == [
        Change("a", b"2", second),
        Change("b", b"2", second),
        Change("a", None, third),
    ]


async def test_a_watch_tells_its_prefix_only(store: Store) -> None:
    changes = store.watch("a/", 0)
    for key in ("a", "a/1", "b/1", "a/2"):
        await store.commit(Transaction(puts={key: b"x"}))
    assert [change.key for change in await take(changes, 2)] == ["a/1", "a/2"]


async def test_a_watch_from_a_revision_to_come_tells_nothing_before(store: Store) -> None:
    revision = await put(store, a="0")
    changes = asyncio.create_task(take(store.watch("", revision + 2), 1))
    for number in range(1, 5):
        await put(store, a=str(number))
    assert (await changes)[0].value == b"3"


async def test_a_listing_and_a_watch_from_its_revision_miss_nothing(store: Store) -> None:
    writes = [asyncio.create_task(put(store, **{f"k{n:02}": "x"})) for n in range(60)]
    await asyncio.wait(writes, return_when=asyncio.FIRST_COMPLETED)
    listing = await store.scan("k")
    seen = {entry.key for entry in listing.entries}
    changes = store.watch("k", listing.revision)
    for change in await take(changes, 60 - len(seen)):
        assert change.key not in seen
        seen.add(change.key)
    assert len(seen) == 60
    await asyncio.gather(*writes)


async def test_a_watch_is_told_of_a_transaction_once_it_stands(store: Store) -> None:
    changes = store.watch("", 0)
    upcoming = asyncio.create_task(take(changes, 1))
    await put(store, a="1")
    (change,) = await upcoming
    entry = await store.get("a")
    assert entry is not None
    assert entry.revision == change.revision


async def test_a_watch_from_forgotten_revisions_is_refused(store: Store) -> None:
    for _ in range(5):
        await store.commit(Transaction(puts={f"k{n}": b"x" for n in range(KEPT // 2)}))
    with pytest.raises(CompactedError, match="list again"):
        await take(store.watch("", 0), 1)
    assert await take(store.watch("", (await store.scan("")).revision - 1), KEPT // 2)


async def test_a_watch_from_before_a_restart_is_refused(engine: Open, tmp_path: Path) -> None:
    before = await engine(tmp_path)
    await put(before, a="1")
    await before.close()
    after = await engine(tmp_path)
    with pytest.raises(CompactedError):
        await take(after.watch("", 0), 1)
    await after.close()


# ---- the end, and after it ---------------------------------------------------------------------------------


async def test_a_reopened_store_holds_all_and_counts_on(engine: Open, tmp_path: Path) -> None:
    store = await engine(tmp_path)
    await asyncio.gather(*(put(store, **{f"k{n}": str(n)}) for n in range(100)))
    await delete(store, "k7")
    before = await store.scan("")
    await store.close()
    store = await engine(tmp_path)
    assert await store.scan("") == before
    assert await put(store, new="1") == before.revision + 1
    await store.close()


async def test_close_finishes_what_is_queued(engine: Open, tmp_path: Path) -> None:
    store = await engine(tmp_path)
    writes = [asyncio.create_task(put(store, **{f"k{n}": "x"})) for n in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*writes)
    store = await engine(tmp_path)
    assert len(await keys(store, "k")) == 20
    await store.close()


async def test_a_closed_store_says_so(engine: Open, tmp_path: Path) -> None:
    store = await engine(tmp_path)
    watch = asyncio.create_task(take(store.watch("", 0), 1))
    await asyncio.sleep(0)
    await store.close()
    await store.close()
    for refused in (watch, put(store, a="1"), store.get("a"), store.scan("")):
        with pytest.raises(StoreError, match="closed"):
            await refused


async def test_a_store_in_use_is_refused(engine: Open, tmp_path: Path) -> None:
    store = await engine(tmp_path)
    with pytest.raises(StoreError, match="in use by another process: stop that controller first"):
        await engine(tmp_path)
    await put(store, a="1")
    await store.close()
