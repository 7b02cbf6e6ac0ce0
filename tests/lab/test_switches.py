# SPDX-License-Identifier: Apache-2.0
"""Real switches under a controller, and what may befall them: in the end they have what the store says.

``west`` and ``east`` each have a plain host; the services of ``PAIRS`` pairs are behind their gateway ports.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import grpc
import pytest

from moorline.api.v1 import moorline_pb2 as api
from tests.lab.cutter import Cutter
from tests.lab.floods import flood, unknown_connections, unknown_pairs
from tools.lab import Lab
from tools.lab.programs import MOORLINE
from tools.lab.switched import SwitchPlan, virtual_address
from tools.lab.toml import to_toml
from tools.lab.waiting import wait_until

pytestmark = pytest.mark.bmv2

PAIRS = 40
ROOT = Path(__file__).resolve().parents[2]
Rows = dict[str, Any]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    switches = (SwitchPlan("west", plain=("client",)), SwitchPlan("east", plain=("printer",)))
    with Lab((), {"reject_seconds": 1}, switches) as lab:
        lab.start()
        for number in range(PAIRS):
            for network, switch in enumerate(("west", "east"), 1):
                register(lab, f"s{number}.{switch}", switch, network, 20 + number)
            lab.controller.lookup(f"s{number}.west", f"s{number}.east")
        yield lab


def register(lab: Lab, name: str, switch: str, network: int, host: int) -> None:
    addresses = [virtual_address(family, network, host).ip.packed for family in (4, 6)]
    request = api.RegisterServiceRequest(name=name, node=switch, addresses=addresses)
    lab.controller.naming.RegisterService(request, timeout=10)


def dumped(lab: Lab, switch: str, *tables: str) -> list[Rows]:
    """What a switch tells who is where its controller is."""
    words = ("table", "dump", *tables, "--switch", switch, "--output", "json")
    rows: list[Rows] = json.loads(lab.controller.moorline(*words).stdout)
    return rows


def rows_of(lab: Lab, switch: str, *tables: str) -> Rows:
    """Its entries without what they have counted, by table and key; without refusals of pairs."""
    return {
        f"{row['table']} {json.dumps(row['match'])}": (row["action"], row["params"])
        for row in dumped(lab, switch)
        if row["action"] != "reject" and (not tables or row["table"] in tables)
    }


def problem(lab: Lab, switch: str) -> str:
    found: str = lab.controller.node(switch).problem
    return found


def wait_rows(lab: Lab, switch: str, rows: Rows) -> None:
    lab.controller.wait_converged(switch)
    assert rows_of(lab, switch) == rows
    assert not problem(lab, switch)


@contextmanager
def rival(lab: Lab, switch: str, *words: str) -> Iterator[None]:
    """Somebody with a higher election id, for the length of the block."""
    command = lab.controller.place.command(
        sys.executable, "-m", "tests.lab.rival", lab.switches[switch].target, *words
    )
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "done\n"
        try:
            yield
        finally:
            process.stdin.close()
            assert process.wait(10) == 0


def test_a_switch_has_the_rows_of_its_ports_and_of_its_connections(lab: Lab) -> None:
    count: dict[str, int] = {}
    for key in rows_of(lab, "west"):
        table = key.partition(" ")[0]
        count[table] = count.get(table, 0) + 1
    expected = {
        "port_role": 2,
        "uplink": 1,
        "terminate": 2,
        "scid": PAIRS,
        "connection": 2 * PAIRS,
        "locator": 1,
    }
    assert expected.items() <= count.items()
    nodes = lab.controller.ask("node", "list")
    assert {node["name"]: node["kind"] for node in nodes} == {"west": "switch", "east": "switch"}
    status = json.loads(lab.controller.moorline("status", "-o", "json").stdout)["controller"]
    assert (status["nodes_connected"], status["nodes_converged"]) == (2, 2)


def test_a_switch_that_is_killed_comes_back_empty_and_gets_everything_again(lab: Lab) -> None:
    rows = rows_of(lab, "west")
    lab.switches["west"].program.kill()
    wait_until(lambda: not lab.controller.node("west").connected, "its loss was seen")
    assert "see that the switch runs" in problem(lab, "west")
    assert lab.controller.moorline("status", check=False).returncode == 1
    # What changes meanwhile is there too.
    register(lab, "late.west", "west", 1, 200)
    lab.controller.moorline("connection", "close", connection_of(lab, "s0.west")["scid"])
    lab.switches["west"].start()
    lab.controller.wait_converged("west")
    assert len(rows_of(lab, "west", "scid")) == PAIRS - 1
    lab.controller.lookup("s0.west", "s0.east")
    assert rows_of(lab, "west").keys() - rows.keys() == {
        key for key in rows_of(lab, "west", "scid") if key not in rows
    }


def names(lab: Lab) -> set[str]:
    return {node.name for node in lab.controller.nodes.ListNodes(api.ListNodesRequest(), timeout=10).nodes}


def connection_of(lab: Lab, service: str) -> Any:
    (connection,) = lab.controller.ask("connection", "list", "--service", service)
    return connection


def test_a_restarted_controller_finds_everything_in_place(lab: Lab) -> None:
    rows = rows_of(lab, "west")
    with flood_of(lab, "pairs", rate=20):
        wait_until(lambda: events(lab), "packets were counted", every=0.1)
    counted = events(lab)
    lab.controller.kill()
    lab.controller.start()
    wait_rows(lab, "west", rows)
    assert events(lab) >= counted  # a new pipeline would count from nothing


def events(lab: Lab) -> int:
    """Packets that the port towards the plain host has counted."""
    found = lab.controller.events("west")
    return sum(packets for (_, event), packets in found.items() if event == "rx")


def test_another_primary_is_told_and_what_it_did_is_mended(lab: Lab) -> None:
    rows = rows_of(lab, "west")
    with rival(lab, "west"):
        wait_until(lambda: not lab.controller.node("west").connected, "the rival was seen")
        assert "another controller is primary at node west" in problem(lab, "west")
        assert not rows_of(lab, "west", "scid")
        assert lab.controller.node("east").converged
    wait_rows(lab, "west", rows)


def test_another_pipeline_is_left_alone_until_the_operator_says_so(lab: Lab) -> None:
    rows = rows_of(lab, "west")
    with rival(lab, "west", "77"):
        pass
    wait_until(lambda: "another program" in problem(lab, "west"), "it was seen")
    assert "'moorline switch replace-pipeline west' gives it ours" in problem(lab, "west")
    assert problem(lab, "west") in lab.controller.moorline("status", check=False).stdout
    assert lab.controller.ask("switch", "show", "west")["pipeline"] == "another program"
    assert not rows_of(lab, "west")
    lab.controller.moorline("switch", "replace-pipeline", "west")
    wait_rows(lab, "west", rows)


def test_a_line_cut_in_the_middle_of_a_batch_leaves_nothing_out(lab: Lab) -> None:
    west = lab.switches["west"]
    rows = rows_of(lab, "west")
    host, _, port = west.target.partition(":")
    with Cutter(lab.controller.place, (host, int(port))) as line:
        add(lab, line.address)
        restart(lab)
        wait_rows(lab, "west", rows)
        # In the middle of the pipeline, then of the batches of entries, then of the rest of these.
        line.cuts = [line.longest // 2, line.longest - 5_000, 2_000]
        restart(lab)
        wait_until(lambda: not line.cuts, "the line was cut so often", timeout=30)
        wait_rows(lab, "west", rows)
    add(lab, west.target)
    wait_rows(lab, "west", rows)


def restart(lab: Lab) -> None:
    """Let the switch be empty, and wait until the controller has seen that."""
    lab.switches["west"].program.kill()
    wait_until(lambda: not lab.controller.node("west").connected, "its loss was seen")
    lab.switches["west"].start()


def add(lab: Lab, target: str) -> None:
    lab.controller.moorline(
        "switch", "add", "west", "--p4runtime", target, "--config", str(lab.switches["west"].config)
    )


@pytest.mark.parametrize("kind", ["pairs", "connections"])
def test_a_flood_is_told_and_costs_no_entry(lab: Lab, kind: str) -> None:
    rows = rows_of(lab, "west")
    with flood_of(lab, kind, rate=1000):
        wait_until(lambda: "packets a second of" in problem(lab, "west"), "it was told", 30, every=0.1)
        assert lab.controller.node("west").converged
        register(lab, "new.west", "west", 1, 201)
        register(lab, "new.east", "east", 2, 201)
        lab.controller.lookup("new.west", "new.east")
    wait_until(lambda: not problem(lab, "west"), "it was over", timeout=30, every=0.1)
    for name in ("new.west", "new.east"):
        lab.controller.moorline("service", "unregister", name)
    wait_until(lambda: refusals(lab) == 0, "refusals went away", timeout=30, every=0.2)
    assert rows_of(lab, "west") == rows


def flood_of(lab: Lab, kind: str, rate: int) -> AbstractContextManager[None]:
    """The plain host behind west sends to ever other addresses; or the router, with ever other SCIDs."""
    west = lab.switches["west"]
    client = west.plain["client"]
    if kind == "pairs":
        return flood(client.place, "lan0", unknown_pairs(client.ipv4), rate)
    (port,) = (port for port in lab.controller.node("west").switch.ports if port.role == "underlay")
    own = str(IPv4Interface(port.addresses[0]).ip)
    return flood(lab.router, "westp1", unknown_connections(port.gateways[0], own), rate)


def refusals(lab: Lab) -> int:
    return sum(row["action"] == "reject" for row in dumped(lab, "west", "connection"))


def test_a_switch_is_run_and_ends_with_the_command(lab: Lab, tmp_path: Path) -> None:
    place = lab.router
    place.request("link", "add", ifname="run0", kind="veth", peer={"ifname": "run1"})
    for interface in ("run0", "run1"):
        place.set_link(interface, state="up")
    port = {"number": 1, "role": "underlay", "addresses": ["192.0.2.1/24"], "interface": "run0"}
    file = tmp_path / "here.toml"
    file.write_text(to_toml({"ports": [port]}))
    words = ("--config", str(lab.controller.config), "switch", "run", "here", "--config", str(file))
    try:
        # At a socket: the controller is in another namespace.
        process = place.start("here", MOORLINE, *words, "--p4runtime", f"unix:{tmp_path}/here.sock")
        wait_until(lambda: "here" in names(lab), "it was added")
        lab.controller.wait_converged("here")
        assert "port_role" in lab.controller.moorline("table", "dump", "--switch", "here").stdout
        assert "off" in place.run("sh", "-c", "ethtool -k run0 | grep ^tcp-segmentation").stdout
        process.stop()
        wait_until(lambda: not lab.controller.node("here").connected, "it had ended")
        assert " on" in place.run("sh", "-c", "ethtool -k run0 | grep ^tcp-segmentation").stdout
        # Killed, it takes the switch with it all the same.
        process = place.start("here", MOORLINE, *words, "--p4runtime", f"unix:{tmp_path}/here.sock")
        lab.controller.wait_converged("here")
        process.kill()
        wait_until(lambda: not lab.controller.node("here").connected, "it had ended")
    finally:
        lab.controller.moorline("switch", "remove", "here", check=False)
        place.delete_link("run0")


def test_a_switch_that_hangs_holds_up_nobody_and_catches_up(lab: Lab) -> None:
    rows = rows_of(lab, "west")
    process = lab.switches["west"].program.process.pid
    os.kill(process, signal.SIGSTOP)
    try:
        register(lab, "hung.west", "west", 1, 202)
        register(lab, "hung.east", "east", 2, 202)
        with pytest.raises(grpc.RpcError, match="node west"):
            lab.controller.lookup("hung.west", "hung.east")
        wait_until(lambda: not lab.controller.node("west").converged, "it was seen", timeout=30)
        assert lab.controller.node("east").converged
        lab.controller.lookup("s1.west", "s1.east")  # what stands is answered all the same
    finally:
        os.kill(process, signal.SIGCONT)
    lab.controller.wait_converged("west")
    lab.controller.lookup("hung.west", "hung.east")
    assert len(rows_of(lab, "west", "scid")) == len([key for key in rows if key.startswith("scid ")]) + 1
    for name in ("hung.west", "hung.east"):
        lab.controller.moorline("service", "unregister", name)
    wait_until(lambda: rows_of(lab, "west") == rows, "its entries went", every=0.1)
