# SPDX-License-Identifier: Apache-2.0
"""Feature peers as an agent looks after them: reported, mended, outliving it, gone when not wanted."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.lab import HostPlan, Lab
from tools.lab.waiting import wait_until

FILTER = {"name": "cf1", "kind": "filter", "run": "filter"}
STATISTICS = {"name": "st1", "kind": "statistics", "run": "statistics", "spare": True}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab((HostPlan("gate", settings={"peer": [FILTER, STATISTICS]}),)) as lab:
        yield lab.start()


def peers(lab: Lab) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in lab.controller.ask("peer", "list")}


def wait_for(lab: Lab, **states: str) -> dict[str, dict[str, Any]]:
    def stand() -> bool:
        return {name: row["state"] for name, row in peers(lab).items()} == states

    wait_until(stand, f"the peers were {states}", 30)
    return peers(lab)


def program(lab: Lab) -> int:
    """The process number of the filter's program."""
    note = lab["gate"].folder / "state" / "peers" / "cf1" / "inspector.process"
    number: int = json.loads(note.read_text())["pid"]
    return number


def test_peers_are_reported_with_their_ports(lab: Lab) -> None:
    found = wait_for(lab, cf1="up", st1="up")
    ports = {port["interface"]: port for port in lab.controller.ask("node", "show", "gate")["ports"]}
    for name, row in found.items():
        assert (row["node"], row["header"], row["spare"]) == ("gate", "none", name == "st1")
        assert [port["interface"] for port in row["ports"]] == [f"{name}-in", f"{name}-out"]
        for port in row["ports"]:
            shown = ports[port["interface"]]
            assert (shown["number"], shown["role"], shown["hook"], shown["up"]) == (
                port["number"],
                "peer",
                "xdp",
                True,
            )
            assert lab["gate"].place.mac(port["interface"]) == port["port_mac"]
    assert {port["hook"] for port in ports.values()} == {"xdp"}


def test_a_program_that_ends_is_started_again_and_the_controller_hears_of_it(lab: Lab) -> None:
    wait_for(lab, cf1="up", st1="up")
    before = program(lab)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: program(lab) != before, "another program was started")
    wait_for(lab, cf1="up", st1="up")
    log = lab.controller.process.tail(200)
    assert "inspector has ended" in log


def test_draining_and_taking_back(lab: Lab) -> None:
    wait_for(lab, cf1="up", st1="up")
    assert lab.controller.ask("peer", "drain", "st1")["state"] == "draining"
    assert lab.controller.ask("peer", "drain", "st1", "--undo")["state"] == "up"


def test_peers_outlive_their_agent(lab: Lab) -> None:
    wait_for(lab, cf1="up", st1="up")
    gate, before = lab["gate"], program(lab)
    gate.kill()
    assert Path(f"/proc/{before}").exists()
    gate.start()
    lab.controller.wait_converged("gate")
    wait_for(lab, cf1="up", st1="up")
    assert program(lab) == before


def test_a_peer_that_is_configured_no_more_is_taken_away(lab: Lab) -> None:
    wait_for(lab, cf1="up", st1="up")
    gate = lab["gate"]
    gate.stop()
    gate.set(peer=[FILTER])
    gate.start()
    wait_for(lab, cf1="up")
    wait_until(
        lambda: gate.place.run("ip", "link", "show", "st1-in", check=False).returncode != 0, "it was gone"
    )
    gate.stop()
    gate.moorline("node", "leave")
    assert "cf1-in" not in gate.place.run("ip", "link").stdout
    assert not [*Path("/run/netns").glob(f"{lab.name}-gate-*")]
