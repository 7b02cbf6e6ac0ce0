# SPDX-License-Identifier: Apache-2.0
"""Hosts without Moorline behind a host that is their gateway, at TC and at XDP.

::

    printer ---+        +--- router --- laptop, with laptop.demo
               |- gate -+
    scanner ---+        +--- own.demo
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorline.api.v1 import moorline_pb2 as api
from tests.lab.test_access_at_xdp import settings_of
from tools.lab import HostPlan, Lab
from tools.lab.flow import CheckedStream
from tools.lab.namespace import Namespace
from tools.lab.plain import PlainHost, lay_behind, virtual_address
from tools.lab.programs import Host
from tools.lab.switch import send_whole_packets
from tools.lab.underlay import move
from tools.lab.waiting import wait_until
from tools.lab.web import WebServer, random_file

GATE = "gate"
PLAIN = ("printer", "scanner")
INTERFACES = ("up0", "lan0", "lan1")
FAMILIES = pytest.mark.parametrize("family", ["ipv4", "ipv6"])
RATE = 4e6
"""Octets a second of a stream."""


def like_hardware(place: Namespace, interface: str) -> None:
    """Have a veth do towards a program at XDP what hardware does of itself: it takes packets from there only
    where it joins segments, and hands on what the sender has not completed.
    """
    place.run("ethtool", "-K", interface, "gro", "on")
    send_whole_packets(place, interface)


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    """How the gateway was before its agent ran; filled in by the lab."""
    return {}


@pytest.fixture(scope="module", params=["tc", "xdp"])
def lab(request: pytest.FixtureRequest, before: dict[str, str]) -> Iterator[Lab]:
    ports = [
        {"name": name, "role": "underlay" if name == "up0" else "gateway", "hook": request.param}
        for name in INTERFACES
    ]
    settings = {"port": ports, "access_hook": request.param}
    with Lab([HostPlan(GATE, plain=PLAIN, settings=settings), HostPlan("laptop")]) as lab:
        if request.param == "xdp":
            like_hardware(lab.router, lab[GATE].uplink.router_interface)
            for plain in lab.plain.values():
                like_hardware(plain.place, "lan0")
        lab[GATE].place.sysctl({"net/ipv4/conf/all/rp_filter": "1"})  # strict: nothing comes in from aside
        before |= traces_on(lab[GATE])
        lab.start()
        lab["laptop"].register(lab.controller, "laptop.demo")
        for name, plain in lab.plain.items():
            plain.register(lab.controller, f"{name}.demo", GATE)
            lab.controller.wait_converged(GATE)
        lab[GATE].register(lab.controller, "own.demo")
        yield lab


@pytest.fixture(scope="module")
def printer(lab: Lab) -> PlainHost:
    return lab.plain["printer"]


@pytest.fixture(scope="module")
def scanner(lab: Lab) -> PlainHost:
    return lab.plain["scanner"]


def traces_on(host: Host) -> dict[str, str]:
    """What a node may leave on its host, but for what moves and cables change too."""
    others = ("routes", "routes6", "interfaces", "filters")
    found = {part: told for part, told in settings_of(host).items() if part not in others}
    links = json.loads(host.place.run("ip", "-j", "-d", "link").stdout)
    found["interfaces"] = str(sorted((link["ifname"], "xdp" in link) for link in links))
    found["filters"] = "\n".join(sorted(host.place.run("tc", "qdisc").stdout.splitlines()))
    for family in ("-4", "-6"):
        found[family] = host.place.run("ip", family, "route", "show", "table", "all", "proto", "61").stdout
    return found


def progress(stream: CheckedStream) -> None:
    """Wait until it has gone on by more than what may have been on its way."""
    wanted = stream.received + 16 * stream.CHUNK
    wait_until(lambda: stream.received > wanted, "the stream went on", 30)


def octets_from_gate(lab: Lab) -> int:
    """What the router has received from the gateway."""
    interface = lab[GATE].uplink.router_interface
    (link,) = json.loads(lab.router.run("ip", "-j", "-s", "link", "show", "dev", interface).stdout)
    return int(link["stats64"]["rx"]["bytes"])


@pytest.mark.parametrize(("client", "server"), [("printer", "laptop"), ("laptop", "printer")])
def test_a_page_is_fetched_by_name(lab: Lab, tmp_path: Path, client: str, server: str):
    places = {name: host.place for name, host in (*lab.hosts.items(), *lab.plain.items())}
    with WebServer(places[server], tmp_path / "web", rate=0) as web:
        content = random_file(web.root / "page", 3 << 20)
        for family in ("-4", "-6"):
            got = tmp_path / f"got{family}"
            places[client].run(
                "curl", "-sS", "--fail", family, "-o", str(got), f"http://{server}.demo/page", timeout=60
            )
            assert hashlib.sha256(got.read_bytes()).hexdigest() == content.sha256
            got.unlink()


def test_names_and_addresses_of_services_are_known_to_plain_hosts(lab: Lab, printer: PlainHost):
    laptop = lab["laptop"].service(lab.controller, "laptop.demo")
    lines = printer.place.run("getent", "ahosts", "laptop.demo").stdout.splitlines()
    assert {line.split()[0] for line in lines} == {laptop.ipv4, laptop.ipv6}
    assert printer.place.run("getent", "hosts", laptop.ipv4).stdout.split()[1] == "laptop.demo"
    # And theirs to others.
    lines = lab["laptop"].place.run("getent", "ahosts", "printer.demo").stdout.splitlines()
    assert {line.split()[0] for line in lines} == {printer.ipv4, printer.ipv6}
    for address in (printer.ipv4, printer.ipv6):
        assert lab["laptop"].place.run("getent", "hosts", address).stdout.split()[1] == "printer.demo"


@FAMILIES
def test_a_ping_to_each_and_the_gateway_itself(lab: Lab, printer: PlainHost, scanner: PlainHost, family: str):
    ping = ("ping", "-c", "2", "-i", "0.2", "-W", "5")
    laptop = lab["laptop"].service(lab.controller, "laptop.demo")
    own = lab[GATE].service(lab.controller, "own.demo")
    gateway = virtual_address(int(family[-1]), 1, 1).ip
    for there in (getattr(laptop, family), getattr(own, family), getattr(scanner, family), str(gateway)):
        printer.place.run(*ping, there)
    for place in (lab["laptop"].place, lab[GATE].place, scanner.place):
        place.run(*ping, getattr(printer, family))


@FAMILIES
@pytest.mark.parametrize("back", [False, True])
def test_a_stream_outlives_moves_of_both(lab: Lab, printer: PlainHost, family: str, back: bool):
    laptop = lab["laptop"].service(lab.controller, "laptop.demo")
    ends = [(printer.place, getattr(printer, family)), (lab["laptop"].place, getattr(laptop, family))]
    (client, _), (server, address) = ends[::-1] if back else ends
    with CheckedStream(client, server, address, rate=RATE) as stream:
        for host in (GATE, "laptop", GATE):
            progress(stream)
            move(lab[host].uplink)
        progress(stream)


@FAMILIES
@pytest.mark.parametrize(("one", "other"), [("printer", "scanner"), ("printer", "own"), ("own", "printer")])
def test_what_stays_at_the_gateway_needs_no_tunnel(lab: Lab, one: str, other: str, family: str):
    own = lab[GATE].service(lab.controller, "own.demo")
    places = {**{name: plain.place for name, plain in lab.plain.items()}, "own": lab[GATE].place}
    addresses = {**{n: getattr(p, family) for n, p in lab.plain.items()}, "own": getattr(own, family)}
    before = octets_from_gate(lab)
    with CheckedStream(places[one], places[other], addresses[other], rate=RATE) as stream:
        progress(stream)
    assert octets_from_gate(lab) - before < stream.received / 4
    client, server = f"{one}.demo", f"{other}.demo"
    found = lab.controller.connection(client, server) or lab.controller.connection(server, client)
    assert found.status == api.CHANNEL_STATUS_LOCAL


@FAMILIES
def test_what_goes_too_far_or_is_too_big_is_told(lab: Lab, printer: PlainHost, family: str):
    laptop = lab["laptop"].service(lab.controller, "laptop.demo")
    ping = ("ping", "-c", "1", "-W", "5")
    printer.place.run(*ping, getattr(laptop, family))
    gateway = str(virtual_address(int(family[-1]), 1, 1).ip)
    gone = printer.place.run(*ping, "-t", "1", getattr(laptop, family), check=False).stdout
    assert re.search(rf"From {gateway} .*(exceeded|Hop limit)", gone)
    # From the far side the gateway has no address of its own: it speaks for the host.
    gone = lab["laptop"].place.run(*ping, "-t", "1", getattr(printer, family), check=False).stdout
    assert re.search(rf"From {getattr(printer, family)} .*(exceeded|Hop limit)", gone)
    lab["laptop"].place.run(*ping, "-t", "2", getattr(printer, family))
    big = printer.place.run(*ping, "-M", "do", "-s", "1450", getattr(laptop, family), check=False).stdout
    assert "mtu" in big


def test_a_stranger_on_the_link_gets_nowhere(lab: Lab, printer: PlainHost):
    laptop = lab["laptop"].service(lab.controller, "laptop.demo")
    stranger = virtual_address(4, 1, 66)
    printer.place.add_address("lan0", stranger)
    try:
        ping = ("ping", "-c", "1", "-W", "1", "-I", str(stranger.ip))
        assert printer.place.run(*ping, laptop.ipv4, check=False).returncode == 1
        printer.place.run(*ping, str(virtual_address(4, 1, 1).ip))  # but to the gateway itself
        script = f"import socket; s = socket.socket(2, 2); s.bind(('{stranger.ip}', 0))"
        assert printer.place.run("python3", "-c", script).returncode == 0
    finally:
        printer.place.delete_address("lan0", stranger)


@pytest.fixture
def forwarding(lab: Lab) -> Iterator[None]:
    """The gateway's kernel forwards what comes in by its uplink, whoever has told it to."""
    place, setting = lab[GATE].place, "net/ipv4/conf/up0/forwarding"
    former = place.run("cat", f"/proc/sys/{setting}").stdout.strip()
    place.sysctl({setting: "1"})
    yield
    place.sysctl({setting: former})


