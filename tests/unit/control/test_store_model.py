# SPDX-License-Identifier: Apache-2.0
"""Every engine of the store against a dictionary, over restarts."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from control.errors import ConflictError
from control.store.base import Change, Entry, Store, Transaction
from tests.unit.control.engines import ENGINES, Open

KEYS = st.sampled_from(["a", "a/", "a/b", "a/bb", "b", "b/a"])
TRANSACTIONS = st.builds(
    lambda guarded, puts, deletes: (guarded, puts, frozenset(deletes) - puts.keys()),
    # Of a guarded key: whether its compare is to hold.
    st.dictionaries(KEYS, st.booleans() | st.just(True), max_size=3),
    st.dictionaries(KEYS, st.binary(max_size=4), max_size=4),
    st.frozensets(KEYS, max_size=3),
)
Drawn = tuple[dict[str, bool], dict[str, bytes], frozenset[str]]


class Machine(RuleBasedStateMachine):
    """``entries`` and ``changes`` are what the store must hold, and must have told."""

    engine: Open

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.entries: dict[str, Entry] = {}
        self.changes: list[Change] = []
        self.revision = 0
        self.opened_at = 0
        self.store: Store = self.open()

    def open(self) -> Store:
        return self.runner.run(self.engine(Path(self.folder.name)))

    @rule(drawn=st.lists(TRANSACTIONS, min_size=1, max_size=5))
    def commit(self, drawn: list[Drawn]) -> None:
        """Several at once, as tasks do; the store takes them in order."""
        transactions = []
        expected: list[int | None] = []
        for guarded, puts, deletes in drawn:
            compares = {key: self.revision_of(key) + (not holds) for key, holds in guarded.items()}
            transactions.append(Transaction(compares, puts, deletes))
            expected.append(self.apply(puts, deletes) if all(guarded.values()) else None)
        outcomes = self.runner.run(self.commit_all(transactions))
        for outcome, revision in zip(outcomes, expected, strict=True):
            assert isinstance(outcome, ConflictError) if revision is None else outcome == revision

    async def commit_all(self, transactions: list[Transaction]) -> list[int | BaseException]:
        return await asyncio.gather(*map(self.store.commit, transactions), return_exceptions=True)

    def revision_of(self, key: str) -> int:
        entry = self.entries.get(key)
        return entry.revision if entry else 0

    def apply(self, puts: dict[str, bytes], deletes: frozenset[str]) -> int:
        revision = self.revision + 1
        changes = [Change(key, value, revision) for key, value in puts.items()]
        changes += [Change(key, None, revision) for key in sorted(deletes) if key in self.entries]
        if changes:
            self.revision = revision
        for change in changes:
            if change.value is None:
                del self.entries[change.key]
            else:
                self.entries[change.key] = Entry(change.key, change.value, revision)
        self.changes += changes
        return self.revision

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.store.close())
        self.store = self.open()
        self.opened_at = self.revision

    @rule(prefix=st.sampled_from(["", "a", "a/", "a/b", "c"]))
    def scan(self, prefix: str) -> None:
        listing = self.runner.run(self.store.scan(prefix))
        assert listing.revision == self.revision
        assert listing.entries == tuple(e for k, e in sorted(self.entries.items()) if k.startswith(prefix))

    @rule(prefix=st.sampled_from(["", "a", "a/"]), back=st.integers(0, 20))
    def watch(self, prefix: str, back: int) -> None:
        after = max(self.opened_at, self.revision - back)
        expected = [c for c in self.changes if c.revision > after and c.key.startswith(prefix)]
        assert self.runner.run(self.told(prefix, after, len(expected))) == expected

    async def told(self, prefix: str, after: int, count: int) -> list[Change]:
        changes = self.store.watch(prefix, after)
        async with asyncio.timeout(10):
            return [await anext(changes) for _ in range(count)]

    @invariant()
    def each_key_is_as_it_was_written(self) -> None:
        async def get_all() -> dict[str, Entry | None]:
            return {key: await self.store.get(key) for key in ("a", "a/b", "b/a")}

        if hasattr(self, "store"):
            assert self.runner.run(get_all()) == {key: self.entries.get(key) for key in ("a", "a/b", "b/a")}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.runner.run(self.store.close())
            self.runner.close()
            self.folder.cleanup()


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES.keys())
def test_the_store_does_as_a_dictionary(engine: Open) -> None:
    machine = type("EngineMachine", (Machine,), {"engine": staticmethod(engine)})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=40, stateful_step_count=20, deadline=None)
    )
