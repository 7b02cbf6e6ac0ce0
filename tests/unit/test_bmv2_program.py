# SPDX-License-Identifier: Apache-2.0
"""What is checked in for BMv2 spares it zeros that P4 does not ask for, and is otherwise the same."""

from __future__ import annotations

import json
from typing import Any

from tools.bmv2_program import render


def _valid(header: str) -> dict[str, Any]:
    return {"op": "add_header", "parameters": [{"type": "header", "value": header}]}


def _assign(*place: str) -> dict[str, Any]:
    field = {"type": "field", "value": list(place)}
    return {"op": "assign", "parameters": [field, {"type": "hexstr", "value": "0x1"}]}


def _program(*begin: dict[str, Any]) -> dict[str, Any]:
    """A header on the wire, one that is not, metadata of the program's own, and a compiler's variable."""
    state = {"name": "start", "parser_ops": [{"op": "primitive", "parameters": [call]} for call in begin]}
    return {
        "program": "build/some.p4",
        "header_types": [
            {
                "name": "scalars_0",
                "fields": [["tmp", 9, False], ["metadata_t.own", 3, False], ["_padding_0", 4]],
            },
            {"name": "known_t", "fields": [["event", 8, False]]},
            {"name": "wire_t", "fields": [["type", 16, False]]},
        ],
        "headers": [
            {"name": "scalars", "header_type": "scalars_0"},
            {"name": "meta.known", "header_type": "known_t"},
            {"name": "wire", "header_type": "wire_t"},
        ],
        "parsers": [{"init_state": "start", "parse_states": [state]}],
        "deparsers": [{"order": ["wire"]}],
        "actions": [
            {
                "source_info": {"line": 1},
                "primitives": [
                    _valid("wire"),
                    _valid("meta.known"),
                    _assign("scalars", "tmp"),
                    _assign("scalars", "metadata_t.own"),
                ],
            }
        ],
    }


def _rendered(*begin: dict[str, Any]) -> dict[str, Any]:
    rendered: dict[str, Any] = json.loads(render(_program(*begin), "some.p4"))
    return rendered


def _fields(program: dict[str, Any]) -> dict[str, list[list[Any]]]:
    return {kind["name"]: [field[:2] for field in kind["fields"]] for kind in program["header_types"]}


def test_a_header_that_is_never_on_the_wire_becomes_valid_as_it_is() -> None:
    primitives = _rendered(_valid("meta.known"))["actions"][0]["primitives"]
    assert [call["op"] for call in primitives] == ["add_header", "add_header_fast", "assign", "assign"]


def test_variables_of_the_compiler_go_to_a_header_that_is_valid_from_the_beginning() -> None:
    program = _rendered(_valid("meta.known"))
    assert _fields(program) == {
        "scalars_0": [["metadata_t.own", 3], ["_padding", 5]],
        "known_t": [["event", 8], ["tmp", 9], ["_padding", 7]],
        "wire_t": [["type", 16]],
    }
    places = [call["parameters"][0]["value"] for call in program["actions"][0]["primitives"][2:]]
    assert places == [["meta.known", "tmp"], ["scalars", "metadata_t.own"]]


def test_without_such_a_header_they_stay_where_they_are() -> None:
    program = _rendered()
    assert _fields(program)["scalars_0"] == [["tmp", 9], ["metadata_t.own", 3], ["_padding_0", 4]]
    assert program["actions"][0]["primitives"][2] == _assign("scalars", "tmp")


def test_no_place_in_a_source_is_left() -> None:
    program = _rendered()
    assert program["program"] == "some.p4"
    assert "source_info" not in program["actions"][0]
