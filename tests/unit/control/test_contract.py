# SPDX-License-Identifier: Apache-2.0
"""Rows and P4Runtime's table entries are the same thing twice, also where a field is matched by a prefix."""

from __future__ import annotations

from finsy.proto import p4i, p4r
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from control.southbound.contract import DELETE, INSERT, Contract, Masked, Prefix, read_match, read_row

ROUTES = """
tables {
  preamble { id: 33554440 name: "routes" alias: "routes" }
  match_fields { id: 1 name: "port" bitwidth: 9 match_type: EXACT }
  match_fields { id: 2 name: "destination" bitwidth: 128 match_type: LPM }
  match_fields { id: 3 name: "tenant" bitwidth: 24 match_type: EXACT }
  action_refs { id: 16777235 }
}
tables {
  preamble { id: 33554443 name: "classes" alias: "classes" }
  match_fields { id: 1 name: "port" bitwidth: 9 match_type: TERNARY }
  match_fields { id: 2 name: "tenant" bitwidth: 24 match_type: EXACT }
  match_fields { id: 3 name: "source" bitwidth: 128 match_type: TERNARY }
  action_refs { id: 16777235 }
}
actions {
  preamble { id: 16777235 name: "next_hop" alias: "next_hop" }
  params { id: 1 name: "mac" bitwidth: 48 }
}
"""

contract = Contract(text_format.Parse(ROUTES, p4i.P4Info()))
numbers = st.integers(0, 511)
prefixes = st.builds(
    lambda value, length: Prefix((value >> 128 - length << 128 - length).to_bytes(16, "big"), length),
    st.integers(0, 2**128 - 1),
    st.integers(0, 128),
)


def filled(kind: int, port: int, destination: Prefix, tenant: int) -> p4r.TableEntry:
    match = {"port": port, "destination": destination, "tenant": tenant}
    row = contract.row("routes", match, "next_hop", {"mac": 0x020000000001})
    update = p4r.Update()
    contract.fill(update, kind, row)
    assert read_match(update.entity.table_entry) == row.match
    if kind == INSERT:
        assert read_row(update.entity.table_entry) == row
    return update.entity.table_entry


@given(st.sampled_from([INSERT, DELETE]), numbers, prefixes, numbers)
def test_an_entry_says_what_its_row_says_and_is_read_back_as_it(
    kind: int, port: int, destination: Prefix, tenant: int
) -> None:
    entry = filled(kind, port, destination, tenant)
    fields = {field.field_id: field for field in entry.match}
    assert int.from_bytes(fields[1].exact.value, "big") == port
    assert int.from_bytes(fields[3].exact.value, "big") == tenant
    if destination.length:
        assert fields[2].lpm.value.rjust(16, b"\0") == destination.value
        assert fields[2].lpm.prefix_len == destination.length
    else:  # P4Runtime 1.4, section 9.1.1: what matches everything is left out
        assert sorted(fields) == [1, 3]


@given(numbers, prefixes, prefixes, numbers)
def test_prefixes_that_differ_have_keys_that_differ(
    port: int, one: Prefix, other: Prefix, tenant: int
) -> None:
    keys = {
        read_match(filled(INSERT, port, destination, tenant))
        for destination in (one, other, Prefix(one.value, 128), Prefix(bytes(16), 0))
    }
    assert len(keys) == len({one, other, Prefix(one.value, 128), Prefix(bytes(16), 0)})


def test_octets_that_a_target_pads_are_read_as_the_shortest() -> None:
    destination = Prefix(bytes(10) + b"\xff\xff" + bytes(4), 96)
    entry = filled(INSERT, 1, destination, 0)
    padded = p4r.TableEntry()
    padded.CopyFrom(entry)
    padded.match[0].exact.value = b"\0\x01"
    padded.match[1].lpm.value = destination.value
    assert read_row(padded) == read_row(entry)


masked = st.builds(
    lambda value, mask: Masked((value & mask).to_bytes(16, "big"), mask.to_bytes(16, "big")),
    st.integers(0, 2**128 - 1),
    st.integers(0, 2**128 - 1) | st.just(0),
)
narrow = st.builds(
    lambda value, mask: Masked(bytes([value & mask]), bytes([mask])), st.integers(0, 255), st.integers(0, 7)
)


@given(st.sampled_from([INSERT, DELETE]), narrow, st.integers(0, 9), masked, st.integers(1, 9))
def test_an_entry_with_masks(kind: int, port: Masked, tenant: int, source: Masked, priority: int) -> None:
    match = {"port": port, "tenant": tenant, "source": source}
    row = contract.row("classes", match, "next_hop", {"mac": 1}, priority=priority)
    update = p4r.Update()
    contract.fill(update, kind, row)
    entry = update.entity.table_entry
    assert (entry.priority, row.key) == (priority, (row.table, read_match(entry), priority))
    if kind == INSERT:
        assert read_row(entry) == row
    fields = {field.field_id: field for field in entry.match}
    assert int.from_bytes(fields[2].exact.value, "big") == tenant
    for number, wanted in ((1, port), (3, source)):
        assert (number in fields) == any(wanted.mask)  # what matches everything is left out
        if number in fields:
            found = fields[number].ternary
            assert int.from_bytes(found.value, "big") == int.from_bytes(wanted.value, "big")
            assert int.from_bytes(found.mask, "big") == int.from_bytes(wanted.mask, "big")


def test_fields_left_out_match_everything() -> None:
    left_out = contract.row("classes", {"tenant": 1}, "next_hop", {"mac": 1}, priority=2)
    zeros = {"tenant": 1, "port": Masked(b"\0", b"\0"), "source": Masked(bytes(16), bytes(16))}
    assert left_out == contract.row("classes", zeros, "next_hop", {"mac": 1}, priority=2)
    other = contract.row("classes", {"tenant": 1}, "next_hop", {"mac": 1}, priority=3)
    assert left_out.key != other.key
