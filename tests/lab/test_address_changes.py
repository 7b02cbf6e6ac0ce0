# SPDX-License-Identifier: Apache-2.0
"""The main job: what programs have open goes on while the addresses below it change."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tools.demo.download import Download
from tools.lab import Lab
from tools.lab.flow import CheckedStream, PacedFlow
from tools.lab.programs import Service
from tools.lab.underlay import replace_at_once
from tools.lab.waiting import wait_until
from tools.lab.web import WebServer, random_file

PAIR = ("server", "laptop")
"""The two ends of the connection from laptop.demo to files.demo."""
CHANGES = 1000
AT_ONCE = 5
AT_ONCE_SECONDS = 0.010
AT_ONCE_TRIES = 100


def scid_of(lab: Lab) -> int:
    return int(lab.controller.connection("laptop.demo", "files.demo").scid)


def locators(lab: Lab, host: str) -> set[str]:
    return {locator["address"] for locator in lab.controller.ask("node", "show", host)["locators"]}


def change_server(lab: Lab) -> None:
    lab["server"].uplink.move(elsewhere=True, family=4)


def change_laptop(lab: Lab) -> None:
    lab["laptop"].uplink.move(elsewhere=False, family=4)


def change_both(lab: Lab) -> float:
    uplinks = [lab[name].uplink for name in PAIR]
    return replace_at_once([(uplink, uplink.fresh(4, elsewhere=True)) for uplink in uplinks])


@pytest.mark.usefixtures("laptop")
def test_a_download_by_name_outlives_changes_at_either_end_and_at_both(
    lab: Lab, files: Service, web: WebServer
):
    content = random_file(web.root / "main.bin", 48 << 20)
    client = lab["laptop"].place
    with Download(client, f"http://{files.name}/main.bin") as download:
        for part, change in ((0.2, change_server), (0.45, change_laptop), (0.7, change_both)):
            wait_until(lambda p=part: download.received >= p * content.size, f"{part:.0%} had arrived", 60)
            assert download.running
            before = scid_of(lab)
            change(lab)
            assert scid_of(lab) == before
        assert download.finish(timeout=60) == content.sha256
    (request,) = wait_until(web.requests, "nginx had logged the request")
    assert (request["requests"], request["status"]) == (1, 200)


def test_a_first_packet_is_not_lost_with_the_line_to_the_controller():
    """It goes up on a connection whose address is gone, which nobody has noticed yet."""
    with Lab() as lab:
        lab.start()
        files = lab["server"].register(lab.controller, "files.demo")
        lab["laptop"].register(lab.controller, "laptop.demo")
        change_laptop(lab)
        answer = lab["laptop"].place.run("ping", "-c", "1", "-W", "5", files.ipv4, check=False)
        assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("change", [change_server, change_laptop, change_both])
def test_a_flow_goes_on_after_a_change(
    lab: Lab, files: Service, laptop: Service, change: Callable[[Lab], object]
):
    with PacedFlow(lab["laptop"].place, lab["server"].place, files.ipv4) as flow:
        wait_until(lambda: flow.report.arrived, "the flow had begun")
        change(lab)
        changed = flow.report.sent
        wait_until(lambda: any(n > changed for n in list(flow.report.arrived)), "the flow had gone on")
        flow.run(0.2)
    # What was on its way to an address that is no more is lost; what was sent after the news is not.
    assert not [number for number in flow.report.lost if number > changed + 500]


@contextmanager
def ahead_of_others() -> Iterator[None]:
    """Let this process go before other work: a busy machine has it wait longer than a change may take."""

    def set_all(priority: int) -> None:
        for thread in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, int(thread.name), priority)

    ordinary = os.getpriority(os.PRIO_PROCESS, 0)
    set_all(-20)
    try:
        yield
    finally:
        set_all(ordinary)


def test_both_ends_change_within_the_same_ten_milliseconds(lab: Lab, files: Service, laptop: Service):
    stream = CheckedStream(lab["laptop"].place, lab["server"].place, files.ipv4)
    with stream, ahead_of_others():
        before = scid_of(lab)
        within = 0
        for _ in range(AT_ONCE_TRIES):
            within += change_both(lab) < AT_ONCE_SECONDS
            received = stream.received
            wait_until(lambda r=received: stream.received > r + stream.CHUNK, "the stream went on", 20)
            if within == AT_ONCE:
                break
        assert within == AT_ONCE, "this machine is too slow to change both addresses at once"
        assert scid_of(lab) == before


def test_the_controller_shows_the_new_addresses(lab: Lab):
    change_both(lab)
    for name in PAIR:
        wanted = {str(address.ip) for address in lab[name].uplink.addresses.values()}
        wait_until(lambda n=name, w=wanted: locators(lab, n) == w, f"the locators of {name} were shown")


@pytest.mark.timeout(180)
def test_a_thousand_changes_in_a_row_under_a_checked_transfer(lab: Lab, files: Service, laptop: Service):
    hosts = [lab[name] for name in PAIR]
    with CheckedStream(lab["laptop"].place, lab["server"].place, files.ipv4) as stream:
        for number in range(CHANGES):
            before = stream.received
            hosts[number % len(hosts)].uplink.move(elsewhere=number % 3 == 0, family=4)
            wait_until(lambda b=before: stream.received > b, f"data arrived after change {number}", 20)
        last = stream.received
        wait_until(lambda: stream.received > last + 1_000_000, "the stream went on after the last change")
    assert stream.received == stream.sent
    for host in hosts:
        lab.controller.wait_converged(host.name)


def test_iperf3_runs_through_a_change(lab: Lab, files: Service, laptop: Service):
    server = lab["server"].place.start("iperf3", "iperf3", "--server", "--one-off", "--bind", files.ipv4)
    with server:
        place = lab["server"].place
        wait_until(lambda: place.run("ss", "-Htln", "sport = 5201").stdout, "iperf3 listened")
        command = lab["laptop"].place.command("iperf3", "--client", files.ipv4, "--time", "2", "--json")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            time.sleep(0.7)
            change_both(lab)
            output, _ = client.communicate(timeout=30)
    assert client.returncode == 0, output
