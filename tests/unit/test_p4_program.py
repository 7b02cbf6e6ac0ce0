# SPDX-License-Identifier: Apache-2.0
"""The P4 program is the contract: what is checked in is compiled from it, and all parts use its numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from finsy.proto import p4i
from google.protobuf import text_format

from dataplane.bpf.source import SOURCES, declared_tables, joined
from dataplane.contract.p4info import P4Info, load_p4info
from moorline import wire
from tools import contract
from tools.contract import P4, P4INFO, SWITCH

TABLES = {
    **{"port_role": 1, "terminate": 2, "scid": 3, "connection": 4, "locator": 5, "uplink": 6, "origin": 7},
    **{"shortcut": 10, "device": 12, "path_hop": 13, "affinity": 14, "member": 15, "resume": 16},
    **{"classifier": 11, "route": 17},
}
SWITCH_ONLY = {"fib": 8, "own_address": 9}
_IN_ORDER = (
    *("unassigned", "underlay", "access", "leave", "open", "unknown_scid", "deliver", "miss", "encapsulate"),
    *("reject", "unknown_node", "set_paths", "no_uplink", "set_source", "relay", "stranger", "from_node"),
    *("no_neighbour", "next_hop", "local", "not_own", "answer", "edge", "peer", "jump", "no_shortcut"),
    *("set_path", "bypass", "deny", "unclassified", "admit", "stranger_device", "to_peer", "to_node"),
    *("to_group", "end", "closed", "unknown_path", "pin", "unpinned", "choose", "no_member", "resume_path"),
    *("resume_class", "unknown_peer", "route_port", "route_node", "route_tunnel", "no_way"),
)
ACTIONS = {name: number for number, name in enumerate(_IN_ORDER, start=1)}
TABLE_IDS, ACTION_IDS, COUNTER_IDS, DIRECT_IDS, PACKET_IDS = (n << 24 for n in (0x02, 0x01, 0x12, 0x13, 0x04))
"""Where the numbers of each kind begin (P4Runtime specification, "ID Allocation for P4Info Objects")."""

CONSTANTS = {
    "TUNNEL_GENEVE": wire.Tunnel.GENEVE,
    "GENEVE_PORT": wire.GENEVE_PORT,
    "OAM_PORT": wire.OAM_PORT,
    "OPTION_MAGIC": wire.OPTION_CLASS << 16 | wire.OPTION_TYPE << 8 | wire.OPTION_WORDS,
    "OPTION_CLASS_TYPE": wire.OPTION_CLASS << 8 | wire.OPTION_TYPE,
    "OPTION_TOTAL_WORDS": wire.OPTION_WORDS + 1,
    "OVERHEAD_IPV4": wire.OVERHEAD_IPV4,
    "OVERHEAD_IPV6": wire.OVERHEAD_IPV6,
}
SHARED_WITH_C = ("HASH_SEED", "HASH_FACTOR", "FLOW_PORT_BASE", "OPTION_MAGIC_MASK", "OUTER_TTL")


def constants(source: Path) -> dict[str, int]:
    """Constants of a P4 or C source."""
    found = re.findall(
        r"^(?:const \S+ +|#define )(\w+)(?: += | +)(0x\w+|\d+)", source.read_text(), re.MULTILINE
    )
    return {name: int(re.sub(r"(?i)u?l*$", "", value), 0) for name, value in found}


@pytest.fixture(scope="module")
def p4info() -> P4Info:
    return load_p4info(P4 / P4INFO)


@pytest.mark.parametrize("program", contract.PROGRAMS, ids=lambda program: program.name)
def test_what_is_checked_in_is_compiled_from_the_program(program: contract.Program) -> None:
    if contract.compiler() is None:
        pytest.skip("needs p4c on the PATH")
    compiled = contract.compile_program(program)
    parsed = [text_format.Parse(t, p4i.P4Info()) for t in (compiled.p4info, program.p4info.read_text())]
    assert parsed[0] == parsed[1], "run make p4"
    assert compiled.switch == program.switch.read_text(), "run make p4"


def test_the_program_of_the_switch_names_no_place_on_a_machine() -> None:
    def texts(part: Any) -> set[str]:
        if isinstance(part, dict):
            return set(part).union(*map(texts, part.values()))
        return set().union(*map(texts, part)) if isinstance(part, list) else {str(part)}

    switch = json.loads((P4 / SWITCH).read_text())
    assert {text for text in texts(switch) if "/" in text} == {switch["__meta__"]["compiler"]}
    assert "source_info" not in texts(switch)


def test_the_switch_has_the_tables_of_the_contract(p4info: P4Info) -> None:
    switch = json.loads((P4 / SWITCH).read_text())
    ingress = {t["name"]: t for t in switch["pipelines"][0]["tables"]}
    for table in p4info.message.tables:
        made = ingress[table.preamble.name]
        assert made["max_size"] == table.size
        assert made["with_counters"]
        assert made["support_timeout"] == (table.idle_timeout_behavior == p4i.Table.NOTIFY_CONTROL)
        assert [key["name"] for key in made["key"]] == [field.name for field in table.match_fields]


def test_numbers_once_given_stay(p4info: P4Info) -> None:
    """Entries in pinned maps and stores of controllers hold them."""
    tables = (*p4info.tables.values(), *p4info.switch_only.values())
    assert {t.name: t.id - TABLE_IDS for t in p4info.tables.values()} == TABLES
    assert {t.name: t.id - TABLE_IDS for t in p4info.switch_only.values()} == SWITCH_ONLY
    assert {a.name: a.id - ACTION_IDS for a in p4info.actions.values()} == ACTIONS
    assert {t.name: t.counter - DIRECT_IDS for t in tables} == TABLES | SWITCH_ONLY
    assert {c.name: c.id - COUNTER_IDS for c in p4info.counters.values()} == {"port_events": 1}
    digests = {digest.name: digest.id for digest in p4info.digests.values()}
    assert digests == {"scid_unknown": 0x17EE51F4, "path_trace": 0x172E8903}
    packets = {p.preamble.name: p.preamble.id for p in p4info.message.controller_packet_metadata}
    assert packets == {"packet_in": PACKET_IDS + 1, "packet_out": PACKET_IDS + 2}
    for thing in (*p4info.actions.values(), *tables):
        values = getattr(thing, "match", None) or getattr(thing, "params", ())
        assert [value.id for value in values] == list(range(1, len(values) + 1))


def test_events_are_those_of_all_parts() -> None:
    told = re.findall(r"^    (\w+) += (\d+),?$", (P4 / "events.p4").read_text(), re.MULTILINE)
    assert {name: int(value) for name, value in told} == {event.name: event.value for event in wire.Event}


def test_constants_are_those_of_all_parts() -> None:
    ours = constants(P4 / "constants.p4")
    assert {name: ours[name] for name in CONSTANTS} == CONSTANTS
    theirs: dict[str, int] = {}
    for source in sorted(SOURCES.glob("*.h")):
        theirs |= constants(source)
    assert {name: ours[name] for name in SHARED_WITH_C} == {name: theirs[name] for name in SHARED_WITH_C}


def test_sizes_are_those_of_the_loader(p4info: P4Info) -> None:
    sizes = constants(P4 / "sizes.p4")
    counted = sizes.pop("SIZE_PORT_EVENTS")
    tables = (*p4info.tables.values(), *p4info.switch_only.values())
    assert sizes == {f"SIZE_{t.name.upper()}": t.size for t in tables}
    declared = declared_tables(joined(SOURCES / "moorline_xdp.c"))
    for table in p4info.tables.values():
        assert declared[table.name].layout != "slot" or table.size.bit_count() == 1
    (events,) = p4info.counters.values()
    assert events.size == counted == wire.EVENTS_PER_PORT << wire.PORT_BITS
    assert counted == wire.EVENTS_PER_PORT * constants(SOURCES / "ports.h")["PORT_NUMBERS"]
    assert max(wire.Event) < wire.EVENTS_PER_PORT == constants(SOURCES / "events.h")["EVENTS_PER_PORT"]
