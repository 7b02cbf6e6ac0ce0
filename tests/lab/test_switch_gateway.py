# SPDX-License-Identifier: Apache-2.0
"""Hosts without Moorline behind a BMv2 switch: they reach services, and are reached."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.demo.download import Download
from tools.lab import HostPlan, Lab, SwitchPlan
from tools.lab.flow import CheckedStream
from tools.lab.on_link import GATEWAY
from tools.lab.plain import PlainHost, virtual_address
from tools.lab.underlay import move
from tools.lab.waiting import wait_until
from tools.lab.web import WebServer, random_file

pytestmark = pytest.mark.bmv2

GATE = "gate"
NAMES = "names.demo"
"""The service by which the server is a name server for the plain hosts."""

RATE = 2e6
"""Octets a second of a stream across the switch."""

FAMILIES = ("ipv4", "ipv6")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    hosts = [HostPlan("server", settings={"dns": {"services": [NAMES]}}), HostPlan("laptop")]
    with Lab(hosts, switches=[SwitchPlan(GATE, plain=("printer", "scanner"))]) as lab:
        lab.start()
        lab["server"].register(lab.controller, "files.demo")
        lab["laptop"].register(lab.controller, "laptop.demo")
        names = lab["server"].register(lab.controller, NAMES)
        resolver = lab.folder / "plain.resolv.conf"
        resolver.write_text(f"nameserver {names.ipv4}\noptions timeout:2 attempts:3\n")
        for name, host in lab.switches[GATE].plain.items():
            host.register(lab.controller, f"{name}.demo", GATE)
            host.place.use_file("/etc/resolv.conf", resolver)
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


def test_a_plain_host_fetches_by_name_from_a_host_that_moves(lab: Lab, printer: PlainHost):
    server = lab["server"]
    with WebServer(server.place, lab.folder / "web", rate=int(RATE)) as web:
        content = random_file(web.root / "main.bin", 12 << 20)
        with Download(printer.place, "http://files.demo/main.bin") as download:
            for part in (0.2, 0.5, 0.8):
                wanted = part * content.size
                wait_until(lambda w=wanted: download.received >= w, f"{part:.0%} had arrived", 60)
                assert download.running
                move(server.uplink)
            assert download.finish(timeout=60) == content.sha256


def test_names_between_plain_hosts_and_others(lab: Lab, printer: PlainHost, scanner: PlainHost):
    for place in (lab["laptop"].place, scanner.place):
        answer = place.run("getent", "ahosts", "printer.demo").stdout
        assert {line.split()[0] for line in answer.splitlines()} == {printer.ipv4, printer.ipv6}
    assert scanner.place.run("getent", "ahosts", "nothing.demo", check=False).returncode != 0


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
    tunnelled = lab.controller.events(GATE).get(("port1", "tx"), 0) - before
    assert tunnelled < stream.received // 1500, "as many packets left as the stream has"


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_too_big_or_has_gone_too_far_is_told(lab: Lab, printer: PlainHost, family: str):
    address = getattr(lab["server"].service(lab.controller, "files.demo"), family)
    ping = ("ping", "-c", "1", "-W", "5")
    far = printer.place.run(*ping, "-t", "1", address, check=False).stdout
    assert "exceeded" in far
    printer.place.run(*ping, address)
    big = printer.place.run(*ping, "-M", "do", "-s", "1450", address, check=False).stdout
    assert "mtu" in big


def test_known_neighbours_find_the_switch_while_no_controller_is_there(lab: Lab, printer: PlainHost):
    uplink = lab.switches[GATE].uplink
    asking = [(uplink.router, uplink.router_interface, str(at.ip)) for at in uplink.addresses.values()]
    asking += [(printer.place, "lan0", str(virtual_address(family, 1, GATEWAY).ip)) for family in (4, 6)]
    for host in lab.hosts.values():
        for address in (printer.ipv4, printer.ipv6):
            host.place.run("ping", "-c", "1", "-W", "5", address)
    lab.controller.kill()
    try:
        for place, interface, address in asking:
            show = ("ip", "neighbour", "show", address, "dev", interface)
            mac = place.run(*show).stdout.split()[2]
            place.run("ip", "neighbour", "replace", address, "lladdr", mac, "dev", interface, "nud", "probe")
            wait_until(lambda p=place, s=show: "REACHABLE" in p.run(*s).stdout, f"{address} had answered")
    finally:
        lab.controller.start()
        for name in (*lab.hosts, *lab.switches):
            lab.controller.wait_converged(name)
