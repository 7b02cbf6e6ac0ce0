# SPDX-License-Identifier: Apache-2.0
"""What a user gets for bad input: one sentence that names the thing, and an exit code that is not 0."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from moorline.api.v1 import moorline_pb2 as api
from tools.lab import Lab
from tools.lab.namespace import Namespace
from tools.lab.programs import MOORLINE, Host, Program, Service
from tools.lab.toml import to_toml
from tools.lab.waiting import wait_until

NOBODY = "65534"


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence in which a command said why it failed."""
    assert done.returncode == 1, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("moorline: ")
    assert "Traceback" not in line
    return line.removeprefix("moorline: ")


def refused(program: Program, *words: str) -> str:
    return sentence(program.moorline(*words, check=False))


def refused_with(place: Namespace, folder: Path, content: Mapping[str, Any] | str, *words: str) -> str:
    """What a command says with a configuration of its own."""
    config = folder / "other.toml"
    config.write_text(content if isinstance(content, str) else to_toml(content))
    return sentence(place.run(MOORLINE, "--config", str(config), *words, check=False))


@pytest.fixture
def other_node(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Settings of a second node on a host of the lab."""

    def settings(**changes: Any) -> dict[str, Any]:
        section = {
            "state_dir": tmp_path / "state",
            "socket": tmp_path / "node.sock",
            "pins": f"/sys/fs/bpf/moorline/{tmp_path.name}",
            "port": [{"name": "up0", "role": "underlay"}],
            **changes,
        }
        return {"node": section}

    return settings


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("service", "register", "files.demo", "--node", "server"), "files.demo"),
        (("service", "register", "files.demo", "--node", "laptop"), "files.demo"),
        (("service", "register", "no_name", "--node", "server"), "no_name"),
        (("service", "register", "more.demo", "--node", "nowhere"), "nowhere"),
        (("service", "unregister", "absent.demo"), "absent.demo"),
        (("lookup", "laptop.demo", "absent.demo"), "absent.demo"),
        (("lookup", "files.demo", "files.demo"), "files.demo"),
        (("connection", "show", "00000000deadbeef"), "00000000deadbeef"),
        (("rule", "put", "odd", "*.*.demo", "*", "--allow"), "*.demo"),
        (("rule", "delete", "absent"), "absent"),
        (("node", "show", "nowhere"), "nowhere"),
        (("node", "remove", "server"), "server"),
    ],
)
def test_the_controller_names_what_is_wrong(lab: Lab, laptop: Service, words: tuple[str, ...], expected: str):
    services = lab.controller.ask("service", "list")
    assert expected in refused(lab.controller, *words)
    assert lab.controller.ask("service", "list") == services


@pytest.mark.parametrize("token", ["", "no token at all", "e30="])
def test_what_is_no_token(lab: Lab, tmp_path: Path, other_node: Callable[..., dict[str, Any]], token: str):
    assert "token" in refused_with(lab["laptop"].place, tmp_path, other_node(), "node", "join", token)


def test_a_token_that_has_expired(lab: Lab, tmp_path: Path, other_node: Callable[..., dict[str, Any]]):
    request = api.CreateJoinTokenRequest(node="late", ttl_seconds=1)
    made = lab.controller.nodes.CreateJoinToken(request, timeout=10)
    wait_until(lambda: time.time_ns() > made.expires_ns, "the token had expired")
    said = refused_with(lab["laptop"].place, tmp_path, other_node(), "node", "join", made.token)
    assert "node late" in said
    assert "not valid" in said
    assert not (tmp_path / "state" / "credentials" / "cert.pem").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('[controller]\nstate_dir = "/tm', "is not valid TOML"),
        ('[controller]\nipv4_prefix = "10.0.0.0/33"\n', "controller.ipv4_prefix"),
        ('[controller]\nlisten = "198.51.100.77"\n', "198.51.100.77"),
        ("[controller]\nport = 70000\n", "controller.port"),
    ],
)
def test_a_configuration_that_is_wrong(lab: Lab, tmp_path: Path, content: str, expected: str):
    if "state_dir" not in content:
        content += f'state_dir = "{tmp_path / "state"}"\nsocket = "{tmp_path / "c.sock"}"\n'
    assert expected in refused_with(lab.controller.place, tmp_path, content, "controller")


def test_a_store_of_a_newer_version(lab: Lab, tmp_path: Path):
    state = tmp_path / "state"
    shutil.copytree(lab.controller.folder / "state", state)
    with closing(sqlite3.connect(state / "store.sqlite")) as store:
        store.execute("PRAGMA user_version = 99")
    content = {"controller": {"state_dir": state, "socket": tmp_path / "c.sock", "listen": "127.0.0.1"}}
    content["controller"] |= {"port": 0, "join_port": 0}
    assert "schema 99" in refused_with(lab.controller.place, tmp_path, content, "controller")


def test_a_second_controller_on_the_same_state(lab: Lab, tmp_path: Path):
    content = {"controller": {"state_dir": lab.controller.folder / "state", "socket": tmp_path / "c.sock"}}
    assert "state" in refused_with(lab.controller.place, tmp_path, content, "controller")
    lab.controller.ask("node", "list")


def test_a_second_agent_on_the_same_state(lab: Lab):
    assert "another agent" in refused(lab["laptop"], "node")
    assert lab["laptop"].agent().controller_connected


def second_agent(host: Host, settings: dict[str, Any], folder: Path) -> str:
    """What an agent says that is like the one of ``host`` but for ``settings``."""
    shutil.copytree(host.folder / "state" / "credentials", folder / "state" / "credentials")
    return refused_with(host.place, folder, settings, "node")


def test_an_agent_without_its_interface(lab: Lab, tmp_path: Path, other_node: Callable[..., dict[str, Any]]):
    settings = other_node(controller="controller.lab:6083", port=[{"name": "up9", "role": "underlay"}])
    assert "interface up9 does not exist" in second_agent(lab["laptop"], settings, tmp_path)


def test_an_agent_without_privileges(lab: Lab):
    config = lab["laptop"].config
    command = (MOORLINE, "--config", str(config), "node")
    as_nobody = ("setpriv", "--reuid", NOBODY, "--clear-groups", *command)
    lab.folder.chmod(0o755)
    try:
        assert "the agent needs root" in sentence(lab["laptop"].place.run(*as_nobody, check=False))
    finally:
        lab.folder.chmod(0o700)
