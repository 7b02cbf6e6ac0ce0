# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from dataplane.bpf.number_set import NumberSet

LIMIT = 40
numbers = st.integers(0, LIMIT - 1)


@given(st.sets(numbers), st.lists(st.tuples(st.booleans(), numbers)))
def test_it_holds_what_a_set_holds(given: set[int], changes: list[tuple[bool, int]]) -> None:
    ours, model = NumberSet(LIMIT, given), set(given)
    for add, number in changes:
        (ours.add if add else ours.remove)(number)
        (model.add if add else model.discard)(number)
    assert list(ours.rising()) == sorted(model)
    assert len(ours) == len(model)
    assert ours.end == max(model, default=-1) + 1
    assert {number for number in range(LIMIT) if number in ours} == model


def test_going_through_it_sees_no_change() -> None:
    ours = NumberSet(LIMIT, [3, 5])
    rising = ours.rising()
    ours.remove(5)
    ours.add(7)
    assert list(rising) == [3, 5]
