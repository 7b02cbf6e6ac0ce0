# SPDX-License-Identifier: Apache-2.0
"""Packets that wait: against lists without limits, and at the limits."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from control import held
from control.held import Held

PAIRS = st.sampled_from("abc")


class HeldMachine(RuleBasedStateMachine):
    """Few packets: nothing is dropped, and every pair keeps its order."""

    def __init__(self) -> None:
        super().__init__()
        self.held = Held[str, bytes](len)
        self.model: dict[str, list[bytes]] = {}
        self.number = 0

    @rule(pair=PAIRS, octets=st.integers(4, 1500))
    def add(self, pair: str, octets: int) -> None:
        packet = self.number.to_bytes(4) + bytes(octets - 4)
        self.number += 1
        assert self.held.add(pair, packet) == (pair not in self.model)
        self.model.setdefault(pair, []).append(packet)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        pair = data.draw(st.sampled_from(sorted(self.model)))
        waiting = self.model[pair]
        assert self.held.take(pair) == (waiting.pop(0) if waiting else None)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        pair = data.draw(st.sampled_from(sorted(self.model)))
        self.held.drop(pair)
        del self.model[pair]

    @invariant()
    def counts_what_it_holds(self) -> None:
        assert self.held._octets == sum(len(packet) for waiting in self.model.values() for packet in waiting)


TestHeld = HeldMachine.TestCase


def test_a_pair_holds_so_many_packets():
    packets = Held[str, bytes](len)
    for _ in range(held.PER_PAIR + 1):
        packets.add("a", b"x")
    for _ in range(held.PER_PAIR):
        assert packets.take("a") == b"x"
    assert packets.take("a") is None


def test_so_many_pairs_wait():
    packets = Held[int, bytes](len)
    assert all(packets.add(pair, b"x") for pair in range(held.PAIRS))
    assert not packets.add(held.PAIRS, b"x")
    packets.drop(0)
    assert packets.add(held.PAIRS, b"x")


def test_all_together_hold_so_many_octets():
    packets = Held[int, int](lambda octets: octets)
    assert packets.add(1, held.OCTETS)
    assert not packets.add(2, 1)
    assert packets.take(1) == held.OCTETS
    assert packets.add(2, 1)
