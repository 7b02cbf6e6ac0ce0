# SPDX-License-Identifier: Apache-2.0
"""A program for the software switch BMv2 as the compiler writes it, made quicker and fit to be checked in.

BMv2 sets metadata to zeros before each packet, field by field, and the fields of a header when it becomes
valid. P4 asks for neither: what the compiler takes as metadata of its own is written before it is read, and a
header that becomes valid has no values yet (P4_16, section 8.18). What it tells a program of a packet on its
way (times, lengths of queues) costs as much where nobody asks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from tools.bmv2_expressions import Operand, Widths, simple
from tools.bmv2_flow import Flow, Known, Place

_SCALARS: Final = "scalars"
"""The compiler's name for all metadata that is not in headers, with its own variables."""

_OWN_METADATA: Final = "metadata_t."
_PADDING: Final = "_padding"

_STANDARD: Final = "standard_metadata"
_OF_THE_SWITCH: Final = frozenset(
    {"ingress_port", "egress_spec", "egress_port", "instance_type", "packet_length"}
)
"""Standard metadata that BMv2 itself works with; all other it sets for the program alone, if it is there."""


def render(switch: dict[str, Any], source: str) -> str:
    """A program as it is checked in: without places in its sources, one line for each of its parts.

    Args:
        switch: as the compiler wrote it, or quicker.
        source: name of its main file.
    """
    parts = {**_without_places(switch), "program": source}
    lines = (f"{json.dumps(name)}: {json.dumps(part)}" for name, part in parts.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def quicken(switch: dict[str, Any]) -> None:
    """Change a program, as the compiler wrote it, to one that does the same in less time."""
    _leave_unset(switch)
    _leave_unknown(switch)
    _count_at_once(switch)
    _simplify(switch)
    actions = {action["id"]: action for action in switch["actions"]}
    for pipeline in switch["pipelines"]:
        Flow(pipeline, actions, _settled(switch)).shorten()


def _leave_unset(switch: dict[str, Any]) -> None:
    """No zeros for headers that are never on the wire, and none for the compiler's variables.

    Those need such a header that is valid from the beginning; in a program without one they stay.
    """
    on_wire = _on_wire(switch)
    for call in _calls(switch):
        if call["op"] == "add_header" and call["parameters"][0]["value"] not in on_wire:
            call["op"] = "add_header_fast"
    for parser in switch["parsers"]:
        begin = next(state for state in parser["parse_states"] if state["name"] == parser["init_state"])
        for call in _calls(begin):
            if call["op"] == "add_header_fast":
                _move_temporaries(switch, call["parameters"][0]["value"])


def _on_wire(switch: dict[str, Any]) -> set[str]:
    """The headers that a packet leaves with."""
    return {name for deparser in switch["deparsers"] for name in deparser["order"]}


def _move_temporaries(switch: dict[str, Any], header: str) -> None:
    """Make the compiler's variables, which it puts among the metadata, fields of this header."""
    types = {kind["name"]: kind for kind in switch["header_types"]}
    kinds = {instance["name"]: types[instance["header_type"]] for instance in switch["headers"]}
    metadata, hidden = kinds[_SCALARS], kinds[header]
    fields = [field for field in metadata["fields"] if not field[0].startswith(_PADDING)]
    moved = [field for field in fields if not field[0].startswith(_OWN_METADATA)]
    metadata["fields"] = _padded([field for field in fields if field not in moved])
    hidden["fields"] = _padded([*hidden["fields"], *moved])
    names = {name for name, *_ in moved}
    for place in _places(switch):
        if place[0] == _SCALARS and place[1] in names:
            place[0] = header


def _leave_unknown(switch: dict[str, Any]) -> None:
    """No standard metadata that the program does not ask for."""
    aliases = switch.pop("field_aliases", [])
    asked = {name for header, name in _places(switch) if header == _STANDARD} | _OF_THE_SWITCH
    for kind in switch["header_types"]:
        if kind["name"] == _STANDARD:
            kind["fields"] = _padded([field for field in kind["fields"] if field[0] in asked])
    switch["field_aliases"] = [alias for alias in aliases if alias[1][1] in asked]


def _count_at_once(switch: dict[str, Any]) -> None:
    """The index of a counter where it is counted, not by way of a field that has no other use."""
    on_wire = _on_wire(switch)
    uses = Counter((header, name) for header, name in _places(switch) if header not in on_wire)
    for action in switch["actions"]:
        calls = action["primitives"]
        if any(call["op"].startswith("_jump") for call in calls):
            continue  # to places that are counted from the beginning
        for assign, count in pairwise(list(calls)):
            if assign["op"] == "assign" and count["op"] == "count":
                field, index = assign["parameters"][0], count["parameters"][1]
                if field == index and uses[tuple(field["value"])] == 2:
                    count["parameters"][1] = assign["parameters"][1]
                    calls.remove(assign)


def _simplify(switch: dict[str, Any]) -> None:
    """Expressions without steps that change nothing."""
    types = {kind["name"]: kind["fields"] for kind in switch["header_types"]}
    fields = {
        (instance["name"], name): bits
        for instance in switch["headers"]
        for name, bits, *_ in types[instance["header_type"]]
    }
    for action in switch["actions"]:
        _simplify_part(action, Widths(fields, [data["bitwidth"] for data in action["runtime_data"]]))
    for name in ("parsers", "pipelines", "checksums"):
        _simplify_part(switch[name], Widths(fields))


def _settled(switch: dict[str, Any]) -> dict[Place, Known]:
    """Fields that a parser sets in its first state to a constant, and nowhere else."""
    settled: dict[Place, Known] = {}
    for parser in switch["parsers"]:
        states = [state for state in parser["parse_states"] if state["name"] != parser["init_state"]]
        again = {place for place, _ in _sets(states)}
        begin = [state for state in parser["parse_states"] if state not in states]
        for place, source in _sets(begin):
            if place not in again and source["type"] == "hexstr":
                settled[place] = Known(int(source["value"], 16))
    return settled


def _sets(states: list[dict[str, Any]]) -> Iterator[tuple[Place, Operand]]:
    """What states of a parser set, and to what."""
    for state in states:
        for call in _calls(state):
            if call["op"] in ("set", "assign"):
                target, source = call["parameters"]
                yield (target["value"][0], target["value"][1]), source


def _simplify_part(value: Any, widths: Widths) -> None:
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(part, dict) and part.get("type") == "expression":
            target = value[0] if key == 1 else None  # of an assignment
            bits = (
                (widths.largest(target) or 0).bit_length() if target and target["type"] == "field" else None
            )
            found = simple(part, widths, bits)
            plain = found["type"] in ("field", "hexstr") and found != part["value"]
            value[key] = found if plain or "op" in part["value"] else part | {"value": found}
        elif isinstance(part, (dict, list)):
            _simplify_part(part, widths)


def _padded(fields: list[list[Any]]) -> list[list[Any]]:
    """The fields of a header, and what is missing to whole octets."""
    missing = -sum(bits for _, bits, *_ in fields) % 8
    return [*fields, [_PADDING, missing, False]] if missing else fields


def _places(value: Any) -> Iterator[list[Any]]:
    """Where a program for the switch names a header and a field of it."""
    if isinstance(value, list) and len(value) == 2 and all(isinstance(name, str) for name in value):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _places(part)


def _calls(value: Any) -> Iterator[dict[str, Any]]:
    """The calls of primitives in a program for the switch."""
    if isinstance(value, dict) and isinstance(value.get("op"), str) and "parameters" in value:
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _calls(part)


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_places(part) for name, part in value.items() if name != "source_info"}
    return [_without_places(part) for part in value] if isinstance(value, list) else value
