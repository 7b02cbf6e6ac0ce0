# SPDX-License-Identifier: Apache-2.0
"""Hosts without Moorline behind a BMv2 switch: they reach services, and are reached."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.lab import HostPlan, Lab, SwitchPlan
from tools.lab.flow import CheckedStream
from tools.lab.switched import PlainHost
from tools.lab.underlay import move
from tools.lab.waiting import wait_until

pytestmark = pytest.mark.bmv2

GATE = "gate"
RATE = 2e6
"""Octets a second of a stream across the switch."""

FAMILIES = ("ipv4", "ipv6")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    hosts = [HostPlan("server"), HostPlan("laptop")]
    with Lab(hosts, switches=[SwitchPlan(GATE, plain=("printer", "scanner"))]) as lab:
        lab.start()
        lab["server"].register(lab.controller, "files.demo")
        lab["laptop"].register(lab.controller, "laptop.demo")
        for name in ("printer", "scanner"):
            lab.switches[GATE].register(lab.controller, f"{name}.demo", name)
        yield lab


@pytest.fixture(scope="module")
def printer(lab: Lab) -> PlainHost:
    return lab.switches[GATE].plain["printer"]


@pytest.fixture(scope="module")
def scanner(lab: Lab) -> PlainHost:
    return lab.switches[GATE].plain["scanner"]


def progress(stream: CheckedStream) -> None:
    """Wait until it has gone on by more than what may have been on its way."""
    wanted = stream.received + 16 * stream.CHUNK
    wait_until(lambda: stream.received > wanted, "the stream went on", 30)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_plain_host_reaches_a_service_whose_host_moves(lab: Lab, printer: PlainHost, family: str):
    address = getattr(lab["server"].service(lab.controller, "files.demo"), family)
    with CheckedStream(printer.place, lab["server"].place, address, rate=RATE) as stream:
        for _ in range(3):
            progress(stream)
            move(lab["server"].uplink)
        progress(stream)
    assert lab.controller.connection("printer.demo", "files.demo").server.node == "server"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_plain_host_is_reached_by_a_host_that_moves(lab: Lab, printer: PlainHost, family: str):
    with CheckedStream(lab["laptop"].place, printer.place, getattr(printer, family), rate=RATE) as stream:
        for _ in range(3):
            progress(stream)
            move(lab["laptop"].uplink)
        progress(stream)


@pytest.mark.parametrize("family", FAMILIES)
def test_plain_hosts_behind_one_switch_reach_one_another_without_a_tunnel(
    lab: Lab, printer: PlainHost, scanner: PlainHost, family: str
):
    before = lab.controller.events(GATE).get(("port1", "tx"), 0)
    with CheckedStream(printer.place, scanner.place, getattr(scanner, family), rate=RATE) as stream:
        progress(stream)
    (found,) = (
        connection
        for connection in lab.controller.ask("connection", "list", "--service", "scanner.demo")
        if connection["client"]["service"] == "printer.demo"
    )
    assert found["status"] == "local"
    assert lab.controller.events(GATE).get(("port1", "tx"), 0) == before


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_too_big_or_has_gone_too_far_is_told(lab: Lab, printer: PlainHost, family: str):
    address = getattr(lab["server"].service(lab.controller, "files.demo"), family)
    ping = ("ping", "-c", "1", "-W", "5")
    far = printer.place.run(*ping, "-t", "1", address, check=False).stdout
    assert "exceeded" in far
    printer.place.run(*ping, address)
    big = printer.place.run(*ping, "-M", "do", "-s", "1450", address, check=False).stdout
    assert "mtu" in big
