# SPDX-License-Identifier: Apache-2.0
"""A program for the software switch BMv2 as the compiler writes it, made quicker and fit to be checked in.

BMv2 sets metadata to zeros before each packet, field by field, and the fields of a header when it becomes
valid. P4 asks for neither: what the compiler takes as metadata of its own is written before it is read, and a
header that becomes valid has no values yet (P4_16, section 8.18).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

_SCALARS: Final = "scalars"
"""The compiler's name for all metadata that is not in headers, with its own variables."""

_OWN_METADATA: Final = "metadata_t."
_PADDING: Final = "_padding"


def render(switch: dict[str, Any], source: str) -> str:
    """A program as it is checked in: without places in its sources, one line for each of its parts.

    Args:
        switch: as the compiler wrote it; it is changed.
        source: name of its main file.
    """
    _leave_unset(switch)
    parts = {**_without_places(switch), "program": source}
    lines = (f"{json.dumps(name)}: {json.dumps(part)}" for name, part in parts.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _leave_unset(switch: dict[str, Any]) -> None:
    """No zeros for headers that are never on the wire, and none for the compiler's variables.

    Those need such a header that is valid from the beginning; in a program without one they stay.
    """
    on_wire = {name for deparser in switch["deparsers"] for name in deparser["order"]}
    for call in _calls(switch):
        if call["op"] == "add_header" and call["parameters"][0]["value"] not in on_wire:
            call["op"] = "add_header_fast"
    for parser in switch["parsers"]:
        begin = next(state for state in parser["parse_states"] if state["name"] == parser["init_state"])
        for call in _calls(begin):
            if call["op"] == "add_header_fast":
                _move_temporaries(switch, call["parameters"][0]["value"])


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
