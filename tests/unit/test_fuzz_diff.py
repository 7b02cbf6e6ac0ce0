# SPDX-License-Identifier: Apache-2.0
"""The differential fuzzer without targets: what it makes, what differs for it, how it minimises."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from moorline.wire import Event
from tools.fuzz.diff.drive import Case
from tools.fuzz.diff.entries import EntryGenerator
from tools.fuzz.diff.keep import keep
from tools.fuzz.diff.minimise import kind, minimise
from tools.fuzz.diff.play import Result, Window, differences, even_out, on_path, playable
from tools.fuzz.graph_scene import ROUNDS
from tools.fuzz.scene import PLAIN
from tools.vectors import files
from tools.vectors.cases import vectors
from tools.vectors.compare import NOTHING, differing, packets_text
from tools.vectors.entries import BASE
from tools.vectors.model import Entry, PacketIn
from tools.vectors.target import Count, moved

DELIVERED = files.read("delivery/ipv4-over-ipv4").steps[0].frame
CHECKED = files.read("udp/checksum-right").steps[0].frame
PORT = 1


def result(event: Event = Event.TX, **fields: object) -> Result:
    once = Count(1, len(DELIVERED))
    return replace(Result({(PORT, Event.RX): once, (PORT, event): once}), **fields)


# ---- entries


def test_the_same_seed_gives_the_same_entries() -> None:
    one, other = EntryGenerator(7), EntryGenerator(7)
    assert [one.entries() for _ in range(5)] == [other.entries() for _ in range(5)]
    assert EntryGenerator(8).entries() != EntryGenerator(7).entries()


def test_sets_of_entries_differ_and_hold_no_key_twice() -> None:
    generator = EntryGenerator(1)
    sets = [generator.entries(number) for number in (None, *range(ROUNDS)) for _ in range(10)]
    assert PLAIN in sets
    assert len(set(map(repr, sets))) > 40
    for entries in sets:
        keys = [(entry.table, entry.priority, *entry.key.items()) for entry in entries]
        assert len(set(keys)) == len(keys)
    actions = {entry.action for entries in sets for entry in entries}
    assert actions >= {
        "deliver",
        "relay",
        "local",
        "encapsulate",
        "reject",
        "from_node",
        "underlay",
        "access",
        "edge",
        "peer",
        *("to_peer", "to_node", "to_group", "end", "closed", "pin", "choose"),
        *("resume_path", "resume_class", "jump", "set_path", "bypass", "deny", "admit"),
        *("route_port", "route_node", "route_tunnel"),
    }


# ---- what differs


def test_equal_results_do_not_differ() -> None:
    assert differences(result(), result(), complete=True) == []


def test_each_kind_of_difference_is_told() -> None:
    frame = (PacketIn(PORT, Event.PUNT_TOO_BIG, 1), DELIVERED)
    for other, told in (
        (result(Event.DROP_SOURCE), f"port_events 1 TX: (1, {len(DELIVERED)}), (0, 0)"),
        (result(left={10: [DELIVERED]}), "packets from port 10"),
        (result(passed=[DELIVERED]), "packets that pass"),
        (result(punted=[frame]), "packet-ins"),
        (result(wrong=["verdict 9 on frame 0"]), "verdict 9 on frame 0"),
    ):
        assert differences(result(), other, complete=True)[0] == told


def test_a_way_that_is_not_there_has_one_name() -> None:
    assert differences(result(Event.DROP_NO_ROUTE), result(Event.DROP_NO_NEIGHBOUR), complete=True) == []


def test_link_layers_count_only_where_both_write_them() -> None:
    other = b"\2" * 12 + DELIVERED[12:]
    one, two = result(left={PORT: [DELIVERED]}), result(left={PORT: [other]})
    assert differences(one, two, complete=False) == []
    assert differences(one, two, complete=True) == ["packets from port 1"]


def test_what_tc_leaves_to_the_kernel_is_told_as_lost() -> None:
    sent = {0: (PORT, DELIVERED)}
    tc, xdp = result(sent=sent, left={PORT: [DELIVERED]}), result(Event.DROP_NO_NEIGHBOUR)
    window = Window(10, (DELIVERED,))
    tc.events = {(10, event): count for (_, event), count in tc.events.items()}
    xdp.events = {(10, event): count for (_, event), count in xdp.events.items()}
    assert differences(even_out(tc, xdp, window), xdp, complete=False) == []
    other = result(Event.DROP_SOURCE)
    other.events = {(10, event): count for (_, event), count in other.events.items()}
    assert differences(even_out(tc, other, window), other, complete=False) != []


def test_frames_that_a_switch_cannot_treat_alike_are_left_out() -> None:
    assert playable(DELIVERED)
    assert playable(CHECKED)
    assert playable(CHECKED + bytes(4)), "padding of zeros"
    assert not playable(CHECKED + b"\1")
    assert not on_path(DELIVERED)
    assert on_path(files.read("service/to-node-ipv4").steps[0].frame)
    assert playable(DELIVERED + b"\1"), "no checksum, no sum"
    assert not playable(DELIVERED[:12] + b"\x81\0\0\1\x08")


@given(st.binary(min_size=15, max_size=200))
def test_any_frame_is_judged(frame: bytes) -> None:
    assert playable(frame) in (True, False)


def test_counts_move() -> None:
    before = {(1, Event.RX): Count(2, 200), (1, Event.TX): Count(1, 100)}
    after = {**before, (1, Event.TX): Count(3, 300), (2, Event.RX): Count(1, 9)}
    assert moved(before, after) == {(1, Event.TX): Count(2, 200), (2, Event.RX): Count(1, 9)}


# ---- minimising


def test_a_case_comes_down_to_what_it_takes() -> None:
    needed = BASE[3]

    def differs(entries: tuple[Entry, ...], port: int, frame: bytes) -> str:
        return f"x: ({len(frame)}, 1), (0, 0)" if needed in entries and b"u" in frame else ""

    frame = bytes(range(1, 100)) + b"u" + bytes(range(1, 50))
    small = minimise(Case(BASE, PORT, frame, differs(BASE, PORT, frame)), differs)
    assert small.entries == (needed,)
    assert small.frame.strip(b"\0") == b"u"
    assert len(small.frame) < len(frame)


def test_a_case_does_not_become_another_difference() -> None:
    def differs(entries: tuple[Entry, ...], port: int, frame: bytes) -> str:
        return "packet-ins" if len(frame) > 100 else "packets that pass"

    small = minimise(Case(BASE, PORT, b"\1" * 150, "packet-ins"), differs)
    assert (len(small.frame), small.difference) == (101, "packet-ins")


def test_kinds_are_told_apart_by_counts_that_are_zero_alone() -> None:
    assert kind("a: (3, 30), (0, 0)") == kind("a: (1, 10), (0, 0)") != kind("a: (0, 0), (1, 10)")


def test_a_case_is_kept_with_what_the_rules_say(tmp_path: Path) -> None:
    vector = files.read("delivery/ipv4-over-ipv4")
    step = vector.steps[0]
    kept = files.read(keep(Case(vector.entries, step.port, step.frame, "why"), tmp_path), tmp_path)
    assert (kept.entries, kept.steps, kept.description) == (vector.entries, vector.steps, "why")
    assert vectors(tmp_path)[-1] == kept
    files.write(vectors(tmp_path), tmp_path)
    assert files.read(kept.path, tmp_path) == kept, "making all anew keeps it"


# ---- side by side


def test_facts_that_differ_are_named() -> None:
    assert differing([{"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}]) == ["b", "c"]


def test_packets_are_shown_by_what_differs() -> None:
    one, other = DELIVERED.hex(), (DELIVERED[:22] + b"\x07" + DELIVERED[23:]).hex()
    text = packets_text(["xdp", "bmv2", "tc"], [one, other, NOTHING], complete=True)
    assert "-      ttl       = 64" in text
    assert "+      ttl       = 7" in text
    assert text.index("xdp:") < text.index("bmv2:") < text.index("tc:")
