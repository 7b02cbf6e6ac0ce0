# SPDX-License-Identifier: Apache-2.0
"""The lab itself: it routes, and it leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tools.lab import HostPlan, Lab, cleanup
from tools.lab.flow import PacedFlow
from tools.lab.tcp import connect, listen
from tools.lab.underlay import replace_at_once
from tools.lab.waiting import wait_until

BUILD_AND_WAIT = """
import sys, time
from tools.lab import Lab
from tools.lab.cleanup import interruptible
with interruptible(), Lab() as lab:
    sleeper = lab.run_beside(lab.router.start("sleeper", "sleep", "600"))
    print(lab.name, sleeper.pid, flush=True)
    time.sleep(60)
"""


def leftovers(name: str) -> list[str]:
    folders = (cleanup.NAMESPACES, cleanup.PINS, Path(tempfile.gettempdir()))
    return [str(path) for folder in folders if folder.is_dir() for path in folder.glob(f"{name}*")]


@pytest.fixture
def other_lab():
    command = [sys.executable, "-c", BUILD_AND_WAIT]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        name, sleeper = process.stdout.readline().split()
        yield process, name, Path("/proc") / sleeper
        process.kill()


@pytest.mark.parametrize("family", [4, 6])
def test_hosts_reach_one_another(family: int):
    with Lab() as lab:
        server, client = lab["server"], lab["laptop"]
        for move in (False, True):
            address = str(server.uplink.move(elsewhere=move, family=family).ip)
            with listen(server.place, address, 80), connect(client.place, address, 80):
                pass
        with PacedFlow(client.place, server.place, address, per_second=500) as flow:
            flow.run(0.2)
        assert flow.report.sent > 50
        assert not flow.report.lost


def test_a_lost_datagram_is_noticed():
    with Lab() as lab:
        server, client = lab["server"], lab["laptop"]
        address = str(server.uplink.addresses[4].ip)
        with PacedFlow(client.place, server.place, address, per_second=1000) as flow:
            flow.run(0.1)
            lab.router.set_link(server.uplink.router_interface, state="down")
            flow.run(0.1)
            lab.router.set_link(server.uplink.router_interface, state="up")
            flow.run(0.1)
        assert flow.report.lost
        assert flow.report.longest_gap > 0.05


def test_both_hosts_change_address_at_once():
    with Lab() as lab:
        uplinks = [host.uplink for host in lab.hosts.values()]
        before = [uplink.host.addresses(uplink.interface) for uplink in uplinks]
        replace_at_once([(uplink, uplink.fresh(4, elsewhere=True)) for uplink in uplinks])
        after = [uplink.host.addresses(uplink.interface) for uplink in uplinks]
        assert all(old != new for old, new in zip(before, after, strict=True))


def test_a_host_has_several_uplinks_and_loses_one():
    with Lab(hosts=[HostPlan("server"), HostPlan("laptop", uplinks=2)]) as lab:
        server, client = lab["server"], lab["laptop"]
        client.uplinks[0].cut()
        address = str(server.uplink.addresses[4].ip)
        with listen(server.place, address, 80), connect(client.place, address, 80) as connected:
            assert connected.getsockname()[0] == str(client.uplinks[1].addresses[4].ip)


def test_what_runs_in_a_lab_does_not_hear_the_terminal():
    with Lab(()) as lab:
        session = lab.router.run("sh", "-c", "cut -d ' ' -f 6 /proc/$$/stat").stdout
    assert int(session) != os.getsid(0)


def test_nothing_is_left_after_a_failure():
    lab = Lab()
    with pytest.raises(ZeroDivisionError), lab:
        forgotten = lab.router.start("forgotten", "sleep", "600")
        assert leftovers(lab.name)
        raise ZeroDivisionError
    assert not leftovers(lab.name)
    wait_until(lambda: not forgotten.running, "a program that nobody ended had been killed")


def test_an_interrupt_waits_for_what_must_be_whole():
    done = []
    with pytest.raises(KeyboardInterrupt), cleanup.uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append("the rest")
    assert done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_after_an_interrupt(other_lab, number: signal.Signals):
    process, name, sleeper = other_lab
    assert leftovers(name)
    process.send_signal(number)
    process.wait(10)
    assert not leftovers(name)
    assert not sleeper.exists()


def test_the_next_lab_takes_away_what_a_killed_one_left(other_lab):
    process, name, sleeper = other_lab
    process.kill()
    process.wait()
    assert leftovers(name)
    assert sleeper.exists()
    cleanup.sweep()
    assert not leftovers(name)
    wait_until(lambda: not sleeper.exists(), "the program in the old lab had ended")
