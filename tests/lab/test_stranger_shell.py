# SPDX-License-Identifier: Apache-2.0
"""p4runtime-shell, which nobody of Moorline wrote, programs a node over TLS; then the controller is back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from finsy.proto import p4i
from google.protobuf import text_format

from control.southbound.contract import Contract
from moorline.wire import P4RUNTIME_PORT, Event
from tools.contract import P4, P4INFO
from tools.lab import Lab
from tools.lab.programs import Service
from tools.lab.tcp import connect, listen

ROOT = Path(__file__).parents[2]
SETUP = ROOT / "tools" / "p4runtime-shell" / "setup"
PYTHON = ROOT / "build" / "p4runtime-shell" / "bin" / "python"
STRANGER = Path(__file__).with_name("stranger")

TABLES = ("port_role", "terminate", "scid", "connection", "locator", "uplink", "classifier", "route")

REFUSALS = {
    "unknown table": "INVALID_ARGUMENT",
    "no table": "INVALID_ARGUMENT",
    "unknown field": "INVALID_ARGUMENT",
    "missing field": "INVALID_ARGUMENT",
    "field twice": "INVALID_ARGUMENT",
    "field of another kind": "INVALID_ARGUMENT",
    "field too wide": "OUT_OF_RANGE",
    "field too wide by a bit": "OUT_OF_RANGE",
    "field empty": "OUT_OF_RANGE",
    "priority": "INVALID_ARGUMENT",
    "no priority": "INVALID_ARGUMENT",
    "mask of zeros": "INVALID_ARGUMENT",
    "ones outside the mask": "INVALID_ARGUMENT",
    "prefix of no bits": "INVALID_ARGUMENT",
    "no action": "INVALID_ARGUMENT",
    "unknown action": "INVALID_ARGUMENT",
    "action of another table": "INVALID_ARGUMENT",
    "action of the default entry": "PERMISSION_DENIED",
    "action profile": "INVALID_ARGUMENT",
    "missing parameter": "INVALID_ARGUMENT",
    "unknown parameter": "INVALID_ARGUMENT",
    "parameter too wide": "OUT_OF_RANGE",
    "parameter empty": "OUT_OF_RANGE",
    "idle time-out in a table without": "INVALID_ARGUMENT",
    "constant entry": "INVALID_ARGUMENT",
    "default entry": "INVALID_ARGUMENT",
    "meter": "INVALID_ARGUMENT",
    "modify what is absent": "NOT_FOUND",
    "delete what is absent": "NOT_FOUND",
    "insert": "OK",
    "insert again": "ALREADY_EXISTS",
    "delete": "OK",
    "modify a constant default entry": "PERMISSION_DENIED",
    "no kind of update": "INVALID_ARGUMENT",
    "no entity": "INVALID_ARGUMENT",
    "register": "UNIMPLEMENTED",
    "cell beyond the counter": "OUT_OF_RANGE",
}
ARBITRATION = {
    "write of a backup": "PERMISSION_DENIED",
    "read of a backup": "OK",
    "write with an id that was never announced": "PERMISSION_DENIED",
    "election id in use": "INVALID_ARGUMENT",
    "unknown device": "NOT_FOUND",
    "unknown role": "NOT_FOUND",
    "certificate of a node": "PERMISSION_DENIED",
    "no certificate": "UNAVAILABLE",
}
"""Codes as the P4Runtime specification 1.4 has them."""


def entries(lab: Lab) -> list[Any]:
    """What is in the laptop's tables, but for counters, and for refusals and former addresses, which tests
    before this one leave for some seconds."""
    plain = []
    for row in lab["laptop"].ask("table", "dump"):
        lasting = {name: value for name, value in row["params"].items() if not name.startswith("previous")}
        if row["action"] != "reject":
            plain.append([row["table"], row["match"], row["action"], lasting])
    return sorted(plain, key=json.dumps)


def meet(files: Service, laptop: Service, port: int) -> None:
    """Connect the two services by TCP."""
    with listen(files.host.place, files.ipv4, port):
        connect(laptop.host.place, files.ipv4, port, source=laptop.ipv4).close()


@pytest.fixture(scope="module")
def before(lab: Lab, files: Service, laptop: Service) -> list[Any]:
    """The laptop's entries with a connection to files.demo."""
    meet(files, laptop, 8100)
    lab.controller.wait_converged("laptop")
    return entries(lab)


@pytest.fixture(scope="module")
def ports(lab: Lab) -> dict[str, int]:
    return {port.role: port.number for port in lab["laptop"].agent().ports}


