# SPDX-License-Identifier: Apache-2.0
"""Values as operators read them."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from finsy.proto import p4r
from hypothesis import given
from hypothesis import strategies as st

from dataplane.contract.p4info import load_p4info
from moorline.cli.contract import entry_row, with_interfaces
from moorline.cli.output import Column, cell
from moorline.cli.text import address_text, parse_scid, scaled, scid_text, time_text
from tests.unit.fake_pipeline import P4INFO


@given(st.integers(0, 2**64 - 1))
def test_scids_are_read_back(scid: int) -> None:
    assert parse_scid(scid_text(scid)) == scid
    assert parse_scid(f" 0x{scid:016X} ") == scid


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1_234_567, "1.23 MB"),
        (2 * 10**9, "2 GB"),
        (999_600, "1 MB"),
        (5 * 10**15, "5 PB"),
        (2**64 - 1, "18.4 EB"),
    ],
)
def test_scaled(value: int, expected: str) -> None:
    assert scaled(value, "B") == expected


def test_times() -> None:
    assert time_text(0) is None
    assert time_text(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123Z"


def test_addresses() -> None:
    assert address_text(b"") is None
    assert address_text(bytes([10, 0, 0, 1])) == "10.0.0.1"
    assert address_text(bytes(15) + b"\x01") == "::1"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "-"), ("", "-"), ([], "-"), (True, "yes"), (False, "no"), (["a", 1], "a, 1"), (0, "0")],
)
def test_cells(value: object, expected: str) -> None:
    assert cell(value) == expected
    assert Column("X", "x").text({"x": value}) == expected


@pytest.mark.parametrize(
    ("field", "value", "mask", "expected"),
    [
        ("tenant", b"\5", b"\xff\xff\xff", 5),
        ("tenant", b"\4", b"\6", "0x4&0x6"),
        (
            "src_mac",
            bytes.fromhex("020000000000"),
            bytes.fromhex("ff0000000000"),
            "0x20000000000&0xff0000000000",
        ),
        ("dst", IPv6Address("2001:db8::").packed, b"\xff" * 4 + bytes(12), "2001:db8::/32"),
        ("dst", IPv6Address("::ffff:192.0.2.0").packed, b"\xff" * 15 + b"\0", "192.0.2.0/24"),
        ("dst", IPv6Address("::ffff:192.0.2.7").packed, b"\xff" * 16, "192.0.2.7"),
        ("dst", IPv6Address("::7").packed, IPv6Address("::f").packed, "0x7&0xf"),
    ],
)
def test_a_class_of_packets_is_a_row(field: str, value: bytes, mask: bytes, expected: object) -> None:
    contract = load_p4info(P4INFO)
    table = contract.table("classifier")
    entry = p4r.TableEntry(table_id=table.id, priority=7)
    number = next(match.id for match in table.match if match.name == field)
    ternary = entry.match.add(field_id=number).ternary
    ternary.value, ternary.mask = value, mask
    entry.action.action.action_id = contract.action("deny").id
    row = entry_row(contract, entry)
    assert (row["match"], row["priority"]) == ({field: expected}, 7)


def test_labels_and_keys_are_numbers() -> None:
    contract = load_p4info(P4INFO)
    action = contract.action("route_tunnel")
    entry = p4r.TableEntry(table_id=contract.table("route").id)
    entry.action.action.action_id = action.id
    for param in action.params:
        entry.action.action.params.add(param_id=param.id, value=b"\x09")
    assert entry_row(contract, entry)["params"] == {"port": 9, "tunnel": 9, "remote": "::9", "key": 9}


def test_a_neighbour_of_a_switch_is_a_row() -> None:
    contract = load_p4info(P4INFO)
    table, action = contract.table("fib"), contract.action("next_hop")
    entry = p4r.TableEntry(table_id=table.id)
    entry.match.add(field_id=1).exact.value = b"\x02"
    prefix = entry.match.add(field_id=2).lpm
    prefix.value, prefix.prefix_len = IPv6Address("::ffff:192.0.2.0").packed, 120
    entry.action.action.action_id = action.id
    for param in action.params:
        entry.action.action.params.add(param_id=param.id, value=bytes([param.id]))
    row = with_interfaces(contract, entry_row(contract, entry), {2: "eth1"})
    assert row["table"] == "fib"
    assert row["match"] == {"port": "2 (eth1)", "destination": "192.0.2.0/24"}
    assert row["params"] == {"src_mac": "00:00:00:00:00:01", "dst_mac": "00:00:00:00:00:02"}
