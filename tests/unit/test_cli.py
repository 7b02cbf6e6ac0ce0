# SPDX-License-Identifier: Apache-2.0
"""The command against a scripted controller and agent on unix sockets."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from moorline import __version__
from moorline.addresses import packed
from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import peers_pb2 as peers
from moorline.cli import settings, switch_program
from moorline.cli.main import main
from moorline.cli.options import Options
from moorline.config import ConfigError
from moorline.local_socket import SocketPathError
from moorline.switch import SwitchConfig
from tests.unit.cli_fakes import CONNECTION, FILES, SCID, FakeAgent, FakeController, serving

HEX = f"{SCID:016x}"
NEXT_HEX = f"{SCID + 1:016x}"
COMMAND = [sys.executable, "-c", "from moorline.cli.main import main; main()"]
# A shell has SIGINT ignored in what it runs in the background; the tests must not inherit that.
INTERRUPTIBLE = [
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from moorline.cli.main import main; main()",
]


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "moorline.toml"
    path.write_text(
        f'[controller]\nsocket = "{tmp_path / "controller.sock"}"\n'
        f'[node]\nsocket = "{tmp_path / "node.sock"}"\nstate_dir = "{tmp_path / "node"}"\n'
    )
    return path


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[FakeController]:
    fake = FakeController()
    with serving(fake, tmp_path / "controller.sock"):
        yield fake


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[FakeAgent]:
    fake = FakeAgent()
    with serving(fake, tmp_path / "node.sock"):
        yield fake


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        with pytest.raises(SystemExit) as ended:
            main(["--config", str(config), *arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Result(int(ended.value.code or 0), out, err)

    return run


Run = Callable[..., Result]


def test_version(run: Run) -> None:
    assert run("--version") == Result(0, f"moorline {__version__}\n", "")


# ---- services


def test_register(run: Run, controller: FakeController) -> None:
    result = run("service", "register", "HTTP://Files.demo:80/x", "--node", "server", "--ttl", "30")
    assert result.code == 0
    assert "198.18.0.1" in result.out
    (request,) = controller.requests
    assert (request.name, request.node, request.ttl_seconds) == ("files.demo", "server", 30)


def test_register_a_plain_host(run: Run, controller: FakeController) -> None:
    addresses = ("--address", "198.18.200.5", "--address", "fd77::5")
    assert run("service", "register", "printer.demo", "--node", "gate", *addresses).code == 0
    (request,) = controller.requests
    assert [*request.addresses] == [packed("198.18.200.5"), packed("fd77::5")]
    refused = run("service", "register", "printer.demo", "--node", "gate", "--address", "198.18.200")
    assert refused.code == 1
    assert "'198.18.200' is no IP address" in refused.err


def test_service_list(run: Run, controller: FakeController) -> None:
    lines = run("service", "list").out.splitlines()
    assert lines[0].split() == ["NAME", "NODE", "IPV4", "IPV6", "EXPIRES"]
    assert [line.split()[0] for line in lines[2:4]] == ["files.demo", "laptop.demo"]


def test_service_list_json(run: Run, controller: FakeController) -> None:
    assert run("service", "list", "--output", "json").json[1] == {
        "name": "laptop.demo",
        "node": "laptop",
        "tenant": 0,
        "ipv4": "198.18.0.2",
        "ipv6": None,
        "port": None,
        "ttl_seconds": 30,
        "expires": "2001-09-09T01:46:40.005Z",
        "registered": None,
    }


def test_service_show_renew_unregister(run: Run, controller: FakeController) -> None:
    assert run("service", "show", "files.demo", "-o", "json").json["name"] == "files.demo"
    assert run("service", "renew", "laptop.demo", "-o", "json").json["ttl_seconds"] == 30
    assert run("service", "unregister", "files.demo") == Result(0, "", "")
    assert [type(request).__name__ for request in controller.requests] == [
        "GetServiceRequest",
        "RenewServiceRequest",
        "UnregisterServiceRequest",
    ]


def test_lookup_shows_no_key(run: Run, controller: FakeController) -> None:
    result = run("lookup", "laptop.demo", "files.demo", "-o", "json")
    assert result.json["scid"] == HEX
    assert result.json["server_ipv6"] == "::1"
    assert result.json["server_locators"] == ["10.0.1.2"]
    assert "key" not in result.json
    assert "kkkk" not in run("lookup", "laptop.demo", "files.demo").out


# ---- connections


def test_connection_list(run: Run, controller: FakeController) -> None:
    line = run("connection", "list", "--service", "files.demo", "--node", "laptop").out.splitlines()[2]
    assert line.startswith(f"{HEX}   up")
    assert "files.demo on server at 10.0.1.2, 10.0.2.2" in line
    assert " gate " in line
    assert "1.3 MB, 104 Mbit/s" in line
    assert (controller.requests[0].service, controller.requests[0].node) == ("files.demo", "laptop")


def test_connection_show(run: Run, controller: FakeController) -> None:
    shown = run("connection", "show", HEX.upper(), "-o", "json").json
    assert shown["server"]["locators"] == ["10.0.1.2", "10.0.2.2"]
    assert shown["server_to_client"] == {"packets": 900, "bytes": 1_300_000, "bits_per_second": 104_000_000}
    assert controller.requests[0].scid == SCID
    assert shown["legs"][1] == {"scid": NEXT_HEX, "client_side": "gate", "server_side": "server"}
    out = run("connection", "show", HEX).out
    assert "900 packets, 1300000 bytes, 104 Mbit/s" in out
    assert out.splitlines()[-1].split() == ["gate", "-", "server", NEXT_HEX]


def test_connection_watch(run: Run, controller: FakeController) -> None:
    lines = [json.loads(line) for line in run("connection", "watch", "-o", "json").out.splitlines()]
    assert [line["kind"] for line in lines] == ["present", "removed"]
    assert lines[0]["connection"]["scid"] == HEX
    assert "removed" in run("connection", "watch").out.splitlines()[1]


def test_connection_close_suspend_and_rotate(run: Run, controller: FakeController) -> None:
    assert run("connection", "close", HEX) == Result(0, "", "")
    assert run("connection", "suspend", HEX, "-o", "json").json["scid"] == HEX
    assert run("connection", "rotate", HEX, "-o", "json").json["former_scids"] == [f"{SCID + 2:016x}"]
    assert [request.scid for request in controller.requests] == [SCID, SCID, SCID]


@pytest.mark.parametrize("scid", ["12", "g" * 16, HEX + "0", HEX[1:], ""])
def test_a_wrong_scid_is_a_usage_error(run: Run, controller: FakeController, scid: str) -> None:
    result = run("connection", "close", scid)
    assert result.code == 2
    assert "16 hexadecimal digits" in result.err
    assert controller.requests == []


# ---- feature peers


def test_peers(run: Run, controller: FakeController) -> None:
    (row,) = run("peer", "list", "--kind", "firewall", "-o", "json").json
    assert controller.requests[-1] == peers.ListFeaturePeersRequest(kind="firewall")
    assert (row["name"], row["state"], row["header"], row["local"]) == ("fw1", "draining", "vlan", None)
    assert row["ports"][0] == {
        **{"number": 4, "interface": "fw1-in"},
        **{"mac": "02:00:00:00:00:04", "port_mac": "02:00:00:00:00:03"},
    }
    assert "fw1-in" in run("peer", "list").out
    assert run("peer", "show", "fw1", "-o", "json").json == row
    assert "02:00:00:00:00:04" in run("peer", "show", "fw1").out
    for words, drain in ((("drain", "fw1"), True), (("drain", "fw1", "--undo"), False)):
        assert run("peer", *words).code == 0
        assert controller.requests[-1] == peers.DrainFeaturePeerRequest(name="fw1", drain=drain)


# ---- rules


def test_rules(run: Run, controller: FakeController) -> None:
    assert run("rule", "list", "-o", "json").json == {
        "rules": [
            {"name": "10-laptop", "client": "laptop.demo", "server": "files.demo", "allow": True},
            {"name": "20-rest", "client": "*", "server": "*.demo", "allow": False},
        ],
        "default_allow": True,
    }
    assert run("rule", "list").out.splitlines()[-1].split() == ["otherwise", "allow"]
    assert run("rule", "put", "r", "*", "files.demo", "--deny", "-o", "json").json["allow"] is False
    assert run("rule", "put", "r", "*", "files.demo").code == 2
    assert run("rule", "delete", "r").code == 0


# ---- nodes


def test_node_list(run: Run, controller: FakeController) -> None:
    laptop, switch = run("node", "list").out.splitlines()[2:]
    assert laptop.split()[:5] == ["laptop", "host", "yes", "yes", "10.0.0.2"]
    assert switch.split()[:5] == ["sw", "switch", "yes", "no", "10.0.0.2"]


def test_node_show(run: Run, controller: FakeController) -> None:
    shown = run("node", "show", "laptop", "-o", "json").json
    assert shown["ports"] == [
        {
            **{"number": 1, "interface": "eth0", "role": "underlay", "hook": "tc", "up": True, "mtu": 1500},
            "addresses": [],
            "prefixes": [],
            "tenant": 0,
            "tunnels": [],
        }
    ]
    assert shown["locators"] == [{"address": "10.0.0.2", "port": 1, "interface": "eth0", "mtu": 1500}]
    out = run("node", "show", "laptop").out
    assert "underlay" in out
    assert "10.0.0.2" in out


@pytest.mark.parametrize(
    ("options", "via", "border"),
    [
        (["--via", "gate"], "gate", None),
        (["--direct"], "", None),
        (["--border"], None, True),
        (["--via", "gate", "--no-border"], "gate", False),
    ],
)
def test_node_set(
    options: list[str], via: str | None, border: bool | None, run: Run, controller: FakeController
) -> None:
    assert run("node", "set", "laptop", *options, "-o", "json").json["via"] == "gate"
    (request,) = controller.requests
    assert (request.via if request.HasField("via") else None) == via
    assert (request.border if request.HasField("border") else None) is border


@pytest.mark.parametrize("options", [[], ["--via", "gate", "--direct"]])
def test_node_set_says_one_thing(options: list[str], run: Run, controller: FakeController) -> None:
    assert run("node", "set", "laptop", *options).code == 2
    assert controller.requests == []


def test_node_token(run: Run, controller: FakeController) -> None:
    assert run("node", "token", "laptop") == Result(0, "bW9vcg\n", "")
    assert run("node", "token", "laptop", "--ttl", "60", "-o", "json").json["token"] == "bW9vcg"
    assert [request.ttl_seconds for request in controller.requests] == [0, 60]


def test_node_remove(run: Run, controller: FakeController) -> None:
    assert run("node", "remove", "laptop").code == 0
    assert controller.requests[0].name == "laptop"


# ---- switches

SWITCH_FILE = """
[[ports]]
number = 1
role = "underlay"
addresses = ["10.0.0.2/24"]
gateways = ["10.0.0.1"]
interface = "no-such-port"
"""


@pytest.fixture
def switch_file(tmp_path: Path) -> Path:
    path = tmp_path / "switch.toml"
    path.write_text(SWITCH_FILE)
    return path


def test_switch_add(run: Run, controller: FakeController, switch_file: Path) -> None:
    words = ("switch", "add", "sw", "--p4runtime", "192.0.2.7:9559", "--config", str(switch_file))
    assert run(*words).code == 0
    asked = controller.requests[0]
    assert (asked.name, asked.p4runtime, asked.device_id) == ("sw", "192.0.2.7:9559", 1)
    (port,) = asked.ports
    assert (port.number, port.mtu, port.mac) == (1, 1500, "02:6d:6c:00:00:01")
    # It says what became of it: that is asked for until something can be said.
    assert run(*words, "-o", "json").json["problem"].startswith("node sw runs another program")


def test_a_switch_file_is_checked_before_anybody_is_asked(
    run: Run, controller: FakeController, switch_file: Path
) -> None:
    switch_file.write_text(SWITCH_FILE.replace("gateways", "gateway"))
    result = run("switch", "add", "sw", "--p4runtime", "192.0.2.7:9559", "--config", str(switch_file))
    assert result.code == 1
    assert f"configuration {switch_file}: unknown key ports[0].gateway" in result.err
    assert not controller.requests


def test_switch_list_and_show(run: Run, controller: FakeController) -> None:
    (row,) = run("switch", "list", "-o", "json").json
    assert (row["name"], row["pipeline"], row["p4runtime"]) == ("sw", "another program", "192.0.2.7:9559")
    assert run("switch", "list").out.splitlines()[2].split()[:3] == ["sw", "yes", "no"]
    assert run("switch", "show", "sw", "-o", "json").json == row
    assert "02:6d:6c:00:00:01" in run("switch", "show", "sw").out
    assert "laptop is a host" in run("switch", "show", "laptop").err


def test_switch_replace_pipeline_and_remove(run: Run, controller: FakeController) -> None:
    assert run("switch", "replace-pipeline", "sw").code == 0
    assert run("switch", "remove", "sw").code == 0
    assert [type(request).__name__ for request in controller.requests] == [
        "ReplacePipelineRequest",
        "GetNodeRequest",
        "RemoveNodeRequest",
    ]
    assert run("switch", "remove", "laptop").code == 1
    assert not isinstance(controller.requests[-1], api.RemoveNodeRequest)


def test_switch_run_names_what_is_missing(
    config: Path, controller: FakeController, switch_file: Path, tmp_path: Path
) -> None:
    program = tmp_path / "simple_switch_grpc"

    def said() -> str:
        words = ("--config", str(config), "switch", "run", "sw", "--config", str(switch_file))
        done = subprocess.run(
            [*COMMAND, *words],
            check=False,
            env={**os.environ, "PATH": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        return done.stderr

    assert "install p4lang's package p4lang-bmv2" in said()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert "interface no-such-port of port 1 does not exist" in said()
    switch_file.write_text(SWITCH_FILE.replace("no-such-port", ""))
    assert "port 1 names no interface" in said()
    assert not controller.requests


def test_a_switch_that_runs_keeps_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch_program, "_SOCKETS", tmp_path)
    monkeypatch.setattr(switch_program, "find_program", lambda: "/bin/false")
    with socket.socket(socket.AF_UNIX) as first:
        first.bind(str(tmp_path / "switch-sw.sock"))
        first.listen()
        work = switch_program.run_switch(Options(Path("/dev/null")), "sw", SwitchConfig.model_construct(), "")
        with pytest.raises(SocketPathError, match="is in use: stop what serves it"):
            asyncio.run(work)


# ---- drops, tables, status


def test_drops(run: Run, controller: FakeController) -> None:
    assert [row["event"] for row in run("drops", "-o", "json").json] == ["drop_source"]
    assert [row["event"] for row in run("drops", "--all", "-o", "json").json] == ["rx", "tx", "drop_source"]
    assert run("drops", "--node", "laptop").out.splitlines()[2].split() == [
        "laptop",
        "1",
        "eth0",
        "drop_source",
        "3",
        "300",
    ]


def test_table_dump(run: Run, agent: FakeAgent) -> None:
    connection, locator = run("table", "dump", "-o", "json").json
    assert connection == {
        "table": "connection",
        "priority": None,
        "match": {"tenant": 3, "src": "198.18.0.2", "dst": "198.18.0.1"},
        "action": "encapsulate",
        "params": {"scid": HEX, "node": 7, "spi": 0, "si": 0, "mtu": 1428},
        "packets": 5,
        "bytes": 500,
    }
    assert locator["params"]["dst1"] == "fd00::9"
    assert locator["params"]["port0"] == 1
    assert "port0=1 (eth0), dst0=10.0.1.2, port1=2, " in run("table", "dump", "locator").out
    assert [row["table"] for row in run("table", "dump", "locator", "-o", "json").json] == ["locator"]


def test_table_dump_of_a_switch(
    run: Run, controller: FakeController, agent: FakeAgent, tmp_path: Path
) -> None:
    controller.switch = api.Node(
        name="sw",
        ports=[api.Port(number=1, interface="port1"), api.Port(number=2)],
        switch=api.Switch(p4runtime=f"unix:{tmp_path / 'node.sock'}", device_id=1),
    )
    assert (
        run("table", "dump", "--switch", "sw", "-o", "json").json == run("table", "dump", "-o", "json").json
    )
    assert "port0=1 (port1), dst0=10.0.1.2, port1=2, " in run("table", "dump", "--switch", "sw").out
    assert "laptop is a host" in run("table", "dump", "--switch", "laptop").err
    controller.switch.switch.p4runtime = f"unix:{tmp_path / 'nobody.sock'}"
    assert "switch sw at unix:" in run("table", "dump", "--switch", "sw").err


def test_an_unknown_table_is_named(run: Run, agent: FakeAgent) -> None:
    result = run("table", "dump", "nat")
    assert result.code == 1
    assert result.err.startswith("moorline: the data plane has no table 'nat': take one of port_role, ")


def test_an_empty_table(run: Run, agent: FakeAgent) -> None:
    assert run("table", "dump", "scid", "-o", "json").json == []
    assert run("table", "dump", "scid") == Result(0, "", "The data plane holds no such entries.\n")


def test_status(run: Run, controller: FakeController, agent: FakeAgent) -> None:
    result = run("status")
    assert result.code == 0
    assert "store.sqlite" in result.out
    assert ["1", "eth0", "underlay", "tc", "yes", "1500"] in [
        line.split() for line in result.out.splitlines()
    ]
    state = run("status", "-o", "json").json
    assert state["controller"]["nodes_converged"] == 1
    assert state["controller"]["node_list"][0]["name"] == "laptop"
    assert state["node"]["ports"][0]["hook"] == "tc"


def test_status_of_what_does_not_run(run: Run, tmp_path: Path) -> None:
    result = run("status", "-o", "json")
    assert result.code == 1
    assert "no controller runs on this machine" in result.json["controller"]["error"]
    assert "no node runs on this machine" in result.json["node"]["error"]
    assert "no node runs on this machine" in run("status").out


def test_status_of_what_was_killed(run: Run, tmp_path: Path) -> None:
    for name in ("controller.sock", "node.sock"):
        with socket.socket(socket.AF_UNIX) as left_behind:
            left_behind.bind(str(tmp_path / name))
    result = run("status", "-o", "json")
    assert result.code == 1
    assert "does not answer" in result.json["controller"]["error"]
    assert "does not answer" in result.json["node"]["error"]


def test_status_of_a_lone_node(run: Run, agent: FakeAgent) -> None:
    assert run("status").code == 0
    agent.connected = False
    assert run("status").code == 1


def refuse(path: Path, **_how: object) -> None:
    """What root meets nowhere."""
    raise PermissionError(errno.EACCES, "Permission denied", str(path))


def test_status_where_this_user_may_not_look(
    run: Run, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "lstat", refuse)
        result = run("status", "-o", "json")
    assert result.code == 1
    assert "does not answer" in result.json["node"]["error"]


def test_a_wrong_configuration_is_told_once(run: Run, config: Path) -> None:
    config.write_text("[controler]\n")
    result = run("status")
    assert (result.code, result.out) == (1, "")
    assert result.err.count("unknown key controler") == 1


def test_a_configuration_that_this_user_may_not_look_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for method in ("lstat", "open"):
        monkeypatch.setattr(Path, method, refuse)
    with pytest.raises(ConfigError, match="cannot be read"):
        settings.read_settings(None)


def test_status_before_convergence(run: Run, controller: FakeController) -> None:
    controller.converged = False
    assert run("status").code == 1


# ---- what goes wrong


@pytest.mark.parametrize(
    ("code", "details", "expected"),
    [
        (grpc.StatusCode.NOT_FOUND, "no service 'x': register it", "no service 'x': register it"),
        (grpc.StatusCode.INTERNAL, "", "failed (internal): look at its log"),
        (grpc.StatusCode.UNIMPLEMENTED, "", "bring it and this command to the same version"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", "took longer than 30 s"),
        (grpc.StatusCode.UNAVAILABLE, "going away", "does not answer: start it with 'moorline controller'"),
        (grpc.StatusCode.INVALID_ARGUMENT, "first line\nsecond", "first line"),
    ],
)
def test_errors_of_the_controller(
    run: Run, controller: FakeController, code: grpc.StatusCode, details: str, expected: str
) -> None:
    controller.failure = code, details
    result = run("service", "list")
    assert result.code == 1
    assert result.out == ""
    assert result.err.startswith("moorline: ")
    assert result.err.rstrip("\n").endswith(expected) or expected in result.err
    assert result.err.count("\n") == 1


def test_no_controller(run: Run, tmp_path: Path) -> None:
    result = run("service", "list")
    assert result.code == 1
    assert f"the controller at unix:{tmp_path / 'controller.sock'} does not answer" in result.err


def test_no_node(run: Run) -> None:
    result = run("table", "dump")
    assert result.code == 1
    assert "start it with 'moorline node'" in result.err


def test_a_controller_elsewhere_needs_credentials(run: Run, config: Path, tmp_path: Path) -> None:
    with config.open("a") as file:
        file.write(f'[client]\ncredentials = "{tmp_path / "none"}"\n')
    result = run("--controller", "127.0.0.1:1", "service", "list")
    assert result.code == 1
    assert "ca.pem cannot be read" in result.err


@pytest.mark.parametrize("target", ["nowhere", "a b:1", "[::1:6083", "::1:6083", "a:70000", "a:0", ":6083"])
def test_what_is_no_address_of_a_controller(run: Run, target: str) -> None:
    result = run("--controller", target, "service", "list")
    assert result.code == 1
    assert f"moorline: {target!r} is no address of a controller: write one such as" in result.err


def test_names_are_checked_before_anything_is_asked(run: Run) -> None:
    result = run("lookup", "laptop.demo", "no_name")
    assert result.code == 1
    assert "'no_name' is no service name" in result.err


def test_unknown_keys_are_refused(run: Run, config: Path) -> None:
    config.write_text("[controler]\n")
    result = run("service", "list")
    assert result.code == 1
    assert (
        result.err == f"moorline: configuration {config}: unknown key controler: did you mean controller?\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["service", "show"],
        ["service", "list", "-o", "xml"],
        ["service", "register", "a"],
        ["service", "register", "a", "--node", "b", "--ttl", str(1 << 32)],
        ["node", "token", "a", "--ttl", str(1 << 32)],
        ["switch", "add", "a", "--config", "b", "--p4runtime", "c:1", "--device-id", str(1 << 64)],
    ],
)
def test_usage_errors(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).code == 2


@pytest.mark.parametrize(
    "arguments",
    [["rule", "delete", "\udcff"], ["peer", "list", "--kind", "\udcff"], ["graph", "diff", "\udcff"]],
)
def test_arguments_that_are_no_text(run: Run, controller: FakeController, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.code == 1
    assert result.err == r"moorline: argument '\udcff' is not UTF-8 text: write it in UTF-8" + "\n"


@pytest.mark.parametrize("output", ["table", "json"])
def test_a_full_disk_is_one_sentence(config: Path, controller: FakeController, output: str) -> None:
    command = [*COMMAND, "--config", str(config), "service", "list", "-o", output]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("moorline: standard output cannot be written (No space left on device)")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("output", ["table", "json"])
def test_nobody_wants_the_output(config: Path, controller: FakeController, output: str) -> None:
    command = shlex.join([*COMMAND, "--config", str(config), "service", "list", "-o", output])
    done = subprocess.run(["sh", "-c", f"{command} >&-"], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_of_another_alphabet(config: Path, controller: FakeController) -> None:
    service = api.Service()
    service.CopyFrom(FILES)
    service.node = "名"
    controller.services = [service]
    done = subprocess.run(
        [*COMMAND, "--config", str(config), "service", "list"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u540d" in done.stdout


def test_an_scid_stays_whole_on_a_narrow_terminal(
    run: Run, controller: FakeController, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    result = run("connection", "list")
    assert HEX in result.out


def test_a_port_in_use_is_one_sentence(config: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config.write_text(
            f'[controller]\nlisten = "127.0.0.1"\nport = {port}\njoin_port = 0\n'
            f'state_dir = "{tmp_path / "state"}"\nsocket = "{tmp_path / "controller.sock"}"\n'
        )
        command = [*COMMAND, "--config", str(config), "controller"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith(f"moorline: 127.0.0.1:{port} cannot be listened on")
    assert done.stderr.count("\n") == 1


def test_interruption_is_quiet(config: Path, controller: FakeController) -> None:
    controller.watch_forever = True
    with subprocess.Popen(
        [*INTERRUPTIBLE, "--config", str(config), "connection", "watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as watch:
        assert controller.watching.wait(30)
        assert watch.stdout
        watch.stdout.readline()
        watch.send_signal(signal.SIGINT)
        _, err = watch.communicate(timeout=30)
    assert (watch.returncode, err) == (130, b"")


def test_completion_of_commands() -> None:
    environment = {
        **os.environ,
        "_MOORLINE_COMPLETE": "complete_bash",
        "COMP_WORDS": "moorline conn",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=False)
    assert "connection" in done.stdout.split()


def test_questions_need_neither_the_node_nor_the_store() -> None:
    script = (
        "import sys; from moorline.cli.main import main\n"
        "try: main(['service', 'list'])\n"
        "except SystemExit: pass\n"
        "heavy = {'bcc', 'pyroute2', 'sqlite3', 'structlog', 'finsy', 'cryptography'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_connections_are_sorted(run: Run, controller: FakeController) -> None:
    other = api.Connection()
    other.CopyFrom(CONNECTION)
    other.client.service = "a.demo"
    controller.connections = [CONNECTION, other]
    rows = run("connection", "list", "-o", "json").json
    assert [row["client"]["service"] for row in rows] == ["a.demo", "laptop.demo"]
