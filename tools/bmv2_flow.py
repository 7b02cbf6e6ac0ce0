# SPDX-License-Identifier: Apache-2.0
"""The way of a packet through a pipeline of the software switch BMv2, past questions that are answered.

BMv2 computes all parts of a condition for each packet, also where the first has decided, and asks again what
tables, actions and conditions before have settled. Here conditions are asked part by part, and none where it
is known how it comes out. A pipeline has no loops: one walk in the order of its tables is enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import reduce
from graphlib import TopologicalSorter
from itertools import count
from typing import Any, Final, NamedTuple

from tools.bmv2_expressions import Operand

Place = tuple[str, str]
"""A field, by its header's name and its own."""

Node = dict[str, Any]
"""A table or a condition, as BMv2 reads it."""

_VALID: Final = "$valid$"

_OFTEN: Final = 20
"""A condition has one copy for each set of facts about the fields that more parts than these ask for."""

_VALIDITY: Final = {"add_header": 1, "add_header_fast": 1, "remove_header": 0}
_HARMLESS: Final = frozenset({"count", "truncate", "exit", "generate_digest", "resubmit"})
"""Primitives that write no field."""


class Known(NamedTuple):
    """What a field is, or else what it is not."""

    value: int | None
    excluded: frozenset[int] = frozenset()

    def met(self, other: Known) -> Known | None:
        """What holds of it whichever of the two does."""
        if self == other:
            return self
        values = [known.value for known in (self, other) if known.value is not None]
        if len(values) == 2:
            return None
        apart = [known.excluded for known in (self, other) if known.value is None]
        excluded = frozenset.intersection(*apart) - set(values)
        return Known(None, excluded) if excluded else None


Facts = Mapping[Place, Known]


def _met(facts: Facts, others: Facts) -> Facts:
    both = {place: facts[place].met(others[place]) for place in facts.keys() & others.keys()}
    return {place: known for place, known in both.items() if known is not None}


class Question(NamedTuple):
    """A part of a condition that asks whether a field is a number, or is not."""

    place: Place
    value: int
    equal: bool

    def answered(self, facts: Facts) -> bool | None:
        """By what is known; None: it is not."""
        known = facts.get(self.place)
        if known is None:
            return None
        if known.value is not None:
            return (known.value == self.value) == self.equal
        return (not self.equal) if self.value in known.excluded else None

    def learnt(self, facts: Facts, answer: bool) -> Facts:
        """What is known behind it."""
        if answer == self.equal:
            return {**facts, self.place: Known(self.value)}
        before = facts.get(self.place, Known(None))
        if before.value is not None:
            return facts
        return {**facts, self.place: Known(None, before.excluded | {self.value})}


def _question(operand: Operand) -> Question | None:
    step = operand["value"]
    if operand["type"] != "expression":
        return None
    if step["op"] == "d2b" and step["right"]["type"] == "field":
        return Question(tuple(step["right"]["value"]), 0, equal=False)
    if step["op"] in ("==", "!=") and (step["left"]["type"], step["right"]["type"]) == ("field", "hexstr"):
        return Question(tuple(step["left"]["value"]), int(step["right"]["value"], 16), step["op"] == "==")
    return None


