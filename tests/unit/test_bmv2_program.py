# SPDX-License-Identifier: Apache-2.0
"""What is checked in for BMv2 spares it what nobody asks for, and is otherwise the same."""

from __future__ import annotations

import json
from typing import Any

from tools.bmv2_program import quicken, render


def _valid(header: str) -> dict[str, Any]:
    return {"op": "add_header", "parameters": [{"type": "header", "value": header}]}


def _assign(*place: str) -> dict[str, Any]:
    field = {"type": "field", "value": list(place)}
    return {"op": "assign", "parameters": [field, {"type": "hexstr", "value": "0x1"}]}


def _field(*place: str) -> dict[str, Any]:
    return {"type": "field", "value": list(place)}


def _step(op: str, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    return {"type": "expression", "value": {"op": op, "left": left, "right": right}}


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
        "pipelines": [],
        "checksums": [],
        "actions": [
            {
                "source_info": {"line": 1},
                "id": 0,
                "runtime_data": [],
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
    program = _program(*begin)
    quicken(program)
    return program


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


def test_standard_metadata_is_there_that_the_program_or_the_switch_works_with() -> None:
    program = _program()
    names = ["ingress_port", "egress_spec", "egress_port", "instance_type", "packet_length"]
    fields = [[name, 9, False] for name in [*names, "checksum_error", "enq_qdepth"]]
    program["header_types"].append({"name": "standard_metadata", "fields": fields})
    program["headers"].append({"name": "standard_metadata", "header_type": "standard_metadata"})
    asked, unasked = (["standard_metadata", name] for name in ("checksum_error", "enq_qdepth"))
    program["field_aliases"] = [["some.error", asked], ["queueing_metadata.enq_qdepth", unasked]]
    program["actions"][0]["primitives"].append(_assign(*asked))
    quicken(program)
    assert [field[0] for field in program["header_types"][-1]["fields"]] == [
        *names,
        "checksum_error",
        "_padding",
    ]
    assert program["field_aliases"] == [["some.error", asked]]


def _counting(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    """What becomes of an action that counts at an index in a field of its own."""
    program = _program(_valid("meta.known"))
    index = {"op": "assign", "parameters": [_field("scalars", "tmp"), _field("wire", "type")]}
    array = {"type": "counter_array", "value": "events"}
    count = {"op": "count", "parameters": [array, _field("scalars", "tmp")]}
    program["actions"] = [{"id": 0, "runtime_data": [], "primitives": [index, count, *calls]}]
    quicken(program)
    primitives: list[dict[str, Any]] = program["actions"][0]["primitives"]
    return primitives


def test_a_counter_takes_its_index_where_it_is_computed() -> None:
    (count,) = _counting()
    assert count["parameters"][1] == _field("wire", "type")


def test_an_index_that_is_used_again_stays_in_its_field() -> None:
    again = {"op": "assign", "parameters": [_field("wire", "type"), _field("scalars", "tmp")]}
    assert [call["op"] for call in _counting(again)] == ["assign", "count", "assign"]


def test_an_action_with_jumps_keeps_the_number_of_its_calls() -> None:
    jump = {"op": "_jump", "parameters": [{"type": "hexstr", "value": "0x3"}]}
    assert [call["op"] for call in _counting(jump)] == ["assign", "count", "_jump"]


def test_expressions_are_simpler_and_written_as_before() -> None:
    program = _program(_valid("meta.known"))
    cut = _step("&", _field("wire", "type"), {"type": "hexstr", "value": "0xffffffff"})
    event = [_field("meta.known", "event"), {"type": "expression", "value": cut}]
    sum_ = _step("+", _field("wire", "type"), {"type": "hexstr", "value": "0x1"})
    total = _step("&", sum_, {"type": "hexstr", "value": "0xff"})
    again = [_field("meta.known", "event"), {"type": "expression", "value": total}]
    bits = {"type": "expression", "value": _field("wire", "type")}
    extract = {"op": "extract_VL", "parameters": [{"type": "regular", "value": "wire"}, bits]}
    program["parsers"][0]["parse_states"][0]["parser_ops"].append(extract)
    program["actions"][0]["primitives"] = [
        {"op": "assign", "parameters": event},
        {"op": "assign", "parameters": again},
    ]
    condition = {"name": "c", "expression": _step("==", cut, cut), "true_next": None, "false_next": None}
    program["pipelines"] = [{"init_table": "c", "tables": [], "conditionals": [condition]}]
    quicken(program)
    assert extract["parameters"] == [{"type": "regular", "value": "wire"}, bits]
    first, second = program["actions"][0]["primitives"]
    assert first["parameters"][1] == _field("wire", "type")
    assert second["parameters"][1] == {"type": "expression", "value": sum_}
    (condition,) = program["pipelines"][0]["conditionals"]
    assert condition["expression"] == _step("==", _field("wire", "type"), _field("wire", "type"))


def _asking(*values: int) -> int:
    """How many conditions are left of one for an event, where the parser sets it to these one by one."""
    program = _program(_valid("meta.known"))
    sets = [
        {
            "op": "set",
            "parameters": [_field("meta.known", "event"), {"type": "hexstr", "value": hex(value)}],
        }
        for value in values
    ]
    (parser,) = program["parsers"]
    parser["parse_states"][0]["parser_ops"] += sets[:1]
    parser["parse_states"].append({"name": "later", "parser_ops": sets[1:]})
    event = _step("==", _field("meta.known", "event"), {"type": "hexstr", "value": "0x0"})
    condition = {"name": "c", "expression": event, "true_next": None, "false_next": None}
    program["pipelines"] = [{"init_table": "c", "tables": [], "conditionals": [condition]}]
    quicken(program)
    return len(program["pipelines"][0]["conditionals"])


def test_what_the_parser_sets_at_its_beginning_is_not_asked() -> None:
    assert _asking(0) == 0


def test_what_the_parser_sets_again_is_asked() -> None:
    assert _asking(0, 1) == 1


def test_no_place_in_a_source_is_left() -> None:
    program: dict[str, Any] = json.loads(render(_program(), "some.p4"))
    assert program["program"] == "some.p4"
    assert "source_info" not in program["actions"][0]
