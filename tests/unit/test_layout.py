# SPDX-License-Identifier: Apache-2.0
import pytest

from dataplane.contract.layout import LayoutError, TableShape, shape_from_json
from tests.unit.fake_pipeline import LEAVES, U8, U16, U32, U64, shapes, struct, union

SCID = [
    "scid_entry",
    [
        ["key", U64],
        ["action", U32],
        ["__pad_2", "char", [4]],
        [
            "",
            [
                ["deliver", ["a_deliver", [["node", U32], ["local", U8, [16]]], "struct_packed"]],
                [
                    "relay",
                    [
                        "a_relay",
                        [["scid", U64], ["mac", U8, [4]], ["port", U16], ["__pad_end", "char", [2]]],
                        "struct_packed",
                    ],
                ],
            ],
            "union",
        ],
        ["__pad_end", "char", [24]],
    ],
    "struct_packed",
]


def table(
    leaf: list[object],
    value_size: int,
    layout: str = "slot",
    capacity: int = 16,
    rest: list[object] | None = None,
) -> TableShape:
    return shape_from_json(
        "t",
        {
            "layout": layout,
            "capacity": capacity,
            "buckets": 4,
            "hits_rows": 2,
            "value_size": value_size,
            "leaf_desc": leaf,
            "rest_desc": rest,
        },
    )


def entry(*fields: list[object]) -> list[object]:
    return struct("t_entry", *fields)


def test_anonymous_union_is_aligned_by_its_widest_member() -> None:
    # clang: sizeof 64, union at 16 (24 octets, as the struct with the u64 is padded)
    shape = table(SCID, 64)
    assert (shape.action, shape.data, shape.data_size) == (8, 16, 24)
    assert shape.stride == 64
    assert [(f.name, f.offset, f.size, f.octets) for f in shape.params["relay"]] == [
        ("scid", 0, 8, False),
        ("mac", 8, 4, True),
        ("port", 12, 2, False),
    ]
    assert [(f.name, f.offset) for f in shape.params["deliver"]] == [("node", 0), ("local", 4)]


HITS = struct("hits", ["packets", U64], ["bytes", U64])
NEAR = [["key", U64], ["action", U32], union(go=[["port", U16], ["pad", U16]], stay=[["local", U8, [4]]])]
REST = struct("t_rest", union(go=[["mac", U8, [6]]]))


def test_hits_inside_come_before_the_fields_and_the_rest_behind() -> None:
    shape = table(entry(["agent_hits", HITS], ["hits", HITS], *NEAR), 48, rest=REST)
    assert (shape.head, shape.action, shape.data, shape.stride) == (32, 8, 12, 48)
    assert (shape.data_size, shape.rest_size) == (10, 6)
    assert [(f.name, f.offset) for f in shape.params["go"]] == [("port", 0), ("mac", 4)]
    assert [(f.name, f.offset) for f in shape.params["stay"]] == [("local", 0)]


def test_hits_inside_need_their_place_and_a_rest() -> None:
    with pytest.raises(LayoutError, match="must begin with 2 structs of hits"):
        table(entry(["hits", HITS], *NEAR), 32, rest=REST)
    with pytest.raises(LayoutError, match="one union of parameters"):
        table(entry(["agent_hits", HITS], ["hits", HITS], *NEAR), 48, rest=struct("t_rest", ["more", U32]))


def test_pads_are_no_fields() -> None:
    shape = shapes(dict.fromkeys(LEAVES, 64))
    connection = shape["connection"]
    assert [f.name for f in connection.key] == ["tenant", "src", "dst"]
    assert connection.action == 40
    assert shape["port_role"].params["access"][1].offset == 4
    assert shape["terminate"].params == {}
    assert shape["terminate"].data_size == 0


@pytest.mark.parametrize("value_size", [32, 39, 104])
def test_size_must_be_the_compilers(value_size: int) -> None:
    with pytest.raises(LayoutError, match="table t: its C struct has"):
        table(SCID, value_size)


@pytest.mark.parametrize(
    ("leaf", "value_size", "message"),
    [
        (entry(["key", U32]), 4, "no field action"),
        (entry(["key", U32], ["action", U16]), 8, "action must have 32 bits"),
        (entry(["action", U32]), 4, "no key field"),
        (entry(["key", U8, [4]], ["action", U32]), 8, "an integer as its first key field"),
        (entry(["key", U32], ["action", U32], ["packets", U64]), 16, "one union"),
        (entry(["key", U32], ["action", U32], union(a=[["x", U32]]), ["y", U32]), 16, "one union"),
        (entry(["key", "float"], ["action", U32]), 8, "the type float"),
        (entry(["key", U32, 3], ["action", U32]), 8, "bit-field"),
        (entry(["key", U16, [2]], ["action", U32]), 8, "integer or an array of u8"),
    ],
)
def test_broken_conventions_are_named(leaf: list[object], value_size: int, message: str) -> None:
    with pytest.raises(LayoutError, match=message):
        table(leaf, value_size)


def test_slot_needs_a_power_of_two() -> None:
    with pytest.raises(LayoutError, match="power of two"):
        table(entry(["key", U32], ["action", U32]), 8, capacity=12)


def test_assoc_key_fills_words() -> None:
    with pytest.raises(LayoutError, match="whole words"):
        table(entry(["key", U32], ["action", U32]), 8, layout="assoc")