@pytest.mark.usefixtures("forwarding")
def test_plain_packets_from_outside_do_not_reach_plain_hosts(lab: Lab, printer: PlainHost):
    link, gateway = str(printer.addresses[4].network), str(lab[GATE].uplink.addresses[4].ip)
    lab.router.request("route", "add", dst=link, gateway=gateway)
    datagrams = (socket.AF_INET, socket.SOCK_DGRAM)
    with (
        printer.place.socket(*datagrams) as receiver,
        lab.router.socket(*datagrams) as stranger,
        lab["laptop"].place.socket(*datagrams) as service,
    ):
        receiver.bind((printer.ipv4, 7002))
        receiver.settimeout(5)
        for _ in range(3):
            stranger.sendto(b"stranger", receiver.getsockname())
        lab.router.run("ping", "-c", "1", gateway)  # they have been there before
        service.sendto(b"service", receiver.getsockname())
        assert receiver.recv(100) == b"service"
    lab.router.request("route", "del", dst=link, gateway=gateway)


def test_a_gateway_leads_to_services_only(lab: Lab, printer: PlainHost):
    ping = ("ping", "-c", "2", "-i", "0.2", "-W", "1")
    assert printer.place.run(*ping, lab.controller.address, check=False).returncode == 1
    printer.place.run(*ping, lab["laptop"].service(lab.controller, "laptop.demo").ipv4)


