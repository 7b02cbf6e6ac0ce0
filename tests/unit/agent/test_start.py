# SPDX-License-Identifier: Apache-2.0
"""What must hold before an agent starts, what it keeps, and what it sets back."""

from __future__ import annotations

import asyncio
import stat
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import Any

import pytest
from structlog.testing import capture_logs

from dataplane.agent import checks, forwarding, sysctl
from dataplane.agent.checks import StartError
from dataplane.agent.config import NodeConfig
from dataplane.agent.marks import PROTOCOL
from dataplane.agent.netlink import HostTable, Link
from dataplane.agent.port_map import NUMBERS, SLOTS, STRIDE, PortEntry, PortMap, PortMapError
from dataplane.agent.removal import RemovalError, remove_node_state
from dataplane.agent.state import LAST_PORT, NodeState, StateError, read_state, write_state

HOST = HostTable({2: Link(2, "eth0", True, 1500, bytes(6))})


def config(tmp_path: Path, *ports: str, **settings: Any) -> NodeConfig:
    return NodeConfig(state_dir=tmp_path / "state", ports=[{"name": name} for name in ports], **settings)


# ---- checks ------------------------------------------------------------------------------------------------


def test_a_port_needs_its_interface(tmp_path: Path) -> None:
    checks.check_interfaces(config(tmp_path, "eth0"), NodeState(), HOST)
    with pytest.raises(StartError, match=r"^interface eht0 does not exist: name one of eth0 in"):
        checks.check_interfaces(config(tmp_path, "eth0", "eht0"), NodeState(), HOST)
    with pytest.raises(StartError, match=r"^no underlay port is configured"):
        checks.check_interfaces(config(tmp_path), NodeState(), HOST)


def test_an_interface_that_was_there_may_come_back(tmp_path: Path) -> None:
    with capture_logs() as logs:
        checks.check_interfaces(config(tmp_path, "eth0", "usb0"), NodeState(ports={"usb0": 3}), HOST)
    assert [(entry["event"], entry["interface"]) for entry in logs] == [("interface_missing", "usb0")]


def test_a_machine_that_has_not_joined_is_told_how(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"moorline node join TOKEN"):
        checks.check_joined(config(tmp_path))
    config(tmp_path).credentials_dir.mkdir(parents=True)
    checks.check_joined(config(tmp_path))


def test_pins_outside_a_bpf_file_system(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"is in no BPF filesystem: run 'mount"):
        checks.check_pins(tmp_path / "pins")


def test_one_agent_for_one_state(tmp_path: Path) -> None:
    with checks.only_agent(tmp_path), pytest.raises(StartError, match="another agent runs"):
        checks.only_agent(tmp_path)
    checks.only_agent(tmp_path).close()


# ---- node.json ---------------------------------------------------------------------------------------------


def test_the_state_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "node.json"
    assert read_state(path) == NodeState()
    state = NodeState(node="server", generation=7, hooks={"eth0": "tc"}, former_sysctls={"a": "0"})
    assert (state.port_number("eth0"), state.port_number("eth1"), state.port_number("eth0")) == (1, 2, 1)
    write_state(path, state)
    assert read_state(path) == state
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["node.json"]


def test_a_port_keeps_its_number_when_another_goes() -> None:
    state = NodeState(ports={"eth0": 1, "eth2": 3})
    assert state.port_number("eth9") == 2
    full = NodeState(ports={f"eth{number}": number for number in range(1, LAST_PORT + 1)})
    with pytest.raises(StateError, match=r"interface more gets no port number"):
        full.port_number("more")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"node": 3}', b'{"later": 1}', b"\xff"])
def test_a_damaged_state_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "node.json"
    path.write_bytes(content)
    with pytest.raises(StateError, match=r"^state file .* is damaged \(.*\): restore it, or join again$"):
        read_state(path)
    assert path.read_bytes() == content


def test_a_state_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "node.json"
    path.mkdir()  # nothing can take the place of a folder
    with pytest.raises(StateError, match="cannot be written"):
        write_state(path, NodeState())
    assert [entry.name for entry in tmp_path.iterdir()] == ["node.json"]


