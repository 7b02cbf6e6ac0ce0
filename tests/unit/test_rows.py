# SPDX-License-Identifier: Apache-2.0
import pytest

from dataplane.bpf.table_map import EntryMissing
from dataplane.contract.errors import ContractError, EntryError
from dataplane.contract.rows import Row, Tables
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
    with pytest.raises(ContractError, match="the P4 program has no table shadow; it has classifier, "):
        tables.write("shadow", {}, "x")
    with pytest.raises(EntryError, match="table uplink does not take the action open; it takes set_source"):
        tables.write("uplink", {"port": 3}, "open")
    with pytest.raises(EntryError, match="there is no field mac"):
        tables.write("uplink", {"mac": 3}, "set_source", SOURCE)
    with pytest.raises(EntryError, match="lacks the parameter src4"):
        tables.write("uplink", {"port": 3}, "set_source", {"mtu": 1})
