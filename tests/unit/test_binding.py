# SPDX-License-Identifier: Apache-2.0
import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from finsy.proto import p4i, p4r

from dataplane.bpf.table_map import RawEntry
from dataplane.contract.binding import Binding
from dataplane.contract.errors import ContractError, ContractMismatch, EntryError, NotAllowed
from dataplane.contract.layout import Field, Layout, TableShape
from dataplane.contract.p4info import index_p4info, load_p4info
from tests.unit.fake_pipeline import P4INFO, FakePipeline, exact_key


@pytest.fixture
def pipeline() -> FakePipeline:
    return FakePipeline()


def test_the_projects_contract_binds(pipeline: FakePipeline) -> None:
    assert set(pipeline.binding.by_name) == set(pipeline.shapes)


def test_an_entry_goes_into_memory_and_comes_back(pipeline: FakePipeline) -> None:
    bound = pipeline.binding.by_name["connection"]
    key = exact_key(bound, [(1, b"\x07"), (3, b"\xfd" + bytes(14) + b"\x02"), (2, b"\x01")])
    assert key == b"\x07\0\0\0" + bytes(15) + b"\x01" + b"\xfd" + bytes(14) + b"\x02" + bytes(4)
    action = pipeline.binding.p4info.action("encapsulate").id
    params = [(1, b"\x12\x34"), (2, b"\x01\x00"), (3, b"\0"), (4, b"\xff"), (5, b"\x05\xdc")]
    data = bound.encode_action(action, params)
    assert data == bytes(6) + b"\x12\x34" + bytes(4) + b"\x00\x01" + b"\xdc\x05" + b"\xff" + bytes(3)
    entry = p4r.TableEntry()
    bound.decode(RawEntry(key, action, data, 1, 2), entry)
    assert entry == p4r.TableEntry(
        table_id=bound.table.id,
        match=[
            p4r.FieldMatch(field_id=n, exact=p4r.FieldMatch.Exact(value=v))
            for n, v in [(1, b"\x07"), (2, b"\x01"), (3, b"\xfd" + bytes(14) + b"\x02")]
        ],
        action=p4r.TableAction(
            action=p4r.Action(
                action_id=action,
                params=[p4r.Action.Param(param_id=n, value=v) for n, v in params],
            )
        ),
    )


def test_actions_that_an_entry_may_not_have(pipeline: FakePipeline) -> None:
    bound, p4info = pipeline.binding.by_name["connection"], pipeline.binding.p4info
    with pytest.raises(EntryError, match="does not take the action deliver"):
        bound.encode_action(p4info.action("deliver").id, [])
    with pytest.raises(NotAllowed, match="miss may only be the default"):
        bound.encode_action(p4info.action("miss").id, [])
    with pytest.raises(EntryError, match="there is no action 5; table connection takes"):
        bound.encode_action(5, [])


def with_field(shape: TableShape, name: str, change: Callable[[Field], Field | None]) -> TableShape:
    """The shape with one key field or parameter changed, or gone."""

    def changed(fields: tuple[Field, ...]) -> tuple[Field, ...]:
        return tuple(g for f in fields if (g := change(f) if f.name == name else f))

    return replace(shape, key=changed(shape.key), params={a: changed(fs) for a, fs in shape.params.items()})


@pytest.mark.parametrize(
    ("table", "field", "change", "message"),
    [
        (
            "scid",
            "tenant",
            lambda _: None,
            "table scid, action deliver, parameter tenant: the C struct has no",
        ),
        ("connection", "src", lambda _: None, "table connection, match field src: the C struct has no"),
        (
            "connection",
            "src",
            lambda f: replace(f, name="source"),
            "table connection, match field src: the C struct has no",
        ),
        (
            "locator",
            "dst1",
            lambda f: replace(f, size=4),
            "table locator, action set_paths, parameter dst1: it has 128 bits in P4 and 32 in C",
        ),
        (
            "scid",
            "tenant",
            lambda f: replace(f, size=2),
            "table scid, action deliver, parameter tenant: its 24 bits do not fit the 16",
        ),
    ],
)
def test_mismatch_names_table_and_field(
    pipeline: FakePipeline,
    table: str,
    field: str,
    change: Callable[[Field], Field | None],
    message: str,
) -> None:
    shapes = dict(pipeline.shapes)
    shapes[table] = with_field(shapes[table], field, change)
    with pytest.raises(ContractMismatch, match=message):
        Binding(pipeline.binding.p4info, shapes)


