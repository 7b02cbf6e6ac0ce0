# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from dataplane.p4runtime.idle import LOOKS, SHORTEST_NS, IdleTimers

TIMEOUT = 1_000_000_000


class World:
    """Entries that count packets, and a clock."""

    def __init__(self) -> None:
        self.now = 0
        self.packets: dict[bytes, int] = {b"a": 0, b"b": 0}
        self.sooner = 0
        self.timers = IdleTimers(self.packets.get, lambda: self.now, self.hear)

    def hear(self) -> None:
        self.sooner += 1


@given(st.lists(st.tuples(st.integers(1, TIMEOUT), st.booleans()), max_size=60))
def test_never_early_and_at_most_a_quarter_late(steps: list[tuple[int, bool]]) -> None:
    world = World()
    world.timers.set(b"a", TIMEOUT)
    last = 0  # hit or notification
    for pause, hits in steps:
        target = world.now + pause
        while (due := world.timers.next_due_ns()) is not None and due <= target:
            world.now = due
            if world.timers.expired(10):
                assert world.now - last >= TIMEOUT
                last = world.now
            assert world.now - last < TIMEOUT + TIMEOUT // LOOKS + SHORTEST_NS
        world.now = target
        if hits:
            world.packets[b"a"] += 1
            last = world.now


def test_who_waits_hears_of_an_entry_that_is_due_before_the_others() -> None:
    world = World()
    world.timers.set(b"a", TIMEOUT)
    assert world.sooner == 1
    world.timers.set(b"b", 2 * TIMEOUT)
    assert world.sooner == 1
    world.timers.set(b"b", TIMEOUT // 2)
    assert world.sooner == 2


def test_entries_that_are_gone_are_forgotten() -> None:
    world = World()
    world.timers.set(b"a", TIMEOUT)
    world.timers.set(b"b", TIMEOUT)
    del world.packets[b"a"]
    world.now = 2 * TIMEOUT
    assert world.timers.expired(10) == [b"b"]
    assert len(world.timers) == 1


def test_an_entry_that_is_set_anew_has_one_timer() -> None:
    world = World()
    for _ in range(3):
        world.timers.set(b"a", TIMEOUT)
    world.now = TIMEOUT
    assert world.timers.expired(10) == [b"a"]
    world.timers.set(b"a", 0)
    world.now = 5 * TIMEOUT
    assert world.timers.expired(10) == []
    assert world.timers.next_due_ns() is None


def test_work_is_done_in_portions() -> None:
    world = World()
    for number in range(10):
        key = bytes([number])
        world.packets[key] = 0
        world.timers.set(key, TIMEOUT)
    world.now = TIMEOUT
    assert sum(len(world.timers.expired(4)) for _ in range(3)) == 10


def test_elapsed_time_of_watched_and_unwatched_entries() -> None:
    world = World()
    world.timers.set(b"a", TIMEOUT)
    world.now = 5
    assert (world.timers.elapsed_ns(b"a"), world.timers.elapsed_ns(b"b")) == (5, 0)
    world.now = 9
    world.packets[b"a"] += 1
    assert (world.timers.elapsed_ns(b"a"), world.timers.elapsed_ns(b"b")) == (0, 4)


def test_an_entry_that_was_told_of_has_been_idle_all_the_while() -> None:
    world = World()
    world.timers.set(b"a", TIMEOUT)
    world.now = TIMEOUT
    assert world.timers.expired(10) == [b"a"]
    assert world.timers.elapsed_ns(b"a") == TIMEOUT
    world.now += TIMEOUT // 2
    assert world.timers.elapsed_ns(b"a") == TIMEOUT + TIMEOUT // 2
    assert world.timers.expired(10) == []
