# SPDX-License-Identifier: Apache-2.0
"""Address changes from node to node: the codec, what is believed, and what is sent again."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dataplane.agent.change import (
    RETRY_SECONDS,
    Acknowledged,
    ChangeError,
    ChangeExchange,
    PeerMoved,
    decode_locators,
    encode_locators,
)
from dataplane.agent.locators import MAX_LOCATORS
from moorline.paths import Locator

KEY = bytes(range(32))
A, B = 1, 2
HERE = (Locator(bytes([192, 0, 2, 1]), 2, "", 1500),)
THERE = (Locator(bytes([192, 0, 2, 9]), 2, "", 1500), Locator(bytes(15) + b"\7", 3, "", 9000))

locators = st.lists(
    st.builds(
        Locator,
        st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)),
        st.integers(0, 511),
        st.just(""),
        st.integers(0, 0xFFFF),
    ),
    max_size=MAX_LOCATORS,
).map(tuple)


def pair(key: bytes = KEY) -> tuple[ChangeExchange, ChangeExchange]:
    one, other = ChangeExchange(A), ChangeExchange(B)
    one.set_key(B, KEY)
    other.set_key(A, key)
    return one, other


def told(exchange: ChangeExchange, generation: int, where: tuple[Locator, ...], now: float = 0.0) -> bytes:
    exchange.announce(generation, where, now)
    ((_, datagram),) = exchange.due(now)
    return datagram


# ---- codec -------------------------------------------------------------------------------------------------


@given(locators)
def test_locators_come_back(found: tuple[Locator, ...]) -> None:
    assert decode_locators(encode_locators(found)) == found


def test_too_many_locators_and_jumbo_mtus_are_cut() -> None:
    many = tuple(Locator(bytes([10, 0, 0, n]), 1, "eth0", 1 << 20) for n in range(MAX_LOCATORS + 4))
    decoded = decode_locators(encode_locators(many))
    assert decoded == tuple(replace(one, interface="", mtu=0xFFFF) for one in many[:MAX_LOCATORS])


@given(st.binary(max_size=80))
def test_any_octets_are_locators_or_refused(body: bytes) -> None:
    try:
        found = decode_locators(body)
    except ChangeError:
        return
    assert encode_locators(found) == body


# ---- what is believed --------------------------------------------------------------------------------------


def test_a_change_is_taken_once_and_acknowledged() -> None:
    one, other = pair()
    datagram = told(one, 5, THERE)
    received = other.receive(datagram)
    assert received.event == PeerMoved(A, 5, THERE)
    assert received.answer is not None
    assert one.receive(received.answer).event == Acknowledged(B, 5)
    assert one.next_due() is None
    assert one.receive(received.answer).event is None  # an acknowledgement has no second effect


def test_a_replay_changes_nothing() -> None:
    one, other = pair()
    old = told(one, 5, HERE)
    other.receive(old)
    again = other.receive(old)
    assert again.event is None
    assert again.answer is not None  # the first acknowledgement may have been lost
    other.receive(told(one, 6, THERE))
    late = other.receive(old)
    assert (late.event, late.answer) == (None, None)


def test_what_the_controller_said_before_is_no_news() -> None:
    one, other = pair()
    other.heard(A, 7)
    assert other.receive(told(one, 6, HERE)).event is None
    assert other.receive(told(one, 7, HERE)).event is None
    assert other.receive(told(one, 8, HERE)).event == PeerMoved(A, 8, HERE)


@given(st.data())
def test_no_altered_datagram_is_believed(data: st.DataObject) -> None:
    one, other = pair()
    datagram = told(one, 5, THERE)
    at = data.draw(st.integers(0, len(datagram) - 1))
    flipped = datagram[:at] + bytes([datagram[at] ^ data.draw(st.integers(1, 255))]) + datagram[at + 1 :]
    for forged in (flipped, datagram[:at], datagram + b"\0"):
        with pytest.raises(ChangeError):
            other.receive(forged)
    assert other.receive(datagram).event == PeerMoved(A, 5, THERE)


@given(st.binary(max_size=120))
def test_garbage_is_refused(datagram: bytes) -> None:
    with pytest.raises(ChangeError):
        pair()[1].receive(datagram)


def test_another_key_or_node_is_not_believed() -> None:
    one, other = pair(key=bytes(32))
    with pytest.raises(ChangeError, match="not authentic"):
        other.receive(told(one, 5, HERE))
    third = ChangeExchange(3)
    third.set_key(A, KEY)
    with pytest.raises(ChangeError, match="not authentic"):
        third.receive(told(one, 6, HERE))  # sealed for node 2


def test_a_message_sent_back_is_not_believed() -> None:
    one, _ = pair()
    with pytest.raises(ChangeError, match="is no neighbour"):
        one.receive(told(one, 5, HERE))


def test_a_node_that_is_a_peer_no_longer_is_not_believed() -> None:
    one, other = pair()
    datagram = told(one, 5, HERE)
    other.keep_only({A})
    assert other.receive(datagram).event == PeerMoved(A, 5, HERE)
    other.keep_only(set())
    with pytest.raises(ChangeError, match="is no neighbour"):
        other.receive(datagram)


def test_a_key_that_is_none_and_a_node_itself_are_no_peers() -> None:
    one = ChangeExchange(A)
    one.set_key(B, KEY[:31])
    one.set_key(A, KEY)
    one.announce(5, HERE, 0.0)
    assert one.due(0.0) == []


# ---- what is sent again ------------------------------------------------------------------------------------


def test_a_change_is_repeated_at_growing_distances_and_then_given_up() -> None:
    one, _ = pair()
    one.announce(5, HERE, 100.0)
    times = []
    while (due := one.next_due()) is not None:
        if one.due(due):
            times.append(due)
    assert [round(b - a, 6) for a, b in pairwise(times)] == list(RETRY_SECONDS[:-1])
    assert one.due(1e9) == []


def test_a_newer_change_takes_the_place_of_an_older() -> None:
    one, other = pair()
    first = told(one, 5, HERE)
    second = told(one, 6, THERE)
    answer = other.receive(first).answer
    assert answer is not None
    assert one.receive(answer).event is None  # that was the older one
    assert one.next_due() is not None
    assert other.receive(second).event == PeerMoved(A, 6, THERE)


def test_hurry_starts_again_for_one_peer_or_all() -> None:
    one, _ = pair()
    one.set_key(3, KEY)
    one.announce(5, HERE, 0.0)
    assert {peer for peer, _ in one.due(0.0)} == {B, 3}
    one.hurry(0.001, B)
    assert [peer for peer, _ in one.due(0.001)] == [B]
    one.hurry(0.002)
    assert {peer for peer, _ in one.due(0.002)} == {B, 3}


def test_nothing_is_sent_to_a_node_that_is_a_peer_no_longer() -> None:
    one, _ = pair()
    one.announce(5, HERE, 0.0)
    one.forget(B)
    assert one.due(0.0) == []
    one.announce(6, HERE, 0.0)
    assert one.due(0.0) == []


def test_a_key_that_is_told_again_changes_nothing_and_another_is_another_nodes() -> None:
    one, _ = pair()
    one.announce(5, HERE, 0.0)
    one.set_key(B, KEY)
    assert one.next_due() is not None
    one.set_key(B, bytes(32))
    assert one.next_due() is None


def test_another_node_id_makes_what_was_under_way_void() -> None:
    one, _ = pair()
    one.announce(5, HERE, 0.0)
    one.set_node(A)
    assert one.next_due() is not None
    one.set_node(9)
    assert one.next_due() is None


class TwoNodes(RuleBasedStateMachine):
    """Both move as they like over a network that loses, repeats and reorders."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes = dict(zip((A, B), pair(), strict=True))
        self.now = 0.0
        self.generation = {A: 0, B: 0}
        self.truth: dict[int, dict[int, tuple[Locator, ...]]] = {A: {}, B: {}}
        self.believed: dict[int, int] = {A: 0, B: 0}
        self.network: list[tuple[int, bytes]] = []

    @rule(node=st.sampled_from([A, B]), where=locators)
    def move(self, node: int, where: tuple[Locator, ...]) -> None:
        self.generation[node] += 1
        self.truth[node][self.generation[node]] = where
        self.nodes[node].announce(self.generation[node], where, self.now)

    @rule(seconds=st.floats(0, 2))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for node in self.nodes.values():
            self.network += node.due(self.now)

    @rule(data=st.data(), keep=st.booleans())
    def deliver(self, data: st.DataObject, keep: bool) -> None:
        if not self.network:
            return
        at = data.draw(st.integers(0, len(self.network) - 1))
        to, datagram = self.network[at] if keep else self.network.pop(at)
        received = self.nodes[to].receive(datagram)
        if received.answer is not None:
            self.network.append((A + B - to, received.answer))
        if isinstance(received.event, PeerMoved):
            sender, generation = received.event.peer, received.event.generation
            assert generation > self.believed[sender]
            assert received.event.locators == self.truth[sender][generation]
            self.believed[sender] = generation

    @rule()
    def lose(self) -> None:
        self.network.clear()

    @invariant()
    def nobody_is_believed_to_be_where_it_never_was(self) -> None:
        assert all(self.believed[node] <= self.generation[node] for node in (A, B))

    def teardown(self) -> None:
        for node in self.nodes.values():
            node.hurry(self.now)
        self.network.clear()
        pending = {node for node, exchange in self.nodes.items() if exchange.next_due() is not None}
        self.wait(0)
        while self.network:
            self.deliver_first()
        for node in pending:  # over a network that works, what was still to be said arrives
            assert self.believed[node] == self.generation[node]
            assert self.nodes[node].next_due() is None

    def deliver_first(self) -> None:
        to, datagram = self.network.pop(0)
        received = self.nodes[to].receive(datagram)
        if received.answer is not None:
            self.network.append((A + B - to, received.answer))
        if isinstance(received.event, PeerMoved):
            self.believed[received.event.peer] = received.event.generation


TwoNodes.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestTwoNodes = TwoNodes.TestCase