@FAMILIES
def test_an_interface_that_goes_and_comes_back(lab: Lab, printer: PlainHost, family: str):
    laptop = lab["laptop"].service(lab.controller, "laptop.demo")
    lab[GATE].place.delete_link("lan0")
    printer.place.forget_link("lan0")
    lay_behind(lab[GATE].place, "lan0", "printer", printer.place, 1)
    if any(port.hook == "xdp" for port in lab[GATE].agent().ports):
        like_hardware(printer.place, "lan0")
    ping = ("ping", "-c", "1", "-W", "1")

    def reached() -> bool:
        return printer.place.run(*ping, getattr(laptop, family), check=False).returncode == 0

    wait_until(reached, "the plain host was back", 30)
    lab["laptop"].place.run(*ping, getattr(printer, family))
    names = ("getent", "ahosts", "laptop.demo")
    wait_until(lambda: not printer.place.run(*names, check=False).returncode, "the plain host was told names")


def test_an_agent_that_is_killed_leaves_the_streams_alone(lab: Lab, printer: PlainHost):
    laptop = lab["laptop"].service(lab.controller, "laptop.demo")
    with CheckedStream(printer.place, lab["laptop"].place, laptop.ipv4, rate=RATE) as stream:
        progress(stream)
        lab[GATE].kill()
        progress(stream)
        lab[GATE].start()
        lab.controller.wait_converged(GATE)
        progress(stream)


def test_a_gateway_that_leaves_is_a_host_as_before(lab: Lab, before: dict[str, str]):
    host = lab[GATE]
    assert traces_on(host) != before
    host.kill()
    host.moorline("node", "leave")
    assert traces_on(host) == before
