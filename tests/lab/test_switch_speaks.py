# SPDX-License-Identifier: Apache-2.0
"""A BMv2 switch that its controller speaks for, between real kernels: they find it and each other through it.

``printer`` is a plain host behind the switch, without Moorline; ``laptop`` is a node behind the router.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tools.lab import HostPlan, Lab
from tools.lab.namespace import Namespace
from tools.lab.plain import PlainHost
from tools.lab.programs import Service
from tools.lab.switched import SwitchNode, SwitchPlan
from tools.lab.waiting import wait_until

pytestmark = pytest.mark.bmv2

UPLINK_MAC, GATEWAY_MAC = "02:6d:6c:00:00:01", "02:6d:6c:00:00:65"
ROUTER_INTERFACE = "swp1"
FAMILIES = pytest.mark.parametrize("family", [4, 6])


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab((HostPlan("laptop"),), switches=(SwitchPlan("sw", plain=("printer",)),)) as lab:
        notify = {"net/ipv4/conf/all/arp_notify": "1", f"net/ipv6/conf/{ROUTER_INTERFACE}/ndisc_notify": "1"}
        lab.router.sysctl(notify)
        lab.start()
        lab.plain["printer"].register(lab.controller, "printer.demo", "sw")
        lab["laptop"].register(lab.controller, "laptop.demo")
        yield lab


@pytest.fixture(scope="module")
def switch(lab: Lab) -> SwitchNode:
    return lab.switches["sw"]


@pytest.fixture(scope="module")
def printer(switch: SwitchNode) -> PlainHost:
    return switch.plain["printer"]


@pytest.fixture(scope="module")
def laptop(lab: Lab) -> Service:
    return lab["laptop"].service(lab.controller, "laptop.demo")


def of(family: int, endpoint: PlainHost | Service) -> str:
    return endpoint.ipv4 if family == 4 else endpoint.ipv6


def locator(lab: Lab, family: int) -> str:
    """The switch's own address at its uplink."""
    octets = {4: 4, 6: 16}[family]
    locators = (at.address for at in lab.controller.node("sw").locators)
    return str(ip_address(next(address for address in locators if len(address) == octets)))


def gateway(printer: PlainHost, family: int) -> str:
    """The switch's own address at the plain host's link."""
    return str(printer.addresses[family].network[1])


def neighbour(place: Namespace, address: str) -> tuple[str, str]:
    """What a kernel knows of a neighbour: state and link-layer address."""
    found = json.loads(place.run("ip", "-json", "neighbour", "show", "to", address).stdout)
    return next(((one["state"][0], one.get("lladdr", "")) for one in found), ("", ""))


def ping(place: Namespace, destination: str, *options: str) -> tuple[bool, str]:
    """Send an echo request; whether it was answered, and what was said."""
    done = place.run("ping", "-n", "-c", "1", "-W", "1", *options, destination, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def wait_for_ping(place: Namespace, destination: str) -> None:
    wait_until(lambda: ping(place, destination)[0], f"{destination} answered", 15)


@FAMILIES
def test_kernels_on_both_sides_find_the_switch(lab: Lab, printer: PlainHost, family: int) -> None:
    for place, interface, address, mac in (
        (lab.router, ROUTER_INTERFACE, locator(lab, family), UPLINK_MAC),
        (printer.place, "lan0", gateway(printer, family), GATEWAY_MAC),
    ):
        ping(place, address)
        wait_until(lambda: neighbour(place, address) == ("REACHABLE", mac), f"{address} was found")  # noqa: B023
        # And asked straight: is it still there?
        place.run("ip", "neighbour", "replace", address, "lladdr", mac, "dev", interface, "nud", "probe")
        wait_until(lambda: neighbour(place, address)[0] == "REACHABLE", f"{address} was there")  # noqa: B023


@FAMILIES
def test_packets_cross_both_ways(lab: Lab, printer: PlainHost, laptop: Service, family: int) -> None:
    answered, said = ping(lab["laptop"].place, of(family, printer), "-W", "5")
    assert answered, said
    answered, said = ping(printer.place, of(family, laptop), "-W", "5")
    assert answered, said


@FAMILIES
def test_neighbours_with_a_new_link_layer_address_are_followed(
    lab: Lab, printer: PlainHost, laptop: Service, family: int
) -> None:
    wait_for_ping(printer.place, of(family, laptop))
    lab.router.set_link(ROUTER_INTERFACE, address=f"02:00:00:00:99:0{family}")
    wait_for_ping(printer.place, of(family, laptop))
    # The plain host says nothing of its change: its next question to its gateway does.
    printer.place.set_link("lan0", address=f"02:00:00:00:88:0{family}")
    wait_for_ping(printer.place, of(family, laptop))
    assert neighbour(printer.place, gateway(printer, family))[1] == GATEWAY_MAC


@FAMILIES
def test_a_sender_behind_the_switch_is_told_what_fits(
    printer: PlainHost, laptop: Service, family: int
) -> None:
    wait_for_ping(printer.place, of(family, laptop))
    _, said = ping(printer.place, of(family, laptop), "-M", "do", "-s", "1450")
    assert re.search(r"(mtu|MTU)\s*[=:]\s*14(28|48)", said), said
    answered, said = ping(printer.place, of(family, laptop), "-M", "do", "-s", "1370")
    assert answered, said


@FAMILIES
def test_senders_on_both_sides_are_told_that_hops_ran_out(
    lab: Lab, printer: PlainHost, laptop: Service, family: int
) -> None:
    wait_for_ping(printer.place, of(family, laptop))
    for place, destination in (
        (printer.place, of(family, laptop)),
        (lab["laptop"].place, of(family, printer)),
    ):
        answered, said = ping(place, destination, "-t", "1")
        assert not answered
        assert re.search(r"Time to live exceeded|Time exceeded: Hop limit", said), said


def test_a_switch_that_starts_anew_is_found_and_finds_anew(
    lab: Lab, switch: SwitchNode, printer: PlainHost, laptop: Service
) -> None:
    switch.program.kill()
    switch.start()
    lab.controller.wait_converged("sw")
    wait_for_ping(printer.place, laptop.ipv4)
    wait_for_ping(lab["laptop"].place, printer.ipv6)


def test_a_restarted_controller_changes_nothing(lab: Lab, printer: PlainHost, laptop: Service) -> None:
    wait_for_ping(printer.place, laptop.ipv4)
    lab.controller.kill()
    answered, said = ping(printer.place, laptop.ipv4)
    assert answered, said
    lab.controller.start()
    lab.controller.wait_converged("sw")
    answered, said = ping(printer.place, laptop.ipv4)
    assert answered, said
