# SPDX-License-Identifier: Apache-2.0
"""Findings of the doctor on machines that lack one thing each."""

from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataplane.bpf import headers
from moorline.cli import doctor, probes
from moorline.cli.doctor import Check, Finding, State
from moorline.cli.main import main
from moorline.cli.settings import Settings

WELL: dict[str, Any] = {
    "kernel_release": lambda: ("6.1.0-56-amd64", (6, 1)),
    "kernel_options": lambda: dict.fromkeys(doctor.KERNEL_OPTIONS, "m"),
    "effective_capabilities": lambda: set(probes.Capability),
    "missing_from_bpf": lambda: [],
    "jit_is_on": lambda: True,
    "mount_type": lambda _path: "bpf",
    "interface_mtu": lambda _name: 1500,
    "interface_driver": lambda _name: "virtio_net",
    "forwarding": lambda _name, _family: probes.Setting.OFF,
    "checksums_on_sending": lambda _name: True,
    "clock_is_synchronised": lambda: True,
}


def settings(**node: Any) -> Settings:
    return Settings.model_validate({"node": node})


TWO_PORTS = settings(
    port=[{"name": "eth0", "hook": "xdp"}, {"name": "lan0", "role": "gateway"}], state_dir="/nonexistent"
)


@pytest.fixture(autouse=True)
def _a_sound_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, answer in WELL.items():
        monkeypatch.setattr(probes, name, answer)


def one(check: Check, where: Settings = TWO_PORTS) -> Finding:
    (finding,) = check(where)
    return finding


def raising(error: Exception) -> Any:
    def raise_it(*_: object) -> None:
        raise error

    return raise_it


@pytest.mark.parametrize(
    "check",
    [
        doctor.check_kernel,
        doctor.check_kernel_options,
        doctor.check_privileges,
        doctor.check_bpf,
        doctor.check_jit,
        doctor.check_bpffs,
        doctor.check_ports,
        doctor.check_mtu,
        doctor.check_checksum_offload,
        doctor.check_clock,
    ],
)
def test_a_sound_machine(check: Check) -> None:
    findings = list(check(TWO_PORTS))
    assert findings
    assert {finding.state for finding in findings} == {State.OK}
    assert all(finding.found and not finding.mend for finding in findings)


@pytest.mark.parametrize(
    ("check", "probe", "answer", "state", "found"),
    [
        (doctor.check_kernel, "kernel_release", ("5.4.0", (5, 4)), State.FAIL, "Linux 5.4.0"),
        (doctor.check_kernel_options, "kernel_options", None, State.WARN, "does not tell"),
        (
            doctor.check_kernel_options,
            "kernel_options",
            {"CONFIG_VETH": "y"},
            State.FAIL,
            "CONFIG_NET_CLS_BPF",
        ),
        (doctor.check_privileges, "effective_capabilities", set(), State.FAIL, "CAP_BPF, CAP_NET_ADMIN"),
        (doctor.check_bpf, "missing_from_bpf", ["RINGBUF"], State.FAIL, "refuses RINGBUF"),
        (doctor.check_bpf, "missing_from_bpf", OSError("no libbpf.so.1"), State.FAIL, "no libbpf.so.1"),
        (doctor.check_jit, "jit_is_on", False, State.WARN, "off"),
        (doctor.check_jit, "jit_is_on", None, State.WARN, "hidden"),
        (doctor.check_bpffs, "mount_type", "sysfs", State.FAIL, "is in sysfs"),
        (doctor.check_bpffs, "mount_type", None, State.FAIL, "is in nothing"),
        (doctor.check_clock, "clock_is_synchronised", False, State.WARN, "no time service"),
    ],
)
def test_a_machine_that_lacks_one_thing(
    monkeypatch: pytest.MonkeyPatch, check: Check, probe: str, answer: Any, state: State, found: str
) -> None:
    monkeypatch.setattr(probes, probe, raising(answer) if isinstance(answer, OSError) else lambda *_: answer)
    finding = one(check)
    assert finding.state is state
    assert found in finding.found
    assert finding.mend


@pytest.mark.parametrize(
    ("mtu", "state"), [(1352, State.OK), (1351, State.FAIL), (9000, State.OK), (None, State.FAIL)]
)
def test_mtu(monkeypatch: pytest.MonkeyPatch, mtu: int | None, state: State) -> None:
    monkeypatch.setattr(probes, "interface_mtu", lambda _name: mtu)
    assert next(doctor.check_mtu(TWO_PORTS)).state is state


AT_XDP = settings(port=[{"name": "eth0"}], access_hook="xdp")


def test_sending_from_xdp_matters_only_where_an_access_port_is_there() -> None:
    at_tc = settings(port=[{"name": "eth0"}, {"name": "lan0", "role": "gateway"}])
    assert list(doctor.check_sending_from_xdp(at_tc)) == []
    assert list(doctor.check_sending_from_xdp(settings(port=[{"name": "eth0", "hook": "xdp"}]))) == []
    assert [finding.state for finding in doctor.check_sending_from_xdp(AT_XDP)] == [State.OK]
    assert one(doctor.check_sending_from_xdp, TWO_PORTS).check == "forwarding of lan0"
    gateway = settings(port=[{"name": "eth0"}, {"name": "lan0", "role": "gateway", "hook": "xdp"}])
    names = [finding.check for finding in doctor.check_sending_from_xdp(gateway)]
    assert names == ["forwarding of eth0", "forwarding of lan0"]


