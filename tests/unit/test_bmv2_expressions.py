# SPDX-License-Identifier: Apache-2.0
"""Simpler expressions come out as the compiler's do, of whatever is in the fields."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from tools.bmv2_expressions import Operand, Widths, simple

FIELDS: Final = {("h", "a"): 8, ("h", "b"): 16, ("h", "c"): 1}
DATA: Final = (9,)
WIDTHS: Final = Widths(FIELDS, DATA)
MASKS: Final = (0x1, 0xFF, 0xF0, 0x1FF, 0xFFFF, 0xFFFFFFFF)

STEPS: Final[dict[str, Callable[[int, int], int]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "==": lambda left, right: int(left == right),
    "<": lambda left, right: int(left < right),
}


def _field(name: str) -> Operand:
    return {"type": "field", "value": ["h", name]}


def _number(value: int) -> Operand:
    return {"type": "hexstr", "value": hex(value)}


def _step(op: str, left: Operand | None, right: Operand) -> Operand:
    return {"type": "expression", "value": {"op": op, "left": left, "right": right}}


def _cut(operand: Operand, mask: int) -> Operand:
    return _step("&", operand, _number(mask))


def _shift(op: str, operand: Operand, bits: int) -> Operand:
    return _step(op, operand, _number(bits))


OPERANDS: Final = st.recursive(
    st.sampled_from([_field(name) for _, name in FIELDS] + [{"type": "local", "value": 0}])
    | st.builds(_number, st.integers(0, 0x1FFFF)),
    lambda inner: (
        st.builds(_step, st.sampled_from(sorted(STEPS)), inner, inner)
        | st.builds(_step, st.just("~"), st.none(), inner)
        | st.builds(_shift, st.sampled_from(["<<", ">>"]), inner, st.integers(0, 20))
        | st.builds(_cut, inner, st.sampled_from(MASKS))
    ),
    max_leaves=12,
)
VALUES: Final = st.fixed_dictionaries(
    {name: st.integers(0, (1 << bits) - 1) for (_, name), bits in FIELDS.items()}
)


def _evaluated(operand: Operand, values: dict[str, int], data: int) -> int:
    """As BMv2 does, with numbers of any length."""
    value: Any = operand["value"]
    match operand["type"]:
        case "hexstr":
            return int(value, 16)
        case "field":
            return values[value[1]]
        case "local":
            return data
    right = _evaluated(value["right"], values, data)
    if value["op"] == "~":
        return ~right
    left = _evaluated(value["left"], values, data)
    shifts = {"<<": operator.lshift, ">>": operator.rshift}
    return {**STEPS, **shifts}[value["op"]](left, right)


def _steps(operand: Operand) -> int:
    if operand["type"] != "expression":
        return 0
    sides = (operand["value"]["left"], operand["value"]["right"])
    return 1 + sum(_steps(side) for side in sides if side is not None)


@given(OPERANDS, VALUES, st.integers(0, 511))
def test_the_result_is_the_same(operand: Operand, values: dict[str, int], data: int) -> None:
    found = simple(operand, WIDTHS)
    assert _evaluated(found, values, data) == _evaluated(operand, values, data)
    assert _steps(found) <= _steps(operand)


@given(OPERANDS, VALUES, st.integers(0, 511), st.integers(1, 40))
def test_the_wanted_bits_are_the_same(
    operand: Operand, values: dict[str, int], data: int, wanted: int
) -> None:
    found = simple(operand, WIDTHS, wanted)
    assert (_evaluated(found, values, data) - _evaluated(operand, values, data)) % (1 << wanted) == 0


@given(OPERANDS, VALUES, st.integers(0, 511))
def test_nothing_is_larger_than_it_is_said_to_be(operand: Operand, values: dict[str, int], data: int) -> None:
    largest = WIDTHS.largest(operand)
    assert largest is None or 0 <= _evaluated(operand, values, data) <= largest


def test_a_cut_to_the_width_of_a_field_is_left_out() -> None:
    assert simple(_cut(_field("a"), 0xFF), WIDTHS) == _field("a")
    assert simple(_cut(_field("b"), 0xFF), WIDTHS) == _cut(_field("b"), 0xFF)


def test_a_sum_that_stays_within_its_type_is_not_cut() -> None:
    total = _step("+", _cut(_field("a"), 0xFFFFFFFF), _number(0x14))
    assert simple(_cut(total, 0xFFFFFFFF), WIDTHS) == _step("+", _field("a"), _number(0x14))


def test_what_may_be_negative_is_cut() -> None:
    difference = _cut(_step("-", _field("a"), _field("b")), 0xFFFF)
    assert simple(difference, WIDTHS) == difference


def test_the_field_that_it_goes_to_cuts_a_result() -> None:
    difference = _step("-", _field("a"), _number(1))
    assert simple(_cut(difference, 0xFF), WIDTHS, 8) == difference
