# SPDX-License-Identifier: Apache-2.0
"""Expressions of a program for the software switch BMv2, without steps that change nothing.

BMv2 takes each step of an expression for each packet, with numbers of any length. The compiler cuts each
result to the width of its type with ``&``; that is left out here where the result cannot be wider, or where
what comes behind cuts it off.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Operand = dict[str, Any]
"""A field, a constant, a parameter or a step, as BMv2 reads it."""

_LARGEST: Final[dict[str, Callable[[int, int], int]]] = {
    "&": min,
    "|": lambda left, right: _ones(max(left, right).bit_length()),
    "^": lambda left, right: _ones(max(left, right).bit_length()),
    "+": operator.add,
    "*": operator.mul,
    "<<": operator.lshift,
}
"""Of steps whose result is never negative, how large it can be."""

_TRUTH: Final = frozenset({"==", "!=", "<", ">", "<=", ">=", "and", "or", "not", "d2b", "b2d"})

_FROM_BELOW: Final = frozenset({"+", "-", "*", "&", "|", "^", "~"})
"""Steps whose lowest bits come from as many bits of both operands."""


class Widths:
    """How wide the operands of expressions are.

    Args:
        fields: bits of each field, by header and name.
        data: bits of the parameters of the action that an expression is in.
    """

    def __init__(self, fields: Mapping[tuple[str, str], int], data: Sequence[int] = ()) -> None:
        self._fields = fields
        self._data = data

    def largest(self, operand: Operand) -> int | None:
        """The largest number that an operand can be; None: not known, or it may be negative."""
        kind, value = operand["type"], operand["value"]
        if kind == "hexstr":
            return int(value, 16)
        if kind == "field" and (value[0], value[1]) in self._fields:
            return _ones(self._fields[value[0], value[1]])
        if kind == "local":
            return _ones(self._data[value])
        if kind == "expression":
            return self._largest_result(value) if "op" in value else self.largest(value)
        return None

    def _largest_result(self, step: dict[str, Any]) -> int | None:
        if step["op"] in _TRUTH:
            return 1
        if step["op"] not in _LARGEST or (step["op"] == "<<" and step["right"]["type"] != "hexstr"):
            return None
        left, right = self.largest(step["left"]), self.largest(step["right"])
        return None if left is None or right is None else _LARGEST[step["op"]](left, right)


def simple(operand: Operand, widths: Widths, wanted: int | None = None) -> Operand:
    """The operand with no cut that is not needed.

    Args:
        widths: of all that is in it.
        wanted: number of its lowest bits that count; the others may come out otherwise. None: all count.
    """
    if operand["type"] != "expression":
        return operand
    step = operand["value"]
    if "op" not in step:
        return simple(step, widths, wanted)
    if step["op"] == "&" and step["right"]["type"] == "hexstr":
        return _cut(step["left"], int(step["right"]["value"], 16), widths, wanted)
    below = wanted if step["op"] in _FROM_BELOW else None
    sides = {side: simple(step[side], widths, below) for side in ("left", "right", "cond") if step.get(side)}
    return {"type": "expression", "value": {**step, **sides}}


def _cut(operand: Operand, mask: int, widths: Widths, wanted: int | None) -> Operand:
    """``operand & mask``, or the operand alone."""
    bits = mask.bit_length() if wanted is None else min(wanted, mask.bit_length())
    inner = simple(operand, widths, bits)
    largest = widths.largest(inner)
    if wanted is not None and not ~mask & _ones(wanted):
        return inner
    if largest is not None and not ~mask & _ones(largest.bit_length()):
        return inner
    step = inner["value"]
    if inner["type"] == "expression" and step["op"] == "&" and step["right"]["type"] == "hexstr":
        inner, mask = step["left"], mask & int(step["right"]["value"], 16)
    right = {"type": "hexstr", "value": hex(mask)}
    return {"type": "expression", "value": {"op": "&", "left": inner, "right": right}}


def _ones(bits: int) -> int:
    return (1 << bits) - 1
