# SPDX-License-Identifier: Apache-2.0
"""A shorter pipeline leads each packet through the same tables, and asks less on the way."""

from __future__ import annotations

import copy
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from tools.bmv2_expressions import Operand
from tools.bmv2_flow import Flow, Known, Node

FIELDS: Final = ("a", "b", "c")
END: Final = None
State = dict[str, int]


def _field(name: str) -> Operand:
    return {"type": "field", "value": ["h", name]}


def _step(op: str, left: Operand | None, right: Operand) -> Operand:
    return {"type": "expression", "value": {"op": op, "left": left, "right": right}}


def _is(name: str, value: int, op: str = "==") -> Operand:
    return _step(op, _field(name), {"type": "hexstr", "value": hex(value)})


def _assign(name: str, source: Operand) -> Node:
    return {"op": "assign", "parameters": [_field(name), source]}


def _constant(name: str, value: int) -> Node:
    return _assign(name, {"type": "hexstr", "value": hex(value)})


def _condition(name: str, expression: Operand, true: str | None, false: str | None) -> Node:
    return {"name": name, "id": 0, "expression": expression, "true_next": true, "false_next": false}


def _table(name: str, ways: dict[str, str | None], numbers: list[int]) -> Node:
    return {
        "name": name,
        "actions": list(ways),
        "action_ids": numbers,
        "next_tables": ways,
        "default_entry": {"action_id": numbers[0]},
        "base_default_next": next(iter(ways.values())),
    }


QUESTIONS: Final = st.recursive(
    st.builds(_is, st.sampled_from(FIELDS), st.integers(0, 2), st.sampled_from(["==", "!=", "<="]))
    | st.builds(lambda name: _step("d2b", None, _field(name)), st.sampled_from(FIELDS)),
    lambda inner: (
        st.builds(_step, st.sampled_from(["and", "or"]), inner, inner)
        | st.builds(lambda part: _step("not", None, part), inner)
    ),
    max_leaves=5,
)
CALLS: Final = (
    st.builds(_constant, st.sampled_from(FIELDS), st.integers(0, 2))
    | st.builds(lambda to, of: _assign(to, _field(of)), st.sampled_from(FIELDS), st.sampled_from(FIELDS))
    | st.just({"op": "_jump_if_zero", "parameters": [_field("a"), {"type": "hexstr", "value": "0x3"}]})
    | st.just({"op": "count", "parameters": []})
)


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[Node, dict[int, Node]]:
    """Conditions and tables, each leading to later ones, with up to two actions for a table."""
    length = draw(st.integers(2, 9))
    names = [f"n{number}" for number in range(length)]
    pipeline: Node = {"init_table": "n0", "tables": [], "conditionals": []}
    actions: dict[int, Node] = {}
    for number, name in enumerate(names):
        later = st.sampled_from([*names[number + 1 :], END])
        if draw(st.booleans()):
            condition = _condition(name, draw(QUESTIONS), draw(later), draw(later))
            pipeline["conditionals"].append(condition)
            continue
        ways = {f"{name}-{outcome}": draw(later) for outcome in range(draw(st.integers(1, 2)))}
        numbers = [len(actions) + offset for offset in range(len(ways))]
        for action in numbers:
            actions[action] = {"primitives": draw(st.lists(CALLS, max_size=4))}
        pipeline["tables"].append(_table(name, ways, numbers))
    return pipeline, actions


def _true(operand: Operand, state: State) -> bool:
    step = operand["value"]
    left, right = step["left"], step["right"]
    match step["op"]:
        case "and":
            return _true(left, state) and _true(right, state)
        case "or":
            return _true(left, state) or _true(right, state)
        case "not":
            return not _true(right, state)
        case "d2b":
            return state[right["value"][1]] != 0
    value, other = state[left["value"][1]], int(right["value"], 16)
    return {"==": value == other, "!=": value != other, "<=": value <= other}[step["op"]]


