# SPDX-License-Identifier: Apache-2.0
"""The pure parts of graphs: files, paths, rules, numbers, Maglev."""

from __future__ import annotations

import random
from collections import Counter
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.errors import ExhaustedError, InvalidRequestError
from control.graphs.allocate import FIRST_LABEL, LAST_LABEL, Numbers, PathNumbers
from control.graphs.compile import FIRST_INDEX, Match, Plan, Step, matches_of, plans_of, port_masks
from control.graphs.maglev import BUCKETS, bucket_of, spread, table
from control.graphs.model import GraphSpec, Ports, read_graph
from control.graphs.records import Graph, Version
from moorline.errors import MoorlineError

NAMES = [f"peer-{n}" for n in range(12)]
WEB = """
name: web
applies:
  - prefixes: [10.20.0.0/16]
    servers: [203.0.113.0/24]
    protocol: tcp
    ports: [80, 443, 8000-8010]
forward:
  - firewall
  - branch:
      - when: {ports: [80]}
        path: [{peer: filter, fail: open}, cache]
      - path: [filter]
  - stats
"""

# ---- Maglev ------------------------------------------------------------------------------------------------

living = st.sets(st.sampled_from(NAMES))


def test_the_table_is_even():
    for count in range(1, len(NAMES) + 1):
        shares = Counter(table(tuple(NAMES[:count]))).values()
        assert max(shares) - min(shares) <= 2
        assert sum(shares) == BUCKETS


@given(living, living, st.sets(st.sampled_from(NAMES), max_size=3))
def test_a_bucket_moves_for_its_own_instances_sake_only(before: set[str], after: set[str], spares: set[str]):
    ordinary = set(NAMES) - spares
    one, other = spread(ordinary, spares, before), spread(ordinary, spares, after)
    for was, now in zip(one, other, strict=bool(one and other)):
        if was != now:
            assert was not in after or now not in before or (was in spares) != (now in spares)


@given(living, st.sets(st.sampled_from(NAMES), max_size=3))
def test_only_the_living_take_buckets_and_spares_only_alone(alive: set[str], spares: set[str]):
    buckets = spread(set(NAMES) - spares, spares, alive)
    assert len(buckets) == (BUCKETS if alive else 0)
    assert set(buckets) <= alive
    assert not alive - spares or not set(buckets) & spares


def test_the_buckets_of_a_lost_instance_are_shared_out():
    buckets = spread(NAMES, (), NAMES[1:])
    lost = [owner for owner, was in zip(buckets, table(tuple(sorted(NAMES))), strict=True) if was == NAMES[0]]
    assert len(set(lost)) > len(NAMES) // 2


def test_buckets_are_those_of_the_wire_format():
    # Computed by the rule in docs/wire-format.md, S5.
    def by_the_book(address: bytes) -> int:
        h = 0x9E3779B97F4A7C15
        for word in (address[:8], address[8:]):
            h = ((h ^ int.from_bytes(word)) * 0xFF51AFD7ED558CCD) % 2**64
        return h // 2**32 % 256

    some = random.Random(4).randbytes
    assert all(bucket_of(address) == by_the_book(address) for address in (some(16) for _ in range(100)))


# ---- files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("forward:", "forwrd:"), "unknown key forwrd: did you mean forward?"),
        (("fail: open", "fail: maybe"), "key forward[1].branch[0].path[0].fail = 'maybe' is wrong"),
        (("10.20.0.0/16", "10.20.0.1/16"), "this has bits behind its length: write 10.20.0.0/16"),
        (("8000-8010", "80-70"), "ports are from 1 to 65535, the lower one first"),
        (("name: web", "name: web\nname: b"), "line 3, column 1: the key name stands twice"),
        (("name: web", "name: &a web"), ""),
        (("name: web", "name: [*a]"), "aliases are not taken here"),
        (("name: web", "name: !!python/object:os.system x"), "could not determine a constructor"),
        (("name: web", "name: 'We b'"), "a name has up to 63 small letters"),
        (("tcp", "quic"), "write one of icmp, tcp, udp"),
        (("    protocol: tcp\n", "    services: {client: a.b, server: c.d}\n"), "services stand alone"),
        (("  - stats\n", "  - stats\nreverse: backwards\n"), "write same, none, or a list of hops"),
        (
            ("  - stats\n", "  - stats\nreverse: [{pear: x}]\n"),
            "unknown key reverse[0].pear: did you mean peer?",
        ),
        (("      - path: [filter]", "      - path: [x]\n      - path: [filter]"), "write it last"),
        (("  - prefixes: [10.20.0.0/16]\n    servers", "  - servers"), "nobody is named"),
        (("10.20.0.0/16", "'::/0'"), "write 2000::/3"),
    ],
)
def test_a_wrong_file_is_refused_with_key_and_mend(change: tuple[str, str], why: str):
    text = WEB.replace(*change)
    assert text != WEB
    if not why:
        read_graph(text, "web.yaml")
        return
    with pytest.raises(MoorlineError) as refused:
        read_graph(text, "web.yaml")
    assert why in str(refused.value) and "web.yaml" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "a: [", "[" * 5000, "x", "? [1]\n: 2", "\0", "name: 2001-99-99", "- a", "%"]
)
def test_what_is_no_yaml_is_refused_in_a_sentence(text: str):
    with pytest.raises(MoorlineError, match=r"web\.yaml") as refused:
        read_graph(text, "web.yaml")
    assert "\n" not in str(refused.value)