def test_a_link_of_plain_hosts_takes_what_other_nodes_send(monkeypatch: pytest.MonkeyPatch) -> None:
    mtus = {"eth0": 1500, "lan0": 1400}
    monkeypatch.setattr(probes, "interface_mtu", mtus.get)
    _, lan = doctor.check_mtu(TWO_PORTS)
    assert (lan.state, lan.mend) == (State.WARN, "raise it to 1428")
    mtus["lan0"] = 1428
    _, lan = doctor.check_mtu(TWO_PORTS)
    assert lan.state is State.OK


def test_forwarding_that_the_node_cannot_switch_on(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"ipv4": probes.Setting.ON, "ipv6": probes.Setting.FIXED}
    monkeypatch.setattr(probes, "forwarding", lambda _name, family: states[family])
    finding = one(doctor.check_sending_from_xdp, AT_XDP)
    assert finding.state is State.FAIL
    assert "sysctl -w net.ipv6.conf.eth0.forwarding=1 " in finding.mend
    states["ipv6"] = probes.Setting.ABSENT
    assert one(doctor.check_sending_from_xdp, AT_XDP).state is State.OK


def test_a_veth_that_packets_from_xdp_leave_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "interface_driver", lambda _name: "veth")
    _, finding = doctor.check_sending_from_xdp(AT_XDP)
    assert finding.state is State.WARN
    assert "ethtool -K PEER gro on" in finding.mend


def test_a_machine_without_ports() -> None:
    finding = one(doctor.check_ports, settings(port=[{"name": "lan0", "role": "gateway"}]))
    assert finding.state is State.WARN
    assert "[[node.port]]" in finding.mend


def test_mtu_tells_what_is_left_inside() -> None:
    assert "packets inside up to 1428" in next(doctor.check_mtu(TWO_PORTS)).found


def test_xdp_on_a_veth_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "interface_driver", lambda _name: "veth")
    xdp, access = doctor.check_checksum_offload(TWO_PORTS)
    assert (xdp.state, access.state) == (State.WARN, State.OK)
    assert "ethtool -K" in xdp.mend


def test_checksum_offload_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "checksums_on_sending", raising(OSError(19, "No such device")))
    assert all(
        f.state is State.WARN and "No such device" in f.found
        for f in doctor.check_checksum_offload(TWO_PORTS)
    )


def test_without_bcc(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "bcc":
            raise ImportError("No module named 'bcc'")
        return importing(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    finding = one(doctor.check_bcc)
    assert finding.state is State.FAIL
    assert "python3-bpfcc" in finding.mend


def test_headers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(headers, "find_headers", lambda: tmp_path)
    assert one(doctor.check_headers) == Finding("headers", State.OK, str(tmp_path))
    monkeypatch.setattr(headers, "find_headers", raising(headers.HeadersError("no kernel headers")))
    finding = one(doctor.check_headers)
    assert finding.state is State.FAIL
    assert "apt install linux-headers-" in finding.mend


def test_a_machine_that_has_not_joined(tmp_path: Path) -> None:
    finding = one(doctor.check_controller, settings(state_dir=str(tmp_path)))
    assert (finding.state, finding.mend) == (State.WARN, "moorline node join TOKEN")


def test_a_controller_that_cannot_be_trusted(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    finding = one(doctor.check_controller, settings(state_dir=str(tmp_path), controller="127.0.0.1:1"))
    assert finding.state is State.FAIL
    assert "ca.pem cannot be read" in finding.found


@pytest.fixture
def _only_these(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(doctor, "CHECKS", (doctor.check_kernel, doctor.check_jit))
    yield


@pytest.mark.usefixtures("_only_these")
def test_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    empty = tmp_path / "moorline.toml"
    empty.write_text("")

    def run() -> tuple[Any, Any]:
        with pytest.raises(SystemExit) as ended:
            main(["--config", str(empty), "doctor", "-o", "json"])
        return ended.value.code, json.loads(capsys.readouterr().out)

    code, findings = run()
    assert code == 0
    assert findings[0] == {"check": "kernel", "state": "ok", "found": "Linux 6.1.0-56-amd64", "mend": ""}
    monkeypatch.setattr(probes, "jit_is_on", lambda: False)
    assert run()[0] == 0
    monkeypatch.setattr(probes, "kernel_release", lambda: ("4.19", (4, 19)))
    assert run()[0] == 1


def test_every_check_is_made() -> None:
    checks = {value for name, value in vars(doctor).items() if name.startswith("check_")}
    assert checks == set(doctor.CHECKS)


def test_probes_of_this_machine() -> None:
    """The probes themselves, in a process where nothing is replaced."""
    script = (
        "from moorline.cli import probes as p; from pathlib import Path; import json\n"
        "print(json.dumps([p.kernel_release(), p.mount_type(Path('/proc/self')), p.interface_mtu('lo'),\n"
        "  p.interface_mtu('none'), p.clock_is_synchronised(), p.jit_is_on(),\n"
        "  len(p.effective_capabilities())]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    (release, number), mount, loopback, none, clock, jit, capabilities = json.loads(done.stdout)
    assert release == os.uname().release
    assert release.startswith(".".join(map(str, number)))
    assert (mount, loopback, none) == ("proc", 65536, None)
    assert isinstance(clock, bool)
    assert jit in (True, False, None)
    assert 0 <= capabilities <= len(probes.Capability)