@pytest.fixture(scope="module")
def story(
    lab: Lab, files: Service, laptop: Service, before: list[Any], ports: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """What the stranger saw while it was the primary of the laptop's data plane."""
    subprocess.run([SETUP], check=True)
    host = lab["laptop"]
    lab.add_name("laptop.node.moorline", str(host.uplink.addresses[4].ip))
    operators = lab.controller.folder / "state" / "operators"
    situation = {
        "address": f"laptop.node.moorline:{P4RUNTIME_PORT}",
        "credentials": str(operators / "admin"),
        "node_credentials": str(host.folder / "state" / "credentials"),
        "source": laptop.ipv4,
        "target": files.ipv4,
        "nobody": "198.18.255.77",
        "ports": sorted(ports.values()),
        "events": [Event.RX, Event.TX],
    }
    done = host.place.run(str(PYTHON), str(STRANGER), json.dumps(situation))
    yield json.loads(done.stdout.splitlines()[-1])
    lab.controller.wait_converged("laptop")


def test_it_reads_the_contract(story: dict[str, Any]) -> None:
    ours = Contract.load(P4 / P4INFO)
    assert not ours.differs(text_format.Parse(story["contract"]["p4info"], p4i.P4Info()))
    assert story["contract"]["tables"] == {name: table.id for name, table in ours.tables.items()}
    assert story["contract"]["version"] == "1.4.0"


@pytest.mark.parametrize("table", TABLES)
def test_it_programs_every_table(story: dict[str, Any], table: str) -> None:
    steps = story["programming"][table]
    assert [steps["inserted"], steps["modified"]] == steps["wanted"]
    assert steps["among all"]
    assert steps["deleted"] == []


@pytest.mark.parametrize("attempt", REFUSALS)
def test_bad_entries_get_the_codes_of_the_specification(story: dict[str, Any], attempt: str) -> None:
    assert story["refusals"][attempt] == REFUSALS[attempt]


def test_no_attempt_goes_unjudged(story: dict[str, Any]) -> None:
    assert story["refusals"].keys() == REFUSALS.keys()
    assert story["arbitration"].keys() == ARBITRATION.keys()


def test_leading_zeros_are_taken_and_gone(story: dict[str, Any]) -> None:
    code, found, wanted = story["non-canonical"]
    assert (code, found) == ("OK", wanted)


def test_full_tables_and_taken_slots(story: dict[str, Any]) -> None:
    assert story["full"] == {"full": "RESOURCE_EXHAUSTED", "emptied": "OK", "slot": "RESOURCE_EXHAUSTED"}


def test_batches(story: dict[str, Any]) -> None:
    assert story["batches"] == {
        "CONTINUE_ON_ERROR": [["OK", "OUT_OF_RANGE", "OK"], [True, True]],
        "ROLLBACK_ON_ERROR": [["ABORTED", "OUT_OF_RANGE", "ABORTED"], [False, False]],
        "DATAPLANE_ATOMIC": [["UNIMPLEMENTED"], [False, False]],
    }


@pytest.mark.parametrize("attempt", ARBITRATION)
def test_only_the_primary_writes(story: dict[str, Any], attempt: str) -> None:
    assert story["arbitration"][attempt] == ARBITRATION[attempt]


def test_packets_move_every_direct_counter(story: dict[str, Any]) -> None:
    """Four datagrams go, four answers come: each way meets its tables, port_role and locator lie on both."""
    moved = story["counters"]["direct"]
    assert all(moved[table] >= 4 for table in ("terminate", "scid", "connection", "uplink")), moved
    assert all(moved[table] >= 8 for table in ("port_role", "locator")), moved


def test_packets_move_the_indirect_counter(story: dict[str, Any], ports: dict[str, int]) -> None:
    counted = story["counters"]["indirect"]
    assert set(counted) == {f"{port} {event:d}" for port in ports.values() for event in (Event.RX, Event.TX)}
    assert all(count >= 4 for count in counted.values()), counted


def test_a_packet_comes_in_and_goes_out(story: dict[str, Any], ports: dict[str, int]) -> None:
    told = {"ingress_port": ports["access"], "reason": Event.PUNT_CONNECTION_MISS, "mtu": 0, "pad": 0}
    assert story["packets"] == {"metadata": told, "carried": 1, "lost": 0}


def test_idle_entries_are_told(story: dict[str, Any]) -> None:
    assert story["idle"] == {"told": ["connection", "scid"], "elapsed": True, "timeout": 40_000_000}


def test_the_controller_is_back_and_everything_is_as_it_was(
    lab: Lab, story: dict[str, Any], before: list[Any], files: Service, laptop: Service
) -> None:
    """The stranger left foreign entries, and one of the controller's was gone."""
    lab.controller.wait_converged("laptop")
    assert entries(lab) == before
    meet(files, laptop, 8101)
