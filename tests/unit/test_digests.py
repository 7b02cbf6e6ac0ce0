# SPDX-License-Identifier: Apache-2.0
"""The digest buffer against the pseudo-code of the P4Runtime specification, "DigestEntry"."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dataplane.p4runtime.digests import MOST_UNACKNOWLEDGED, MOST_WAITING, DigestBuffer, DigestConfig

messages = st.integers(0, 9).map(lambda n: bytes([n]))
configs = st.builds(
    DigestConfig,
    max_timeout_ns=st.sampled_from([0, 5, 50]),
    max_list_size=st.integers(0, 4),
    ack_timeout_ns=st.sampled_from([0, 7, 100]),
)


class Digests(RuleBasedStateMachine):
    """A buffer, and what the specification says of it in the plainest words."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.config = DigestConfig(5, 2, 7)
        self.buffer = DigestBuffer(self.config)
        self.waiting: list[tuple[int, bytes]] = []
        self.sent: list[tuple[int, int, bytes]] = []  # list id, when, message
        self.lists = 0

    def cache(self) -> set[bytes]:
        return {m for _, at, m in self.sent if self.now - at < self.config.ack_timeout_ns}

    @rule(message=messages)
    def take(self, message: bytes) -> None:
        if message not in self.cache() and message not in [m for _, m in self.waiting]:
            self.waiting.append((self.now, message))
        self.buffer.take(message, self.now)

    @rule(taken=st.booleans())
    def send(self, taken: bool) -> None:
        size = self.config.max_list_size or MOST_WAITING
        full = len(self.waiting) >= size
        late = self.waiting and self.now - self.waiting[0][0] >= self.config.max_timeout_ns
        expected = self.waiting[:size] if full or late else []
        self.waiting = self.waiting[len(expected) :]
        found = self.buffer.next_list(self.now)
        assert list(found) == [m for _, m in expected]
        if found and taken:
            self.lists += 1
            self.buffer.sent(self.lists, found, self.now)
            if self.config.ack_timeout_ns:
                self.sent += [(self.lists, self.now, m) for m in found]

    @precondition(lambda self: self.lists)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        list_id = data.draw(st.integers(1, self.lists + 1))
        self.buffer.acknowledge(list_id)
        self.sent = [s for s in self.sent if s[0] != list_id]

    @rule(nanoseconds=st.integers(1, 60))
    def wait(self, nanoseconds: int) -> None:
        self.now += nanoseconds

    @rule()
    def another_primary(self) -> None:
        self.buffer.forget()
        self.sent = []

    @rule(config=configs)
    def modify(self, config: DigestConfig) -> None:
        self.sent = [
            s for s in self.sent if self.now - s[1] < self.config.ack_timeout_ns
        ]  # what was forgotten stays so
        self.config = config
        self.buffer.configure(config, self.now)

    @invariant()
    def a_list_is_due_only_when_something_waits(self) -> None:
        due = self.buffer.due_ns()
        assert (due is None) == (not self.waiting)
        if due is not None:
            assert self.waiting[0][0] <= due <= self.waiting[0][0] + self.config.max_timeout_ns


TestDigests = Digests.TestCase


def test_each_message_is_its_own_list_when_none_may_wait() -> None:
    buffer = DigestBuffer(DigestConfig(0, 1, 0))
    for number in range(3):
        buffer.take(b"same", number)
        assert buffer.next_list(number) == (b"same",)
        buffer.sent(number, (b"same",), number)


def test_what_is_not_limited_has_a_limit() -> None:
    buffer = DigestBuffer(DigestConfig(10**18, 0, 10**18))
    numbers = [n.to_bytes(4, "big") for n in range(MOST_UNACKNOWLEDGED + 2 * MOST_WAITING)]
    for number in numbers[:-MOST_WAITING]:
        buffer.take(number, 0)
        if found := buffer.next_list(0):
            assert len(found) == MOST_WAITING
            buffer.sent(int.from_bytes(found[0], "big"), found, 0)
    buffer.take(numbers[0], 0)  # the oldest list was forgotten
    buffer.take(numbers[MOST_WAITING], 0)  # the next was not
    for number in numbers[-MOST_WAITING:]:
        buffer.take(number, 0)
    assert buffer.next_list(0) == (numbers[0], *numbers[-MOST_WAITING:-1])
