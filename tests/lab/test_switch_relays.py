# SPDX-License-Identifier: Apache-2.0
"""Connections across a BMv2 switch, which knows their packets by SCID."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count

import pytest

from tests.lab.traffic import go_on
from tools.lab import HostPlan, Lab, SwitchPlan
from tools.lab.flow import CheckedStream, PacedFlow
from tools.lab.programs import Service
from tools.lab.tunnels import Tunnels
from tools.lab.underlay import move
from tools.lab.waiting import wait_until

ENDS = ("laptop", "server")
CLIENT = "laptop.demo"
SWITCH = "switch"
PER_SECOND = 400
"""Datagrams that it relays without a loss also while this machine has other work."""

RATE = 2e6
"""Octets a second of a stream across it."""

pytestmark = pytest.mark.bmv2
_numbers = count(1)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab([HostPlan(name) for name in ENDS], switches=[SwitchPlan(SWITCH)]) as lab:
        lab.start()
        lab["laptop"].register(lab.controller, CLIENT)
        set_node(lab, "laptop", "--via", SWITCH)
        yield lab


def set_node(lab: Lab, name: str, *options: str) -> None:
    lab.controller.moorline("node", "set", name, *options)


@pytest.fixture
def server(lab: Lab) -> Service:
    """A service on the server that nobody has talked to."""
    return lab["server"].register(lab.controller, f"server{next(_numbers)}.test")


def addresses_of(lab: Lab, node: str) -> set[str]:
    return {locator["address"] for locator in lab.controller.ask("node", "show", node)["locators"]}


def scids_of(lab: Lab, server: Service) -> list[int]:
    """The SCIDs of the legs of the connection to ``server``, from the laptop on."""
    return [leg.scid for leg in lab.controller.connection(CLIENT, server.name).legs]


def rotate(lab: Lab, server: Service) -> None:
    """Order new SCIDs, by the one at the client."""
    scid = lab.controller.connection(CLIENT, server.name).scid
    lab.controller.moorline("connection", "rotate", f"{scid:016x}")


@contextmanager
def tunnels(lab: Lab) -> Iterator[list[Tunnels]]:
    """What comes to each of the ends."""
    with ExitStack() as stack:
        uplinks = [lab[name].uplink for name in ENDS]
        yield [stack.enter_context(Tunnels(uplink.host, uplink.interface)) for uplink in uplinks]


@contextmanager
def stream_to(lab: Lab, address: str) -> Iterator[CheckedStream]:
    """Within, TCP from the laptop to the server, whose content is compared."""
    with CheckedStream(lab["laptop"].place, lab["server"].place, address, rate=RATE) as stream:
        progress(stream)
        yield stream
        progress(stream)


def progress(stream: CheckedStream) -> None:
    """Wait until it has gone on by more than what may have been on its way."""
    wanted = stream.received + 16 * stream.CHUNK
    wait_until(lambda: stream.received > wanted, "the stream went on", 30)


@contextmanager
def nothing_lost(lab: Lab, server: Service) -> Iterator[PacedFlow]:
    """Within, datagrams from the laptop to the server, of which none may be lost or come twice."""
    lab.controller.lookup(CLIENT, server.name)
    places = lab["laptop"].place, lab["server"].place
    with PacedFlow(*places, server.ipv4, per_second=PER_SECOND) as flow:
        go_on(flow)
        yield flow
        go_on(flow)
    assert not flow.report.lost
    assert not flow.report.duplicates


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_stream_across_the_switch_outlives_changes_of_its_ends(lab: Lab, server: Service, family: str):
    with tunnels(lab) as arriving:
        with stream_to(lab, getattr(server, family)) as stream:
            before = scids_of(lab, server)
            for names in (("server",), ("laptop",), ENDS):
                move(*(lab[name].uplink for name in names))
                progress(stream)
            assert scids_of(lab, server) == before
        for tunnel in arriving:
            assert tunnel.sources.keys() <= addresses_of(lab, SWITCH)
            assert tunnel.scids == set(before)


def test_datagrams_across_the_switch_are_not_lost_while_their_connection_is_rotated(
    lab: Lab, server: Service
):
    with nothing_lost(lab, server) as flow:
        seen = [scids_of(lab, server)]
        for _ in range(3):
            rotate(lab, server)
            with tunnels(lab) as arriving:
                go_on(flow)
            seen.append(scids_of(lab, server))
            assert arriving[1].scids <= {*seen[-1], *seen[-2]}
            assert set(seen[-1]) <= arriving[1].scids
    assert len({scid for (scid, _) in seen}) == len(seen)


def test_rotation_leads_a_connection_across_the_switch_and_back(lab: Lab, server: Service):
    set_node(lab, "laptop", "--direct")
    try:
        with nothing_lost(lab, server) as flow:
            for option, sender in ((("--via", SWITCH), SWITCH), (("--direct",), "laptop")):
                set_node(lab, "laptop", *option)
                rotate(lab, server)
                go_on(flow)  # what was sent before the new way was taken
                with tunnels(lab) as arriving:
                    go_on(flow)
                assert arriving[1].sources.keys() <= addresses_of(lab, sender)
    finally:
        set_node(lab, "laptop", "--via", SWITCH)


def test_a_border_changes_the_scid(lab: Lab, server: Service):
    set_node(lab, SWITCH, "--border")
    try:
        with tunnels(lab) as arriving, stream_to(lab, server.ipv4) as stream:
            near, far = scids_of(lab, server)
            assert near != far
            assert [tunnel.scids for tunnel in arriving] == [{near}, {far}]
            rotate(lab, server)
            progress(stream)
            again = scids_of(lab, server)
            assert not {near, far} & set(again)
            move(*(lab[name].uplink for name in ENDS))
            progress(stream)
        for tunnel, scids in zip(arriving, zip((near, far), again, strict=True), strict=True):
            assert tunnel.scids == set(scids)
    finally:
        set_node(lab, SWITCH, "--no-border")


def test_a_switch_that_is_killed_and_starts_empty_goes_on(lab: Lab, server: Service):
    switch = lab.switches[SWITCH]
    with stream_to(lab, server.ipv4) as stream:
        before = scids_of(lab, server)
        for _ in range(2):
            switch.program.kill()
            move(lab["server"].uplink)
            switch.program.start()
            progress(stream)
        assert scids_of(lab, server) == before
    lab.controller.wait_converged(SWITCH)