@settings(max_examples=300)
@given(st.text(alphabet="abn:- []{},*&!?\n\"'|>%@`0", max_size=60))
def test_any_text_is_a_graph_or_refused(text: str):
    with pytest.raises(MoorlineError):
        read_graph(text, "web.yaml")


def test_a_version_is_read_back_from_the_store():
    spec = read_graph(WEB, "web.yaml")
    numbers = {
        plan.key: PathNumbers(n << 8, tuple(range(16, 16 + len(plan.steps))))
        for n, plan in enumerate(plans_of(spec), 1)
    }
    graph = Graph("web", Version(spec, numbers), None, (Version(spec, numbers),), 7)
    again = Graph.decode(graph.key, graph.encode())
    assert [(one.spec, one.numbers) for one in again.versions] == [(spec, numbers)] * 2
    assert again.active is not None
    assert (len(again.former), again.applied_ns) == (1, 7)


# ---- paths and rules ---------------------------------------------------------------------------------------


def paths(text: str) -> dict[str, list[str]]:
    return {plan.key: [step.kind for step in plan.steps] for plan in plans_of(read_graph(text, "web.yaml"))}


def test_branches_become_paths_and_the_way_back_is_turned():
    assert paths(WEB) == {
        "forward/1": ["firewall", "filter", "cache", "stats"],
        "forward/2": ["firewall", "filter", "stats"],
        "reverse/1": ["stats", "cache", "filter", "firewall"],
        "reverse/2": ["stats", "filter", "firewall"],
    }
    assert set(paths(WEB + "reverse: none\n")) == {"forward/1", "forward/2"}
    assert paths(WEB + "reverse: [stats]\n")["reverse"] == ["stats"]
    without = WEB.replace("      - path: [filter]\n", "")
    assert paths(without)["forward/0"] == ["firewall", "stats"]


def test_behind_a_peer_the_index_is_the_same_on_all_paths_of_a_direction():
    behind: dict[tuple[bool, str], set[int]] = {}
    for plan in plans_of(read_graph(WEB, "web.yaml")):
        indices = [plan.index(position) for position in range(len(plan.steps) + 1)]
        assert indices[0] == FIRST_INDEX
        assert indices == sorted(set(indices), reverse=True)
        assert [plan.position(index) for index in indices] == list(range(len(indices)))
        for step, index in zip(plan.steps, indices[1:], strict=True):
            behind.setdefault((plan.reverse, step.kind), set()).add(index)
    assert {kind for _, kind in behind} == {"firewall", "filter", "cache", "stats"}
    assert all(len(indices) == 1 for indices in behind.values())


def test_kinds_in_contrary_orders_have_the_indices_of_their_places():
    hop = "{branch: [{when: {ports: [1]}, path: [a, b]}, {path: [b, a]}]}"
    text = f"name: x\napplies: [{{prefixes: [10.0.0.0/8]}}]\nforward: [{hop}]\n"
    for plan in plans_of(read_graph(text, "x.yaml")):
        assert [plan.index(position) for position in range(3)] == [255, 254, 253]


def test_too_many_paths_are_refused():
    hop = "{branch: [{when: {ports: [1]}, path: [a]}, {path: [b]}]}"
    with pytest.raises(InvalidRequestError, match="make more than 64 paths"):
        paths(f"name: x\napplies: [{{prefixes: [10.0.0.0/8]}}]\nforward: [{', '.join([hop] * 7)}]\n")


ports = st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(lambda p: Ports(min(p), max(p)))


