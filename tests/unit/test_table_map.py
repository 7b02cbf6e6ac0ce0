# SPDX-License-Identifier: Apache-2.0
import struct
import time
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dataplane.bpf.assoc_index import AssocIndex, Places
from dataplane.bpf.assoc_table import AssocTable
from dataplane.bpf.elements import GRACE_NS
from dataplane.bpf.table_map import (
    EntryExists,
    EntryMissing,
    MemoryMismatch,
    RawEntry,
    SlotTable,
    SlotTaken,
    TableFull,
    TableMap,
    TableMemory,
    open_table,
)
from dataplane.contract.layout import HITS_OCTETS, WAYS, TableShape, shape_from_json
from tests.unit.fake_pipeline import HITS_ROWS, U8, U32, U64, entry, union
from tests.unit.fake_pipeline import struct as struct_of

SLOT_LEAF = entry("t", ["key", U64], ["action", U32], union(go=[["to", U8, [4]]]))
INSIDE_LEAF = entry(
    "t",
    *([f"hits{row}", struct_of("hits", ["packets", U64], ["bytes", U64])] for row in range(HITS_ROWS)),
    *(["key", U64], ["action", U32], union(go=[["to", U8, [4]]])),
)
REST_LEAF = struct_of("t_rest", union(go=[["more", U8, [3]]]))
ASSOC_LEAF = entry(
    "t", ["key", U64], ["more", U64], ["action", U32], ["pad", U32], union(go=[["to", U8, [8]]])
)


def slot_shape(capacity: int) -> TableShape:
    described = {
        "capacity": capacity, "buckets": 0, "hits_rows": HITS_ROWS, "value_size": 16, "leaf_desc": SLOT_LEAF
    }  # fmt: skip
    return shape_from_json("t", {"layout": "slot", **described})


def inside_shape(capacity: int) -> TableShape:
    described = {
        "capacity": capacity, "buckets": 0, "hits_rows": HITS_ROWS, "value_size": 16 * HITS_ROWS + 16,
        "leaf_desc": INSIDE_LEAF, "rest_desc": REST_LEAF,
    }  # fmt: skip
    return shape_from_json("t", {"layout": "slot", **described})


def assoc_shape(capacity: int, buckets: int) -> TableShape:
    described = {
        "capacity": capacity, "buckets": buckets, "hits_rows": HITS_ROWS, "value_size": 32,
        "leaf_desc": ASSOC_LEAF,
    }  # fmt: skip
    return shape_from_json("t", {"layout": "assoc", **described})


def slot_key(number: int) -> bytes:
    return struct.pack("=Q", number)


def assoc_key(number: int) -> bytes:
    return struct.pack("=QQ", number, ~number & 0xFFFF)


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def reference_places(key: bytes, buckets: int) -> tuple[int, int, int]:
    """The hash of ebpf/assoc.h."""
    hashed = 0x9E3779B97F4A7C15
    for at in range(0, len(key), 8):
        hashed = ((hashed ^ int.from_bytes(key[at : at + 8], "little")) * 0xFF51AFD7ED558CCD) % 2**64
        hashed ^= hashed >> 32
    hashed = (hashed * 0xFF51AFD7ED558CCD) % 2**64
    hashed ^= hashed >> 32
    tag = (hashed >> 32) | 1
    first = hashed & (buckets - 1)
    return tag, first, (first ^ ((tag * 0x5BD1E995) % 2**32)) & (buckets - 1)


def reference_lookup(index: bytearray, memory: bytearray, shape: TableShape, key: bytes) -> int:
    """What a BPF program finds: the element, or 0."""
    ways = memoryview(index).cast("Q")
    tag, first, second = reference_places(key, shape.buckets)
    for bucket in (first, second):
        for value in ways[bucket * WAYS : bucket * WAYS + WAYS]:
            element = value & 0xFFFFFFFF
            at = element * shape.stride
            if value >> 32 == tag and memory[at : at + len(key)] == key:
                return element
    return 0


def hits_of(shape: TableShape) -> bytearray:
    return bytearray(shape.hits_rows * shape.elements * HITS_OCTETS)


def count_packet(hits: bytearray, shape: TableShape, element: int, octets: int, row: int = 1) -> None:
    """What a BPF program does to the counters in its row."""
    at = (row * shape.elements + element) * HITS_OCTETS
    packets, total = struct.unpack_from("=QQ", hits, at)
    struct.pack_into("=QQ", hits, at, packets + 1, total + octets)


