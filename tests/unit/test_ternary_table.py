# SPDX-License-Identifier: Apache-2.0
"""Ternary tables against a sorted list, looked up between any two stores of the writer."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dataplane.bpf import elements
from dataplane.bpf.elements import (
    GRACE_NS,
    Elements,
    EntryExists,
    EntryMissing,
    Memory,
    MemoryMismatch,
    RawEntry,
    TableFull,
    TableMemory,
)
from dataplane.bpf.table_map import open_table
from dataplane.bpf.ternary_table import TernaryTable
from dataplane.contract.layout import MASKS, ORDERS, WAYS, LayoutError, TableShape, shape_from_json
from tests.unit.fake_pipeline import HITS_ROWS, U8, U32, U64, entry, orders_of, union
from tests.unit.fake_pipeline import struct as record
from tests.unit.test_table_map import Clock, count_packet, hits_of, reference_places


def ternary_shape(capacity: int, buckets: int) -> TableShape:
    key = ["key", record("t_key", ["one", U64], ["two", U64])]
    leaf = entry("t", key, ["tuple", U32], ["priority", U32], ["action", U32], union(go=[["to", U8, [4]]]))
    described = {"capacity": capacity, "buckets": buckets, "hits_rows": HITS_ROWS, "value_size": 32}
    return shape_from_json("t", {"layout": "ternary", "leaf_desc": leaf, **described})


def words(one: int, two: int) -> bytes:
    return struct.pack("=QQ", one, two)


def anded(packet: bytes, mask: bytes) -> bytes:
    return bytes(a & b for a, b in zip(packet, mask, strict=True))


def key_of(value: bytes, mask: bytes, priority: int) -> bytes:
    return anded(value, mask) + mask + struct.pack("=I", priority)


def priority_of(key: bytes) -> int:
    return int(struct.unpack("=I", key[-4:])[0])


def matches(key: bytes, packet: bytes) -> bool:
    return anded(packet, key[16:32]) == key[:16]


@cache
def places(number: int, value: bytes, buckets: int) -> tuple[int, int, int]:
    return reference_places(struct.pack("=Q", number) + value, buckets)


class Watched:
    """A view whose every store is followed by a look at the whole table."""

    look: Callable[[], None] | None = None

    def __init__(self, octets: memoryview) -> None:
        self._octets = octets

    def __getitem__(self, at: Any) -> Any:
        found = self._octets[at]
        return Watched(found) if isinstance(found, memoryview) else found

    def __setitem__(self, at: Any, value: Any) -> None:
        self._octets[at] = value
        if Watched.look is not None:
            Watched.look()

    def __eq__(self, other: object) -> bool:
        return self._octets == other

    __hash__ = None  # type: ignore[assignment]

    def cast(self, code: str) -> Watched:
        return Watched(self._octets.cast(code))

    def tolist(self) -> Any:
        return self._octets.tolist()

    def tobytes(self) -> bytes:
        return self._octets.tobytes()


class Tuples:
    """A ternary table with its memory, as a BPF program looks at it (ebpf/ternary.h, classifier.h)."""

    def __init__(self, capacity: int = 16, buckets: int = 4) -> None:
        self.shape = ternary_shape(capacity, buckets)
        masks, order = orders_of(self.shape)
        self.memory = TableMemory(
            bytearray(self.shape.elements * self.shape.stride),
            hits_of(self.shape),
            bytearray(buckets * WAYS * 8),
            masks,
            order,
        )
        self.clock = Clock()
        self.table = self.open()
        self.cache: dict[bytes, tuple[int, int]] = {}

    def open(self) -> TernaryTable:
        """As a restarted agent does."""
        real = elements.view

        def watched(name: str, memory: Memory, size: int) -> Any:
            return Watched(real(name, memory, size))

        with ExitStack() as patches:
            for module in ("assoc_index", "mask_order"):
                patches.enter_context(patch(f"dataplane.bpf.{module}.view", watched))
            return TernaryTable(self.shape, self.memory, self.clock)

    def version(self) -> int:
        """The order in force."""
        return memoryview(self.memory.order or b"").cast("Q")[0] & 0xFFFFFFFF

    def search(self, packet: bytes, version: int = 0) -> int:
        """What a program finds that has no flow cache, and began with this version: the element, or 0."""
        order = memoryview(self.memory.order or b"").cast("Q")
        version = version or self.version()
        best, best_priority = 0, -1
        for step in order[version * MASKS : (version + 1) * MASKS]:
            if not step or best_priority >= step >> 32:
                break
            number = (step & 0xFFFFFFFF) - 1
            element = self._under(number, packet)
            if element and self.priority(element) > best_priority:
                best, best_priority = element, self.priority(element)
        return best

    def lookup(self, packet: bytes) -> int:
        """The same with the flow cache."""
        generation = memoryview(self.memory.order or b"").cast("Q")[0] >> 32
        line = self.cache.get(packet, (0, 0))
        if line[0] != generation:
            line = self.cache[packet] = (generation, self.search(packet))
        return line[1]

    def priority(self, element: int) -> int:
        return int(struct.unpack_from("=I", self.memory.elements, element * self.shape.stride + 20)[0])

    def found(self, element: int) -> tuple[bytes, int, int, bytes] | None:
        """Value, priority, action and parameters of an element."""
        if not element:
            return None
        octets = bytes(self.memory.elements[element * self.shape.stride :][: self.shape.stride])
        _, priority, action = struct.unpack_from("=III", octets, 16)
        return octets[:16], priority, action, octets[28:32]

    def _under(self, number: int, packet: bytes) -> int:
        mask = bytes(self.memory.masks or b"")[number * 16 : number * 16 + 16]
        value = anded(packet, mask)
        ways = memoryview(self.memory.index or b"").cast("Q")
        tag, first, second = places(number, value, self.shape.buckets)
        for bucket in (first, second):
            for way in ways[bucket * WAYS : bucket * WAYS + WAYS]:
                at = (way & 0xFFFFFFFF) * self.shape.stride
                wanted = value + struct.pack("=I", number)
                if way >> 32 == tag and self.memory.elements[at : at + 20] == wanted:
                    return way & 0xFFFFFFFF
        return 0


def best_of(entries: dict[bytes, RawEntry], packet: bytes) -> list[tuple[bytes, int, int, bytes] | None]:
    """What a packet may match: the entries of the highest priority among those that it matches."""
    matching = sorted(
        (e for e in entries.values() if matches(e.key, packet)), key=lambda e: -priority_of(e.key)
    )
    highest = [e for e in matching if priority_of(e.key) == priority_of(matching[0].key)]
    return [(e.key[:16], priority_of(e.key), e.action, e.data) for e in highest] or [None]


PACKETS = [words(one, two) for one in (0, 1, 3) for two in (0, 2, 0x102)]
VALUES = st.sampled_from(PACKETS)
BITS = (0, 1, 2, 0x100, 0xFFFF, (1 << 64) - 1)
ANY_MASK = st.builds(words, st.sampled_from(BITS[:4]), st.sampled_from(BITS))


class TernaryModel(RuleBasedStateMachine):
    """Any sequence of operations gives what a sorted list gives; in between, what it gave or will give."""

    def __init__(self) -> None:
        super().__init__()
        self.tuples = Tuples()
        self.model: dict[bytes, RawEntry] = {}

    @contextmanager
    def changing(self, to: dict[bytes, RawEntry]) -> Iterator[None]:
        """Between any two stores, each packet finds what is right before or what is right after."""
        allowed = {packet: best_of(self.model, packet) + best_of(to, packet) for packet in PACKETS}

        def look() -> None:
            for packet in PACKETS:
                for element in (self.tuples.search(packet), self.tuples.lookup(packet)):
                    assert self.tuples.found(element) in allowed[packet]

        def write(*arguments: Any) -> None:
            written(*arguments)
            look()

        Watched.look, written = look, Elements.write
        try:
            with patch.object(Elements, "write", write):
                yield
        finally:
            Watched.look = None
        self.model = to

    @rule(value=VALUES, mask=ANY_MASK, priority=st.integers(0, 5), action=st.integers(1, 3))
    def insert(self, value: bytes, mask: bytes, priority: int, action: int) -> None:
        key, data = key_of(value, mask, priority), bytes([action]) * 4
        refused = EntryExists if key in self.model else TableFull if len(self.model) == 16 else None
        if refused:
            with pytest.raises(refused), self.changing(self.model):
                self.tuples.table.insert(key, action, data)
            return
        with self.changing({**self.model, key: RawEntry(key, action, data, 0, 0)}):
            self.tuples.table.insert(key, action, data)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), action=st.integers(1, 3), to=st.binary(min_size=4, max_size=4))
    def modify(self, data: st.DataObject, action: int, to: bytes) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        with self.changing({**self.model, key: self.model[key]._replace(action=action, data=to)}):
            self.tuples.table.modify(key, action, to)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        with self.changing({k: e for k, e in self.model.items() if k != key}):
            self.tuples.table.delete(key)

    @rule(value=VALUES, mask=ANY_MASK, priority=st.integers(0, 5))
    def what_is_absent(self, value: bytes, mask: bytes, priority: int) -> None:
        key = key_of(value, mask, priority)
        if key not in self.model:
            assert self.tuples.table.get(key) is None
            for write in (
                lambda: self.tuples.table.delete(key),
                lambda: self.tuples.table.modify(key, 1, bytes(4)),
            ):
                with pytest.raises(EntryMissing):
                    write()

    @precondition(lambda self: self.model)
    @rule(data=st.data(), packets=st.integers(0, 2**64 - 1), octets=st.integers(0, 2**64 - 1))
    def set_counters(self, data: st.DataObject, packets: int, octets: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        self.tuples.table.set_counters(key, packets, octets)
        self.model[key] = self.model[key]._replace(packets=packets, bytes=octets)

    @rule(packet=VALUES, octets=st.integers(1, 1500), row=st.integers(1, HITS_ROWS - 1))
    def packet(self, packet: bytes, octets: int, row: int) -> None:
        element = self.tuples.lookup(packet)
        if element:
            count_packet(self.tuples.memory.hits, self.tuples.shape, element, octets, row)  # type: ignore[arg-type]
            (key,) = [
                e.key
                for e in self.model.values()
                if self.tuples.found(element) in best_of({e.key: e}, packet)
                and e.key[16:32] == self.mask_of(element)
            ]
            old = self.model[key]
            self.model[key] = old._replace(
                packets=(old.packets + 1) % 2**64, bytes=(old.bytes + octets) % 2**64
            )

    @rule(ns=st.integers(0, 2 * GRACE_NS))
    def time_passes(self, ns: int) -> None:
        self.tuples.clock.now += ns

    @rule()
    def reopen(self) -> None:
        self.tuples.table = self.tuples.open()

    @invariant()
    def same_entries(self) -> None:
        assert {e.key: e for e in self.tuples.table.scan()} == self.model
        assert len(self.tuples.table) == len(self.model)
        for key, expected in self.model.items():
            assert self.tuples.table.get(key) == expected
        for packet in PACKETS:
            for element in (self.tuples.search(packet), self.tuples.lookup(packet)):
                assert self.tuples.found(element) in best_of(self.model, packet)

    def mask_of(self, element: int) -> bytes:
        number = struct.unpack_from(
            "=I", self.tuples.memory.elements, element * self.tuples.shape.stride + 16
        )[0]
        return bytes(self.tuples.memory.masks or b"")[number * 16 : number * 16 + 16]


TernaryModel.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestTernaryTable: Any = TernaryModel.TestCase


class Died(Exception):  # noqa: N818
    """The agent, in the middle of a change."""


def changes(table: TernaryTable) -> list[Callable[[], None]]:
    """Changes that take several stores, each with what the one before left."""
    same = (words(1, 0), words(1, 0))
    return [
        lambda: table.insert(key_of(*same, 1), 1, b"aaaa"),
        lambda: table.insert(key_of(*same, 3), 3, b"cccc"),
        lambda: table.insert(key_of(*same, 2), 2, b"bbbb"),
        lambda: table.insert(key_of(words(3, 2), words(3, 2), 9), 1, b"dddd"),
        lambda: table.modify(key_of(*same, 3), 2, b"eeee"),
        lambda: table.delete(key_of(*same, 3)),
        lambda: table.delete(key_of(*same, 2)),
        lambda: table.delete(key_of(words(3, 2), words(3, 2), 9)),
    ]


@pytest.mark.parametrize("number", range(8))
def test_an_agent_that_dies_in_a_change_leaves_it_done_or_not_done(number: int) -> None:
    """At whichever store: the next agent finds a table that is sound, and can be written."""
    for last in range(1, 99):
        tuples = Tuples()
        *first, change = changes(tuples.table)[: number + 1]
        for one in first:
            one()
        before = {e.key: e for e in tuples.table.scan()}
        left = last

        def die() -> None:
            nonlocal left
            left -= 1
            if not left:
                raise Died

        Watched.look = die
        try:
            change()
            done = True
        except Died:
            done = False
        finally:
            Watched.look = None
        tuples.clock.now += 2 * GRACE_NS
        table = tuples.table = tuples.open()
        found = {e.key: e for e in table.scan()}
        assert len(table) == len(found)
        if done:
            return
        added_or_gone = found.keys() ^ before.keys()
        assert len(added_or_gone) <= 1
        tuples.cache.clear()
        for packet in PACKETS:
            assert tuples.found(tuples.lookup(packet)) in best_of(found, packet)
        for key in list(found):
            table.delete(key)
        assert not list(table.scan())
    raise AssertionError("the change never came to its end")


def test_the_flow_cache_forgets_what_a_dead_agent_took_away() -> None:
    tuples = Tuples()
    tuples.table.insert(key_of(words(1, 0), words(1, 0), 1), 1, b"aaaa")
    packet = PACKETS[3]
    assert tuples.lookup(packet)
    Watched.look = lambda: (_ for _ in ()).throw(Died)
    with pytest.raises(Died):
        tuples.table.delete(key_of(words(1, 0), words(1, 0), 1))
    Watched.look = None
    tuples.table = tuples.open()
    assert not tuples.lookup(packet)


def test_no_more_masks_than_there_can_be() -> None:
    tuples = Tuples(capacity=100, buckets=64)
    for number in range(MASKS):
        tuples.table.insert(key_of(words(0, 0), words(number + 1, 0), 1), 1, bytes(4))
    one_more = key_of(words(0, 0), words(0, 1), 1)
    with pytest.raises(TableFull, match="table t has 64 different masks, as many as it can"):
        tuples.table.insert(one_more, 1, bytes(4))
    tuples.table.insert(key_of(words(1, 0), words(1, 0), 1), 1, bytes(4))
    tuples.table.delete(key_of(words(0, 0), words(7, 0), 1))
    tuples.clock.now += GRACE_NS
    tuples.table.insert(one_more, 1, bytes(4))
    assert len(tuples.table) == MASKS + 1


def test_a_mask_is_not_written_anew_while_a_packet_may_read_it() -> None:
    tuples = Tuples()

    def masks() -> set[bytes]:
        octets = bytes(tuples.memory.masks or b"")
        return {octets[at : at + 16] for at in range(0, len(octets), 16)}

    gone = words(1, 0)
    tuples.table.insert(key_of(gone, gone, 1), 1, bytes(4))
    tuples.table.delete(key_of(gone, gone, 1))
    tuples.table.insert(key_of(gone, words(99, 0), 1), 1, bytes(4))
    assert gone in masks()


def test_a_scan_shows_the_entries_as_they_were_when_it_was_asked_for() -> None:
    """Masks and elements are used anew meanwhile; an entry that another covers is shown too."""
    tuples = Tuples(capacity=100, buckets=64)
    value = words(1, 0)
    keys = [key_of(value, value, 1), key_of(value, value, 2), key_of(value, words(3, 0), 1)]
    for key in keys:
        tuples.table.insert(key, 1, bytes(4))
    seen = tuples.table.scan()
    for key in keys:
        tuples.table.delete(key)
    tuples.clock.now += GRACE_NS
    for number in range(MASKS):
        tuples.table.insert(key_of(words(0, 0), words(number << 8, 1), 1), 2, b"1234")
    assert sorted(seen) == sorted(RawEntry(key, 1, bytes(4), 0, 0) for key in keys)


def test_a_packet_under_way_finds_what_stays() -> None:
    """It goes on by the order that it began with, while masks come and go."""
    tuples = Tuples(capacity=100, buckets=64)
    stays = words(1, 0)
    tuples.table.insert(key_of(stays, stays, 1), 1, bytes(4))
    version, element = tuples.version(), tuples.search(stays)
    for number in range(2, 50):
        tuples.table.insert(key_of(stays, words(number, 0), number), 1, bytes(4))
        assert tuples.search(words(1, 1), version) == element
    for number in range(2, 50):
        tuples.table.delete(key_of(stays, words(number, 0), number))
        assert tuples.search(words(1, 1), version) == element


def test_more_orders_than_versions() -> None:
    """Each insertion here needs an order of its own; the writer waits out the grace time where it must."""
    tuples = Tuples(capacity=2 * ORDERS, buckets=512)
    tuples.table = open_table(tuples.shape, tuples.memory)  # type: ignore[assignment]
    for number in range(ORDERS + 5):
        tuples.table.insert(key_of(words(number, 0), words(0xFFFF, 0), number), 1, bytes(4))
    assert tuples.priority(tuples.search(words(ORDERS, 0))) == ORDERS


def test_memory_must_fit() -> None:
    tuples = Tuples()
    shape, memory = tuples.shape, tuples.memory
    with pytest.raises(MemoryMismatch, match="table t: a ternary table needs the memory of its masks"):
        open_table(shape, TableMemory(memory.elements, memory.hits, memory.index))
    tuples.table.insert(key_of(words(1, 0), words(1, 0), 1), 1, bytes(4))
    struct.pack_into("=I", memory.elements, tuples.search(words(1, 0)) * shape.stride + 16, 70)  # type: ignore[arg-type]
    with pytest.raises(MemoryMismatch, match="names the mask 70 of 64"):
        tuples.open()


def test_the_struct_of_a_ternary_table() -> None:
    tail = [["priority", U32], ["tuple", U32], ["action", U32]]
    described = {
        "layout": "ternary", "capacity": 4, "buckets": 2, "hits_rows": 2, "value_size": 24,
        "leaf_desc": entry("t", ["one", U64], *tail),
    }  # fmt: skip
    with pytest.raises(LayoutError, match="needs u32 tuple, u32 priority, u32 action in a row"):
        shape_from_json("t", described)