def test_more_in_c_than_in_p4_is_a_mismatch(pipeline: FakePipeline) -> None:
    shape = pipeline.shapes["terminate"]
    extra = Field("colour", 20, 4, False)
    for changed, message in [
        (replace(shape, key=(*shape.key, extra)), "match field colour: the P4 program has no such field"),
        (replace(shape, params={"paint": ()}), "action paint: no entry of the table may have it"),
        (replace(shape, layout=Layout.TERNARY), "its layout: it is ternary in C, which is for other match"),
        (replace(shape, capacity=32), "its size: it is 64 entries in P4 and 32 in C"),
    ]:
        with pytest.raises(ContractMismatch, match=message):
            Binding(pipeline.binding.p4info, {**pipeline.shapes, "terminate": changed})


def test_tables_on_one_side_only(pipeline: FakePipeline) -> None:
    shapes = dict(pipeline.shapes)
    with pytest.raises(ContractMismatch, match="table shadow, the table: the P4 program has no such table"):
        Binding(pipeline.binding.p4info, {**shapes, "shadow": shapes["scid"]})
    del shapes["uplink"]
    with pytest.raises(ContractMismatch, match="table uplink, the table: the C sources have no such table"):
        Binding(pipeline.binding.p4info, shapes)


def test_sizes_can_be_given(tmp_path: Path) -> None:
    assert load_p4info(P4INFO, {"scid": 1 << 20}).table("scid").size == 1 << 20
    with pytest.raises(ContractError, match="sizes are given for shadow"):
        load_p4info(P4INFO, {"shadow": 4})
    broken = tmp_path / "broken.txtpb"
    broken.write_text("tables {")
    with pytest.raises(ContractError, match="give a P4Info in text form"):
        load_p4info(broken)
    with pytest.raises(ContractError, match="cannot be read"):
        load_p4info(tmp_path / "none")


def test_what_no_table_in_memory_can_do_is_refused() -> None:
    message = load_p4info(P4INFO).message
    ranged, profile = copy.deepcopy(message), copy.deepcopy(message)
    ranged.tables[0].match_fields[0].match_type = p4i.MatchField.RANGE
    with pytest.raises(
        ContractError, match="table port_role: the match field ingress_port is neither exact nor"
    ):
        index_p4info(ranged)
    connection = next(t for t in message.tables if t.preamble.alias == "connection")
    for field in connection.match_fields:
        field.match_type = p4i.MatchField.LPM
    with pytest.raises(ContractError, match="table connection has more than one LPM field"):
        index_p4info(message)
    profile.tables[0].implementation_id = 7
    with pytest.raises(ContractError, match="table port_role has an action profile"):
        index_p4info(profile)


def test_what_only_a_switch_has_is_no_table_in_memory(pipeline: FakePipeline) -> None:
    p4info = load_p4info(P4INFO)
    names = {table.name for table in p4info.switch_only.values()}
    assert {"fib", "own_address"} <= names
    assert not names & set(pipeline.binding.by_name)
    assert p4info.table("fib") in p4info.every_table.values()


def test_unknown_names() -> None:
    p4info = load_p4info(P4INFO)
    with pytest.raises(ContractError, match="no table shadow"):
        p4info.table("shadow")
    with pytest.raises(ContractError, match="no action drop"):
        p4info.action("drop")