class TableModel(RuleBasedStateMachine):
    """Any sequence of operations gives what a dict gives, also after the tables are opened anew."""

    capacity = 16
    keys = st.integers(0, 40)
    data = st.binary(min_size=1, max_size=1)

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[bytes, RawEntry] = {}
        self.table = self.open()

    def open(self) -> TableMap:
        raise NotImplementedError

    def key(self, number: int) -> bytes:
        raise NotImplementedError

    def pad(self, data: bytes) -> bytes:
        raise NotImplementedError

    def refused(self, key: bytes) -> type[Exception] | None:
        """How an insertion must fail."""
        raise NotImplementedError

    @rule(number=keys, action=st.integers(1, 3), data=data)
    def insert(self, number: int, action: int, data: bytes) -> None:
        key = self.key(number)
        if expected := self.refused(key):
            with pytest.raises(expected):
                self.table.insert(key, action, self.pad(data))
            return
        self.table.insert(key, action, self.pad(data))
        self.model[key] = RawEntry(key, action, self.pad(data), 0, 0)

    @rule(number=keys, action=st.integers(1, 3), data=data)
    def modify(self, number: int, action: int, data: bytes) -> None:
        key = self.key(number)
        if key not in self.model:
            with pytest.raises(EntryMissing):
                self.table.modify(key, action, self.pad(data))
            return
        self.table.modify(key, action, self.pad(data))
        self.model[key] = self.model[key]._replace(action=action, data=self.pad(data))

    @rule(number=keys)
    def delete(self, number: int) -> None:
        key = self.key(number)
        if key not in self.model:
            with pytest.raises(EntryMissing):
                self.table.delete(key)
            return
        self.table.delete(key)
        del self.model[key]

    @rule(number=keys, packets=st.integers(0, 2**64 - 1), octets=st.integers(0, 2**64 - 1))
    def set_counters(self, number: int, packets: int, octets: int) -> None:
        key = self.key(number)
        if key in self.model:
            self.table.set_counters(key, packets, octets)
            self.model[key] = self.model[key]._replace(packets=packets, bytes=octets)

    @rule()
    def reopen(self) -> None:
        self.table = self.open()

    @invariant()
    def same_entries(self) -> None:
        assert {e.key: e for e in self.table.scan()} == self.model
        assert len(self.table) == len(self.model)
        for key, expected in self.model.items():
            assert self.table.get(key) == expected


class SlotModel(TableModel):
    shape = slot_shape(16)

    def __init__(self) -> None:
        self.memory = bytearray(self.shape.elements * self.shape.stride)
        self.hits = hits_of(self.shape)
        super().__init__()

    def open(self) -> TableMap:
        return SlotTable(self.shape, self.memory, self.hits)

    def key(self, number: int) -> bytes:
        return slot_key(number)

    def pad(self, data: bytes) -> bytes:
        return data.ljust(self.shape.data_size, b"\0")

    def refused(self, key: bytes) -> type[Exception] | None:
        if key in self.model:
            return EntryExists
        return SlotTaken if any(k[0] % 16 == key[0] % 16 for k in self.model) else None


class InsideModel(SlotModel):
    """Counters in the elements, and the parameters in two arrays."""

    shape = inside_shape(16)
    data = st.binary(min_size=7, max_size=7)

    def __init__(self) -> None:
        self.rest = bytearray(self.shape.elements * self.shape.rest_size)
        super().__init__()

    def open(self) -> TableMap:
        return open_table(self.shape, TableMemory(self.memory, self.memory, rest=self.rest))

    @rule(number=TableModel.keys, octets=st.integers(1, 1500), row=st.integers(1, HITS_ROWS - 1))
    def packet(self, number: int, octets: int, row: int) -> None:
        key = self.key(number)
        if key not in self.model:
            return
        at = number % 16 * self.shape.stride + row * HITS_OCTETS
        packets, total = struct.unpack_from("=QQ", self.memory, at)
        struct.pack_into("=QQ", self.memory, at, packets + 1, total + octets)
        old = self.model[key]
        self.model[key] = old._replace(packets=(old.packets + 1) % 2**64, bytes=(old.bytes + octets) % 2**64)


class AssocModel(TableModel):
    shape = assoc_shape(16, 4)

    def __init__(self) -> None:
        self.memory = bytearray(self.shape.elements * self.shape.stride)
        self.hits = hits_of(self.shape)
        self.index = bytearray(self.shape.buckets * WAYS * 8)
        self.clock = Clock()
        super().__init__()

    def open(self) -> TableMap:
        return AssocTable(self.shape, self.memory, self.hits, self.index, self.clock)

    def key(self, number: int) -> bytes:
        return assoc_key(number)

    def pad(self, data: bytes) -> bytes:
        return data.ljust(self.shape.data_size, b"\0")

    def refused(self, key: bytes) -> type[Exception] | None:
        if key in self.model:
            return EntryExists
        return TableFull if len(self.model) == 16 else None

    @rule(number=TableModel.keys, octets=st.integers(1, 1500), row=st.integers(1, HITS_ROWS - 1))
    def packet(self, number: int, octets: int, row: int) -> None:
        key = self.key(number)
        element = reference_lookup(self.index, self.memory, self.shape, key)
        assert bool(element) == (key in self.model)
        if element:
            count_packet(self.hits, self.shape, element, octets, row)
            old = self.model[key]
            self.model[key] = old._replace(
                packets=(old.packets + 1) % 2**64, bytes=(old.bytes + octets) % 2**64
            )

    @rule(ns=st.integers(0, 2 * GRACE_NS))
    def time_passes(self, ns: int) -> None:
        self.clock.now += ns


