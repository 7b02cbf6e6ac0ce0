# SPDX-License-Identifier: Apache-2.0
import pytest

from dataplane.bpf.table_map import EntryMissing
from dataplane.contract.errors import ContractError, EntryError
from dataplane.contract.rows import Row, Tables
from moorline.matches import Masked, Prefix
from tests.unit.fake_pipeline import FakePipeline

SOURCE = {"src4": b"\x0a\0\0\1", "src6": bytes(15) + b"\1", "vlan": 0, "mtu": 1500}
READ = {"src4": b"\x0a\0\0\1", "src6": b"\1", "vlan": b"\0", "mtu": b"\x05\xdc"}


@pytest.fixture
def tables() -> Tables:
    pipeline = FakePipeline()
    return Tables(pipeline.binding, pipeline.tables)


def test_a_row_is_written_changed_and_removed(tables: Tables) -> None:
    tables.write("uplink", {"port": 3}, "set_source", SOURCE)
    tables.write("uplink", {"port": 3}, "set_source", {**SOURCE, "mtu": 9000})
    assert list(tables.rows("uplink")) == [
        Row({"port": b"\x03"}, "set_source", {**READ, "mtu": b"\x23\x28"}, 0, 0)
    ]
    tables.remove("uplink", {"port": 3})
    assert tables.get("uplink", {"port": 3}) is None
    with pytest.raises(EntryMissing):
        tables.remove("uplink", {"port": 3})


def test_an_action_without_parameters(tables: Tables) -> None:
    tables.write("terminate", {"outer_dst": bytes(16), "tunnel": 1}, "open")
    row = tables.get("terminate", {"outer_dst": bytes(16), "tunnel": 1})
    assert row == Row({"outer_dst": b"\0", "tunnel": b"\1"}, "open", {}, 0, 0)


def test_wrong_names(tables: Tables) -> None:
    with pytest.raises(ContractError, match="the P4 program has no table shadow; it has affinity, class"):
        tables.write("shadow", {}, "x")
    with pytest.raises(EntryError, match="table uplink does not take the action open; it takes set_source"):
        tables.write("uplink", {"port": 3}, "open")
    with pytest.raises(EntryError, match="there is no field mac"):
        tables.write("uplink", {"mac": 3}, "set_source", SOURCE)
    with pytest.raises(EntryError, match="lacks the parameter src4"):
        tables.write("uplink", {"port": 3}, "set_source", {"mtu": 1})


def test_rows_with_masks_and_prefixes(tables: Tables) -> None:
    half = Masked(b"\x20" + bytes(15), b"\xf0" + bytes(15))
    for priority in (3, 4):
        tables.write("classifier", {"dst": half, "tenant": Masked(b"\5", b"\xff")}, "deny", {}, priority)
    wanted = Masked(half.value, half.mask)
    row = tables.get("classifier", {"tenant": Masked(b"\5", b"\xff"), "dst": half}, 4)
    assert row == Row({"tenant": Masked(b"\5", b"\xff"), "dst": wanted}, "deny", {}, 0, 0, 4)
    tables.remove("classifier", {"dst": half, "tenant": Masked(b"\5", b"\xff")}, 4)
    assert [row.priority for row in tables.rows("classifier")] == [3]
    for length in (0, 8):
        match = {"tenant": 1, "destination": Prefix(bytes(16), length)}
        tables.write("route", match, "route_node", {"node": length + 1})
    assert [dict(row.match) for row in tables.rows("route")] == [
        {"tenant": b"\1"},
        {"tenant": b"\1", "destination": Prefix(b"\0", 8)},
    ]
    with pytest.raises(EntryError, match="needs a priority above 0, not 0"):
        tables.write("classifier", {}, "deny")
    with pytest.raises(EntryError, match="route has no ternary match field, so an entry cannot have"):
        tables.write("route", {"tenant": 1}, "route_node", {"node": 1}, 5)
    with pytest.raises(EntryError, match="the match field port is exact; give a value"):
        tables.write("uplink", {"port": Masked(b"\1", b"\1")}, "set_source", SOURCE)
