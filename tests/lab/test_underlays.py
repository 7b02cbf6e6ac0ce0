# SPDX-License-Identifier: Apache-2.0
"""Underlays of IPv6 only, of both families, of several addresses and interfaces: what is left carries on."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tools.lab import Lab
from tools.lab.flow import CheckedStream
from tools.lab.programs import Host, Service
from tools.lab.tcp import connect, listen, receive
from tools.lab.waiting import wait_until

ENOUGH = 200_000
"""Octets after which a stream is believed to go on."""


@pytest.fixture(scope="module")
def six(lab: Lab) -> Service:
    return lab["six"].register(lab.controller, "six.demo")


@pytest.fixture(scope="module")
def roamer(lab: Lab) -> Service:
    return lab["roamer"].register(lab.controller, "roamer.demo")


def go_on(stream: CheckedStream) -> None:
    before = stream.received
    wait_until(lambda: stream.received > before + ENOUGH, "the stream went on", 30)


def locators(lab: Lab, name: str) -> list[tuple[str, str]]:
    """Interface and address of the locators that the controller shows."""
    shown = lab.controller.node(name).locators
    return sorted((locator.interface, str(ip_address(locator.address))) for locator in shown)


def wait_shown(lab: Lab, host: Host, *more: tuple[str, str]) -> None:
    """Wait until the controller shows the addresses that a host has and no others."""
    own = [(uplink.interface, str(a.ip)) for uplink in host.uplinks for a in uplink.addresses.values()]
    wanted = sorted([*own, *more])
    wait_until(lambda: locators(lab, host.name) == wanted, f"the locators of {host.name} were shown")
    lab.controller.wait_converged(host.name)


def path(host: Host, peer: Host) -> set[str]:
    """Addresses at which a host's data plane reaches another."""
    number = peer.agent().node_id
    rows = host.ask("table", "dump", "locator")
    (params,) = (row["params"] for row in rows if int(row["match"]["node"]) == number)
    return {params["dst0"], params["dst1"]}


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("outwards", [True, False])
def test_a_host_that_knows_ipv6_only(lab: Lab, files: Service, six: Service, family: str, outwards: bool):
    client, server = (six, files) if outwards else (files, six)
    ours, theirs = getattr(client, family), getattr(server, family)
    with (
        listen(server.host.place, theirs, 8200) as listener,
        connect(client.host.place, theirs, 8200, source=ours) as near,
    ):
        far, _ = listener.accept()
        with far:
            assert far.getpeername()[0] == ours
            for sender, receiver in ((near, far), (far, near)):
                sender.sendall(bytes(60_000))
                receiver.settimeout(10)
                assert receive(receiver, 60_000) == bytes(60_000)


def test_ipv6_addresses_change_under_a_stream(lab: Lab, files: Service, six: Service):
    with CheckedStream(six.host.place, files.host.place, files.ipv4) as stream:
        for host in (six.host, files.host, six.host):
            go_on(stream)
            address = host.uplink.move(elsewhere=True, family=6)
            wait_shown(lab, host)
            assert address.version == 6
        go_on(stream)


@pytest.mark.parametrize("family", [4, 6])
def test_a_host_loses_one_family_and_gets_it_back(lab: Lab, files: Service, laptop: Service, family: int):
    uplink = files.host.uplink
    with CheckedStream(laptop.host.place, files.host.place, files.ipv4) as stream:
        go_on(stream)
        assert path(laptop.host, files.host) == {str(a.ip) for a in uplink.addresses.values()}
        uplink.withdraw(family)
        go_on(stream)
        wait_shown(lab, files.host)
        assert path(laptop.host, files.host) == {str(uplink.addresses[10 - family].ip)}
        uplink.give(family)
        wait_shown(lab, files.host)
        go_on(stream)
        assert path(laptop.host, files.host) == {str(a.ip) for a in uplink.addresses.values()}


def test_interfaces_are_taken_away_and_brought_back_in_turn(lab: Lab, files: Service, roamer: Service):
    with (
        CheckedStream(roamer.host.place, files.host.place, files.ipv4) as out,
        CheckedStream(files.host.place, roamer.host.place, roamer.ipv6, port=7002) as back,
    ):
        for uplink in (*roamer.host.uplinks, roamer.host.uplink):
            for stream in (out, back):
                go_on(stream)
            uplink.cut()
            for stream in (out, back):
                go_on(stream)
            wait_shown(lab, roamer.host)
            uplink.lay()
            wait_shown(lab, roamer.host)
        for stream in (out, back):
            go_on(stream)


def test_a_host_with_one_more_address_loses_the_first(lab: Lab, files: Service, laptop: Service):
    host = files.host
    with CheckedStream(laptop.host.place, host.place, files.ipv4) as stream:
        go_on(stream)
        second = host.uplink.fresh(4, elsewhere=False)
        host.place.add_address(host.uplink.interface, second)
        wait_shown(lab, host, (host.uplink.interface, str(second.ip)))
        go_on(stream)
        host.uplink.withdraw(4)
        host.uplink.addresses[4] = second
        go_on(stream)
        wait_shown(lab, host)
        # As before for whoever comes after: one address, with its route.
        host.uplink.move(family=4)
        wait_shown(lab, host)
        go_on(stream)