SlotModel.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
InsideModel.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
AssocModel.TestCase.settings = settings(max_examples=40, stateful_step_count=60, deadline=None)
TestSlotTable: Any = SlotModel.TestCase
TestInsideTable: Any = InsideModel.TestCase
TestAssocTable: Any = AssocModel.TestCase


class Assoc:
    """An assoc table with its memory, as tests look at it."""

    def __init__(self, capacity: int, buckets: int) -> None:
        self.shape = assoc_shape(capacity, buckets)
        self.memory = bytearray(self.shape.elements * self.shape.stride)
        self.hits = hits_of(self.shape)
        self.index = bytearray(buckets * WAYS * 8)
        self.clock = Clock()
        self.table = AssocTable(self.shape, self.memory, self.hits, self.index, self.clock)

    def element(self, number: int) -> int:
        return reference_lookup(self.index, self.memory, self.shape, assoc_key(number))


def test_packets_in_flight_are_carried_through_a_chain_of_modifications() -> None:
    assoc = Assoc(8, 4)
    assoc.table.insert(assoc_key(1), 1, bytes(8))
    seen = [assoc.element(1)]
    for n in range(3):
        assoc.table.modify(assoc_key(1), 1, bytes([n + 1]) * 8)
        seen.append(assoc.element(1))
    assert len(set(seen)) == 4
    for element in seen:  # packets that found their element before the modifications
        count_packet(assoc.hits, assoc.shape, element, 100)
    assoc.clock.now += GRACE_NS
    entry = assoc.table.get(assoc_key(1))
    assert entry is not None
    assert (entry.packets, entry.bytes) == (4, 400)


def test_an_element_is_not_used_again_within_its_grace_time() -> None:
    assoc = Assoc(8, 4)
    assoc.table.insert(assoc_key(1), 1, bytes(8))
    old = assoc.element(1)
    assoc.table.delete(assoc_key(1))
    for number in range(2, 10):
        assoc.table.insert(assoc_key(number), 1, bytes(8))
    assert old not in {assoc.element(n) for n in range(2, 10)}
    assoc.clock.now += GRACE_NS
    assoc.table.modify(assoc_key(2), 2, bytes(8))
    assert assoc.element(2) == old


def test_a_full_table_can_still_be_modified() -> None:
    assoc = Assoc(8, 4)
    for number in range(8):
        assoc.table.insert(assoc_key(number), 1, bytes(8))
    for turn in range(40):
        assoc.table.modify(assoc_key(turn % 8), 1, bytes([turn]) * 8)
    with pytest.raises(TableFull, match="full with 8 entries"):
        assoc.table.insert(assoc_key(99), 1, bytes(8))


@pytest.mark.parametrize("layout", ["slot", "assoc"])
def test_a_scan_shows_the_entries_as_they_were_when_it_was_asked_for(layout: str) -> None:
    shape = slot_shape(16) if layout == "slot" else assoc_shape(16, 4)
    memory, hits = bytearray(shape.elements * shape.stride), hits_of(shape)
    table = open_table(shape, TableMemory(memory, hits, bytearray(shape.buckets * WAYS * 8)))
    key = slot_key if layout == "slot" else assoc_key
    data = bytes(shape.data_size)
    for number in range(5):
        table.insert(key(number), 1, data)
        table.set_counters(key(number), number, 100 * number)
    seen = table.scan()
    table.modify(key(1), 1, b"\1" * shape.data_size)
    table.delete(key(2))
    table.insert(key(9), 1, data)
    table.set_counters(key(3), 77, 77)
    for element in range(shape.elements):
        count_packet(hits, shape, element, 60)
    assert sorted(seen) == [RawEntry(key(n), 1, data, n, 100 * n) for n in range(5)]
    assert len([*table.scan()]) == 5