def _call(primitives: list[Node], state: State) -> None:
    at = 0
    while at < len(primitives):
        call = primitives[at]
        at += 1
        if call["op"] == "_jump_if_zero" and state["a"] == 0:
            at = max(at, 3)
        if call["op"] == "assign":
            target, source = call["parameters"]
            number = int(source["value"], 16) if source["type"] == "hexstr" else state[source["value"][1]]
            state[target["value"][1]] = number


def _way(pipeline: Node, actions: dict[int, Node], state: State, choices: list[int]) -> tuple[list[Any], int]:
    """The tables and actions on the way of a packet with the last state, and how often it was asked."""
    tables = {table["name"]: table for table in pipeline["tables"]}
    conditions = {condition["name"]: condition for condition in pipeline["conditionals"]}
    state, seen, asked = dict(state), [], 0
    at = pipeline["init_table"]
    while at is not None:
        if at in conditions:
            asked += 1
            true = _true(conditions[at]["expression"], state)
            at = conditions[at]["true_next" if true else "false_next"]
            continue
        table = tables[at]
        chosen = choices[len(seen)] % len(table["actions"])
        _call(actions[table["action_ids"][chosen]]["primitives"], state)
        seen.append((at, chosen, dict(state)))
        at = table["next_tables"][table["actions"][chosen]]
    return seen, asked


@given(
    pipelines(),
    st.lists(st.integers(0, 2), min_size=3, max_size=3),
    st.lists(st.integers(0, 1), min_size=9, max_size=9),
)
def test_each_packet_goes_the_same_way(
    program: tuple[Node, dict[int, Node]], values: list[int], choices: list[int]
) -> None:
    pipeline, actions = program
    state = dict(zip(FIELDS, values, strict=True))
    before = _way(copy.deepcopy(pipeline), actions, state, choices)[0]
    Flow(pipeline, actions, {("h", "a"): Known(state["a"])}).shorten()
    assert _way(pipeline, actions, state, choices)[0] == before


def _shortened(first: Operand, second: Operand, primitives: list[Node]) -> Node:
    """A condition, a table behind it in any case, and another condition."""
    pipeline: Node = {
        "init_table": "c1",
        "tables": [_table("t", {"act": "c2"}, [0]), _table("yes", {"act": END}, [1])],
        "conditionals": [_condition("c1", first, "t", END), _condition("c2", second, "yes", END)],
    }
    Flow(pipeline, {0: {"primitives": primitives}, 1: {"primitives": []}}, {}).shorten()
    return pipeline


def test_what_a_condition_has_settled_is_not_asked_again() -> None:
    pipeline = _shortened(_is("a", 1), _is("a", 2, "!="), [])
    assert len(pipeline["conditionals"]) == 1
    assert pipeline["tables"][0]["next_tables"] == {"act": "yes"}


def test_what_an_action_sets_is_not_asked() -> None:
    pipeline = _shortened(_is("a", 1), _is("b", 1), [_constant("b", 0)])
    assert pipeline["tables"][0]["next_tables"] == {"act": END}
    assert pipeline["tables"][1]["next_tables"] == {"act": END}


def test_what_an_action_may_set_is_asked() -> None:
    jump = {"op": "_jump_if_zero", "parameters": [_field("c"), {"type": "hexstr", "value": "0x2"}]}
    pipeline = _shortened(_is("a", 1), _is("a", 1), [jump, _constant("a", 0)])
    assert len(pipeline["conditionals"]) == 2


def test_the_validity_of_a_header_is_known_behind_an_action() -> None:
    valid = _step("d2b", None, {"type": "field", "value": ["h", "$valid$"]})
    remove = {"op": "remove_header", "parameters": [{"type": "header", "value": "h"}]}
    assert _shortened(_is("a", 1), valid, [remove])["tables"][0]["next_tables"] == {"act": END}


def test_the_parts_of_a_condition_that_are_left_are_one_condition() -> None:
    parts = _step("and", _step("and", _is("a", 1), _is("b", 1)), _is("c", 1))
    pipeline = _shortened(_is("a", 1), parts, [])
    left = pipeline["conditionals"][1]["expression"]
    assert left == _step("and", _is("b", 1), _is("c", 1))
    assert [condition["id"] for condition in pipeline["conditionals"]] == [0, 1]