# ---- forwarding --------------------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "net"
    for name, value in {
        "ipv4/conf/eth0/forwarding": "0",
        "ipv6/conf/eth0/accept_ra": "1",
        "ipv6/conf/eth0/forwarding": "0",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(value + "\n")
    monkeypatch.setattr(sysctl, "_ROOT", root)
    return root


def values(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_text().strip() for path in root.rglob("*") if path.is_file()
    }


def test_forwarding_is_switched_on_and_set_back(settings: Path) -> None:
    before = values(settings)
    former: dict[str, str] = {}
    forwarding.forward_on("eth0", former)
    forwarding.forward_on("eth0", former)  # the interface was made anew, or the agent was
    assert values(settings) == {
        "ipv4/conf/eth0/forwarding": "1",
        "ipv6/conf/eth0/accept_ra": "2",
        "ipv6/conf/eth0/forwarding": "1",
    }
    assert former == before
    forwarding.restore(former)
    assert values(settings) == before
    assert former == {}


def test_what_was_on_already_is_left_alone(settings: Path) -> None:
    (settings / "ipv4/conf/eth0/forwarding").write_text("1")
    former: dict[str, str] = {}
    forwarding.forward_on("eth0", former)
    assert "ipv4/conf/eth0/forwarding" not in former


def test_a_kernel_without_ipv6(settings: Path) -> None:
    for path in (settings / "ipv6/conf/eth0").iterdir():
        path.unlink()
    former: dict[str, str] = {}
    with capture_logs() as logs:
        forwarding.forward_on("eth0", former)
    assert former == {"ipv4/conf/eth0/forwarding": "0"}
    assert [entry["event"] for entry in logs] == ["forwarding_switched_on"]


class Rules:
    """The kernel's rules, as pyroute2 shows them."""

    def __init__(self) -> None:
        self.rules: list[dict[str, Any]] = []
        self.dumps = 0

    async def rule(self, command: str, **fields: Any) -> Any:
        match command:
            case "add":
                self.rules.append(fields)
            case "del":
                self.rules.remove(fields)
            case _:
                self.dumps += 1
                return self._dump(fields["family"])
        return None

    async def _dump(self, family: int) -> Any:
        for rule in [rule for rule in self.rules if rule["family"] == family]:
            yield _Message(rule)


class _Message(dict[str, Any]):
    def get_attr(self, name: str) -> Any:
        return self.get(name.removeprefix("FRA_").lower())


def test_rules_are_those_that_are_wanted_and_the_rest_of_the_hosts() -> None:
    netlink = Rules()
    other = {"iifname": "eth0", "dst": "10.0.0.0", "dst_len": 8, "family": AF_INET, "protocol": 4}
    another_kind = {**other, "iifname": "lo", "protocol": PROTOCOL, "priority": forwarding.RULE_PRIORITY - 1}
    netlink.rules += [other, another_kind]
    prefixes = [IPv4Network("198.18.0.0/15"), IPv6Network("fd00::/64")]
    for _ in range(2):  # the second agent finds what the first one made
        guard = forwarding.Guard(netlink)
        asyncio.run(guard.keep(["eth0", "eth1"], prefixes))
        assert len(netlink.rules) == 6
    made = [rule for rule in netlink.rules if rule.get("priority") == forwarding.RULE_PRIORITY]
    assert {(r["iifname"], r["dst"], r["dst_len"], r["family"]) for r in made} == {
        (name, dst, length, family)
        for name in ("eth0", "eth1")
        for dst, length, family in (("198.18.0.0", 15, AF_INET), ("fd00::", 64, AF_INET6))
    }
    dumps = netlink.dumps
    asyncio.run(guard.keep(["eth1", "eth0"], prefixes))
    assert netlink.dumps == dumps
    asyncio.run(guard.keep((), ()))
    assert netlink.rules == [other, another_kind]


# ---- removal -----------------------------------------------------------------------------------------------


async def test_removing_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.os, "geteuid", lambda: 0)
    await remove_node_state(config(tmp_path))
    assert list(tmp_path.iterdir()) == []


async def test_a_pin_that_stays_is_told_and_the_state_stays_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> None:
        pass

    monkeypatch.setattr(checks.os, "geteuid", lambda: 0)
    monkeypatch.setattr("dataplane.agent.removal._clean_network", nothing)
    settings = config(tmp_path, pins=tmp_path / "pins", socket=tmp_path / "socket")
    settings.state_dir.mkdir()
    settings.pins.write_text("no folder")
    with pytest.raises(RemovalError, match=r"pins is in no BPF filesystem, and stays: set pins"):
        await remove_node_state(settings)
    monkeypatch.setattr(checks, "holds_pins", lambda _path: True)
    with pytest.raises(RemovalError, match=r"pins cannot be removed \(.*\): remove it$"):
        await remove_node_state(settings)
    assert settings.pins.read_text() == "no folder"
    assert settings.state_dir.exists()
    settings.pins.unlink()
    await remove_node_state(settings)
    assert list(tmp_path.iterdir()) == []


async def test_what_is_not_the_nodes_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> None:
        pass

    monkeypatch.setattr(checks.os, "geteuid", lambda: 0)
    monkeypatch.setattr("dataplane.agent.removal._clean_network", nothing)
    settings = config(tmp_path, pins=tmp_path / "pins", socket=tmp_path / "precious")
    settings.credentials_dir.mkdir(parents=True)
    write_state(settings.state_dir / "node.json", NodeState())
    others = [settings.socket, settings.state_dir / "notes.txt"]
    for other in others:
        other.write_text("of somebody else")
    await remove_node_state(settings)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == others
    others[1].unlink()
    await remove_node_state(settings)
    assert not settings.state_dir.exists()


# ---- which interface is which port -------------------------------------------------------------------------


def test_the_port_maps_hold_what_was_written_last() -> None:
    ports, numbers = memoryview(bytearray(SLOTS * STRIDE)), memoryview(bytearray(NUMBERS * STRIDE))
    maps = PortMap(ports, numbers)
    one, other = PortEntry(5, 1, b"\2" * 6, 9, b"\3" * 6), PortEntry(5 + SLOTS, 2, b"\4" * 6)
    maps.write([one, other])
    assert bytes(ports[5 * STRIDE :][: len(one.pack())]) == one.pack()
    assert (
        bytes(ports[6 * STRIDE :][: len(other.pack())]) == other.pack()
    )  # the next place: the first is taken
    assert bytes(numbers[2 * STRIDE :][: len(other.pack())]) == other.pack()
    maps.write([other])
    assert int.from_bytes(ports[5 * STRIDE : 5 * STRIDE + 4], "little") == 0
    assert bytes(ports[6 * STRIDE :][: len(other.pack())]) == other.pack()  # one that stays does not move
    assert int.from_bytes(numbers[STRIDE : STRIDE + 4], "little") == 0


def test_interfaces_whose_indexes_fall_together() -> None:
    maps = PortMap(memoryview(bytearray(SLOTS * STRIDE)), memoryview(bytearray(NUMBERS * STRIDE)))
    with pytest.raises(PortMapError, match="finds no place"):
        maps.write([PortEntry(5 + n * SLOTS, n, bytes(6)) for n in range(5)])