@given(ports, st.integers(0, 65535))
def test_masks_cover_a_range_and_nothing_else(wanted: Ports, port: int):
    masks = list(port_masks(wanted))
    hits = [value for value, mask in masks if port & mask == value]
    assert len(hits) == (1 if wanted.first <= port <= wanted.last else 0)
    assert len(masks) <= 30 and all(value & ~mask == 0 for value, mask in masks)


conditions = st.fixed_dictionaries(
    {},
    optional={
        "protocol": st.sampled_from([6, 17]),
        "ports": st.lists(ports.map(str), min_size=1, max_size=2),
        "servers": st.lists(
            st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24"]), min_size=1, max_size=2
        ),
    },
)
arms = st.lists(conditions.filter(bool), min_size=1, max_size=3)


@settings(max_examples=200, deadline=None)
@given(
    conditions,
    st.lists(arms, min_size=1, max_size=2),
    st.sampled_from(["10.1.2.3", "10.9.9.9", "192.0.2.7", "8.8.8.8"]),
    st.sampled_from([6, 17, 1]),
    st.integers(0, 65535),
)
def test_a_packet_takes_the_first_path_whose_conditions_it_meets(
    applies: dict[str, object], branches: list[list[dict[str, object]]], server: str, protocol: int, port: int
):
    hops = [
        {"branch": [{"when": when, "path": [f"p{b}-{n}"]} for n, when in enumerate(some, 1)]}
        for b, some in enumerate(branches)
    ]
    spec = GraphSpec.model_validate(
        {"name": "x", "applies": [{"prefixes": ["172.16.0.0/12"], **applies}], "forward": hops}
    )

    def meets(when: dict[str, object]) -> bool:
        fits = when.get("protocol", protocol) == protocol
        if "ports" in when:
            fits &= any(p.first <= port <= p.last for p in map(to_ports, when["ports"]))  # type: ignore[call-overload]
        if "servers" in when:
            fits &= any(ip_address(server) in ip_network(s) for s in when["servers"])  # type: ignore[attr-defined]
        return fits

    wanted = None
    if meets(applies):
        choices = [next((n for n, when in enumerate(some, 1) if meets(when)), 0) for some in branches]
        wanted = "/".join(["forward", *map(str, choices)])
    packet = Match(ip_network("172.16.1.1"), ip_network(server), protocol, Ports(5, 5), Ports(port, port))
    for reverse in (False, True):
        looked = packet.turned() if reverse else packet
        plans = sorted((p for p in plans_of(spec) if p.reverse == reverse), key=lambda p: p.order)
        taken = next((p for p in plans if fitting(spec, p, looked)), None)
        if reverse:
            assert (taken is None) == (wanted is None)
            kinds = [step.kind for step in taken.steps][::-1] if taken else None
            assert kinds == (steps_of(spec, wanted) if wanted else None)
        else:
            assert (taken.key if taken else None) == wanted


def to_ports(text: str) -> Ports:
    first, _, last = text.partition("-")
    return Ports(int(first), int(last or first))


def steps_of(spec: GraphSpec, key: str) -> list[str]:
    return next([step.kind for step in plan.steps] for plan in plans_of(spec) if plan.key == key)


def fitting(spec: GraphSpec, plan: Plan, packet: Match) -> bool:
    item = spec.applies[0]
    return any(match.meets(packet) for match in matches_of(plan, item, item.prefixes))


# ---- numbers -----------------------------------------------------------------------------------------------


def test_versions_share_a_family_and_no_number_comes_back_soon():
    numbers = Numbers()
    plan = Plan("forward", (Step("a", False), Step("b", False)), False, False, ranks=(0, 1))
    taken = [numbers.name_path(plan, None, [])]
    for _ in range(300):
        taken = [*taken[-3:], numbers.name_path(plan, taken[-1], taken[-4:])]
        assert len({path.spi for path in taken}) == len(taken)
        assert len({path.family for path in taken}) == 1
        labels = [label for path in taken for label in path.labels]
        assert len(set(labels)) == len(labels)
        assert all(FIRST_LABEL <= label <= LAST_LABEL for label in labels)
    assert numbers.name_path(plan, None, []).family == taken[0].family + 1
    assert Numbers.decode(numbers.encode()) == numbers


def test_numbers_run_out_in_a_sentence():
    numbers = Numbers()
    with pytest.raises(ExhaustedError, match="all numbers for a group"):
        numbers.name_peers([f"kind{n}" for n in range(256)], [])