def test_without_free_elements_the_writer_waits_out_the_grace_time() -> None:
    assoc = Assoc(8, 4)
    table = AssocTable(assoc.shape, assoc.memory, assoc.hits, assoc.index)
    for number in range(8):
        table.insert(assoc_key(number), 1, bytes(8))
    for turn in range(100):
        table.modify(assoc_key(turn % 8), 1, bytes([turn]) * 8)
    assert [e.data[0] for e in sorted(table.scan())] == [96, 97, 98, 99, 92, 93, 94, 95]


def test_full_buckets_make_room_by_moving_an_entry() -> None:
    assoc = Assoc(60, 8)  # 64 ways for 60 entries
    inserted = []
    for number in range(60):
        try:
            assoc.table.insert(assoc_key(number), 1, bytes(8))
            inserted.append(number)
        except TableFull:
            continue
    assert len(inserted) >= 56
    assert all(assoc.element(n) for n in inserted)
    again = AssocTable(assoc.shape, assoc.memory, assoc.hits, assoc.index)
    assert len(again) == len(inserted)


def address_patterns() -> dict[str, list[bytes]]:
    """Keys as networks have them: two words in network order that differ in few, late octets."""
    return {
        "consecutive second": [struct.pack(">QQ", 1, n) for n in range(16384)],
        "consecutive first": [struct.pack(">QQ", n, 1) for n in range(16384)],
        "pairs": [struct.pack(">QQ", n >> 7, n & 127) for n in range(16384)],
        "every 256th": [struct.pack(">QQ", 1, n << 8) for n in range(16384)],
    }


@pytest.mark.parametrize("pattern", list(address_patterns()))
def test_addresses_spread_over_all_buckets(pattern: str) -> None:
    """A table takes as many entries as it promises, whatever the addresses look like."""
    shape = assoc_shape(16384, 4096)
    memory, index = bytearray(shape.elements * shape.stride), bytearray(shape.buckets * WAYS * 8)
    table = AssocTable(shape, memory, hits_of(shape), index)
    for key in address_patterns()[pattern]:
        table.insert(key, 1, bytes(8))
    ways = memoryview(index).cast("Q").tolist()
    full = sum(0 not in ways[at : at + WAYS] for at in range(0, len(ways), WAYS))
    assert full < 4096 // 100


def test_an_entry_left_in_both_buckets_is_found_once_after_a_restart() -> None:
    assoc = Assoc(8, 4)
    number = next(n for n in range(99) if len(set(reference_places(assoc_key(n), 4)[1:])) == 2)
    assoc.table.insert(assoc_key(number), 1, bytes(8))
    ways = memoryview(assoc.index).cast("Q")
    second = reference_places(assoc_key(number), 4)[2]
    ways[second * WAYS] = next(w for w in ways if w)
    again = AssocTable(assoc.shape, assoc.memory, assoc.hits, assoc.index)
    assert len(again) == 1
    assert sum(1 for w in ways if w) == 1
    assert again.get(assoc_key(number))


def test_no_bucket_has_two_ways_with_one_tag() -> None:
    """The programs look at one entry a bucket: keys with the same tag go to one bucket each."""
    memory = bytearray(2 * WAYS * 8)
    index = AssocIndex("t", memory, 2)
    places = Places(5, 0, 1)
    buckets = []
    for element in (1, 2):
        way = index.free_way(places)
        index.name(way, places.tag, element)
        buckets.append(way // WAYS)
    assert sorted(buckets) == [0, 1]
    with pytest.raises(TableFull, match="table t has no room for this key"):
        index.free_way(places)


def test_memory_must_fit() -> None:
    shape = assoc_shape(8, 4)
    memory, index = bytearray(shape.elements * shape.stride), bytearray(4 * WAYS * 8)
    hits = hits_of(shape)
    with pytest.raises(MemoryMismatch, match="table t needs"):
        AssocTable(shape, memory[:-1], hits, index)
    with pytest.raises(MemoryMismatch, match="table t needs"):
        AssocTable(shape, memory, hits[:-1], index)
    with pytest.raises(MemoryMismatch, match="memory of its index"):
        open_table(shape, TableMemory(memory, hits))
    memoryview(index).cast("Q")[3] = 1 << 32 | 9999
    with pytest.raises(MemoryMismatch, match="names element 9999"):
        AssocTable(shape, memory, hits, index)


def test_opening_a_large_table_counts_its_entries() -> None:
    shape = assoc_shape(100_000, 1 << 15)
    memory, index = bytearray(shape.elements * shape.stride), bytearray(shape.buckets * WAYS * 8)
    table = AssocTable(shape, memory, hits_of(shape), index)
    for number in range(20_000):
        table.insert(assoc_key(number), 1, bytes(8))
    begin = time.perf_counter()
    assert len(AssocTable(shape, memory, hits_of(shape), index)) == 20_000
    assert time.perf_counter() - begin < 5  # guards against a scan element by element, not a measurement