class Flow:
    """One pipeline of a program.

    Args:
        pipeline: it is changed.
        actions: of the program, by their numbers.
        begin: what is known of each packet when it comes.
    """

    def __init__(self, pipeline: Node, actions: Mapping[int, Node], begin: Facts) -> None:
        self._pipeline = pipeline
        self._actions = actions
        self._tables: dict[str, Node] = {table["name"]: table for table in pipeline["tables"]}
        self._conditions = {
            part["name"]: part for condition in pipeline["conditionals"] for part in _parts(condition)
        }
        self._begin = begin
        self._facts: dict[str, Facts] = {}  # before each table that is reached
        questions = [_question(part["expression"]) for part in self._conditions.values()]
        times = Counter(question.place for question in questions if question is not None)
        self._often = {place for place, number in times.items() if number > _OFTEN}
        self._asked: dict[tuple[str, frozenset[tuple[Place, Known]]], Node] = {}

    def shorten(self) -> None:
        """Ask less."""
        order = TopologicalSorter[str]()
        for name, node in (self._tables | self._conditions).items():
            for way in _ways(node):
                order.add(way, name)
        first = self._past(self._pipeline["init_table"], self._begin)
        for name in order.static_order():
            if name in self._facts:
                self._leave(self._tables[name], self._facts[name])
        for name in self._tables.keys() - self._facts.keys():  # never reached, but in the P4Info
            ways = dict.fromkeys(self._tables[name]["next_tables"])
            self._tables[name] |= {"next_tables": ways, "base_default_next": None}
        asked = {part["name"]: part for part in self._asked.values()}
        nodes = [*self._tables.values(), *asked.values(), {"next_tables": {"": first}}]
        entered = Counter(way for node in nodes for way in _ways(node))
        self._pipeline["init_table"] = first
        self._pipeline["conditionals"] = _joined(asked, entered)

    def _leave(self, table: Node, facts: Facts) -> None:
        names = dict(zip(table["action_ids"], table["actions"], strict=True))
        behind = {name: self._done(self._actions[number], facts) for number, name in names.items()}
        whichever = reduce(_met, behind.values())
        ways = table["next_tables"]
        for outcome, way in ways.items():
            ways[outcome] = self._past(way, behind.get(outcome, whichever))
        miss = names[table["default_entry"]["action_id"]]
        table["base_default_next"] = ways.get(miss, ways.get("__MISS__"))

    def _past(self, way: str | None, facts: Facts) -> str | None:
        """The first node on this way that is not a condition with a known answer; it will be reached so."""
        while way in self._conditions:
            part = self._conditions[way]
            question = _question(part["expression"])
            answer = question.answered(facts) if question else None
            if answer is None:
                return self._ask(part, question, facts)
            way = part["true_next" if answer else "false_next"]
        if way is not None:
            self._facts[way] = _met(self._facts[way], facts) if way in self._facts else facts
        return way

    def _ask(self, part: Node, question: Question | None, facts: Facts) -> str:
        """The part of a condition for packets of which this is known."""
        facts = {place: known for place, known in facts.items() if place in self._often}
        here = part["name"], frozenset(facts.items())
        if here not in self._asked:
            made = self._asked[here] = {**part, "name": f"{part['whole']}_{len(self._asked)}"}
            for way, answer in (("true_next", True), ("false_next", False)):
                made[way] = self._past(part[way], question.learnt(facts, answer) if question else facts)
        return str(self._asked[here]["name"])

    def _done(self, action: Node, facts: Facts) -> Facts:
        """What is known behind an action."""
        certain = True
        for call in action["primitives"]:
            if call["op"].startswith("_jump"):
                certain = False  # from here on nobody knows which calls are made
            elif call["op"] not in _HARMLESS:
                facts = _called(call, facts, certain=certain)
        return facts


def _called(call: dict[str, Any], facts: Facts, *, certain: bool) -> Facts:
    """What is known behind a primitive that writes.

    Args:
        certain: it is called in any case.
    """
    parameters = call["parameters"]
    if call["op"] == "assign":
        place, source = tuple(parameters[0]["value"]), parameters[1]
        kept = {known: fact for known, fact in facts.items() if known != place}
        if certain and source["type"] == "hexstr":
            kept[place] = Known(int(source["value"], 16))
        return kept
    kept = {known: fact for known, fact in facts.items() if known[0] != parameters[0]["value"]}
    if certain and call["op"] in _VALIDITY:
        kept[parameters[0]["value"], _VALID] = Known(_VALIDITY[call["op"]])
    return kept if call["op"] in _VALIDITY else {}


def _parts(condition: Node) -> list[Node]:
    """A condition for each part; the one that is asked first has the name of the whole."""
    parts: list[Node] = []
    counted = count(1)

    def ask(operand: Operand, true: str | None, false: str | None, name: str) -> None:
        step = operand["value"]
        if step["op"] == "not":
            ask(step["right"], false, true, name)
        elif step["op"] in ("and", "or"):
            then = f"{condition['name']}_{next(counted)}"
            if step["op"] == "and":
                ask(step["left"], then, false, name)
            else:
                ask(step["left"], true, then, name)
            ask(step["right"], true, false, then)
        else:
            part = {"name": name, "expression": operand, "true_next": true, "false_next": false}
            parts.append({**condition, **part, "whole": condition["name"]})

    ask(condition["expression"], condition["true_next"], condition["false_next"], condition["name"])
    return parts


def _joined(parts: Mapping[str, Node], entered: Mapping[str, int]) -> list[Node]:
    """Parts of one condition that are all asked, one after the other until one is false, in one again.

    Args:
        parts: by name, each before those that are asked behind it.
        entered: how many ways lead to each node.
    """
    joined: set[str] = set()
    for part in reversed(list(parts.values())):
        then = parts.get(part["true_next"])
        if then is not None and entered[then["name"]] == 1 and _same(part, then, "whole", "false_next"):
            both = {"op": "and", "left": part["expression"], "right": then["expression"]}
            part |= {"expression": {"type": "expression", "value": both}, "true_next": then["true_next"]}
            joined.add(then["name"])
    left = [part for name, part in parts.items() if name not in joined]
    for number, part in enumerate(left):
        part["id"] = number
        del part["whole"]
    return left


def _same(one: Node, other: Node, *keys: str) -> bool:
    return all(one[key] == other[key] for key in keys)


def _ways(node: Node) -> list[str]:
    """Where a node leads."""
    if "next_tables" in node:
        ways = [*node["next_tables"].values(), node.get("base_default_next")]
    else:
        ways = [node["true_next"], node["false_next"]]
    return [way for way in dict.fromkeys(ways) if way is not None]
