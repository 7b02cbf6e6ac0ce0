# SPDX-License-Identifier: Apache-2.0
"""When a node counts as flooded, and when that is over."""

from __future__ import annotations

from control.floods import RATE, WINDOW, Floods
from control.records import Node

SW = Node("sw", 3)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def window(floods: Floods, clock: Clock, rate: float) -> list[bool]:
    """Questions at an even rate for as long as is counted."""
    begin, count = clock.now, int(rate * WINDOW)
    answers = []
    for number in range(count):
        clock.now = begin + WINDOW * number / count
        answers.append(floods.asked(SW))
    clock.now = begin + WINDOW
    return answers


def test_a_flood_is_told_while_it_lasts() -> None:
    clock = Clock()
    floods = Floods(clock)
    assert not any(window(floods, clock, RATE - 1))
    assert not floods.state_of(SW)
    assert sum(window(floods, clock, 10 * RATE)) == 9 * RATE * WINDOW  # the first do not look like one yet
    assert "packets a second of" in floods.state_of(SW)
    assert all(window(floods, clock, RATE - 1))
    assert floods.state_of(SW)  # it must not flicker
    window(floods, clock, RATE / 4)
    assert not floods.state_of(SW)


def test_a_flood_that_simply_ends_is_over() -> None:
    clock = Clock()
    floods = Floods(clock)
    window(floods, clock, 10 * RATE)
    assert floods.state_of(SW)
    clock.now += WINDOW
    assert not floods.state_of(SW)
    assert not floods.state_of(Node("other", 4))
