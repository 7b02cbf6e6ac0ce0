# SPDX-License-Identifier: Apache-2.0
"""Connections through a relay, and rotations: new SCIDs, and new ways, under traffic that loses nothing.

Once for each kind of relay: a lab of its own, whose node ``gate`` is the relay. ``four`` and ``six`` know one
family only, so that the two legs between them differ.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

import grpc
import pytest

from moorline.api.v1 import moorline_pb2 as api
from moorline.wire import OVERHEAD_IPV6
from tests.lab.traffic import go_on, iperf3_loses_nothing, nothing_lost
from tools.lab import HostPlan, Lab, SwitchPlan
from tools.lab.flow import CheckedStream, PacedFlow
from tools.lab.programs import Host, Service
from tools.lab.switched import SwitchNode
from tools.lab.tunnels import Tunnels
from tools.lab.underlay import replace_at_once
from tools.lab.waiting import wait_until
from tools.vectors.packets import Data, inner4

GRACE = 1.0
NARROW_MTU = 1400
ENOUGH = 1_000_000
"""Octets after which a stream is believed to go on."""


def gate_at(hook: str) -> HostPlan:
    return HostPlan("gate", settings={"port": [{"name": "up0", "role": "underlay", "hook": hook}]})


RELAYS: dict[str, Callable[[], dict[str, Any]]] = {
    "tc": lambda: {"hosts": [gate_at("tc")]},
    "xdp": lambda: {"hosts": [gate_at("xdp")]},
    "bmv2": lambda: {"switches": [SwitchPlan("gate")]},
}
"""What the lab has beside the ends, by kind of relay."""

HOSTS_ONLY = pytest.mark.parametrize("lab", ["tc", "xdp"], indirect=True)
ONE_WILL_DO = pytest.mark.parametrize("lab", ["tc"], indirect=True)
"""For what is the same whatever the relay is."""

_numbers = count(1)


@pytest.fixture(scope="module", params=["tc", "xdp", pytest.param("bmv2", marks=pytest.mark.bmv2)])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    plan = RELAYS[request.param]()
    ends = [
        HostPlan("server"), HostPlan("laptop"),
        HostPlan("four", families=(4,)), HostPlan("six", families=(6,)),
    ]  # fmt: skip
    plan["hosts"] = [*ends, *plan.get("hosts", [])]
    with Lab(**plan, settings={"grace_seconds": GRACE}) as lab:
        if request.param == "xdp":
            # A veth takes packets from XDP only where it joins segments, and hands them to XDP as a cable
            # carries them, with whole checksums, only where it leaves none of these to hardware.
            cable = lab["gate"].uplink.router_interface
            lab.router.run("ethtool", "-K", cable, "gro", "on", "tx", "off")
        lab.start()
        lab["laptop"].register(lab.controller, "laptop.demo")
        yield lab


@pytest.fixture
def server(lab: Lab) -> Service:
    """A service on the server that nobody has talked to."""
    return lab["server"].register(lab.controller, f"server{next(_numbers)}.test")


@pytest.fixture(autouse=True)
def ways(lab: Lab) -> Iterator[None]:
    """Before each test the laptop is behind the gate, which is no border."""
    set_node(lab, "laptop", via="gate")
    set_node(lab, "gate", border=False)
    yield
    for name in ("four", "six"):
        set_node(lab, name, via="")


def node(lab: Lab, name: str) -> Host | SwitchNode:
    return lab.switches[name] if name in lab.switches else lab[name]


def set_node(lab: Lab, name: str, **settings: Any) -> None:
    lab.controller.nodes.SetNode(api.SetNodeRequest(name=name, **settings), timeout=10)


def connection(lab: Lab, server: Service, client: str = "laptop.demo") -> Any:
    lab.controller.lookup(client, server.name)
    return lab.controller.connection(client, server.name)


def way(found: Any) -> list[str]:
    return [found.legs[0].client_side, *(leg.server_side for leg in found.legs)]


def rotate(lab: Lab, found: Any) -> Any:
    request = api.RotateConnectionRequest(scid=found.scid)
    return lab.controller.connections.RotateConnection(request, timeout=30)


def streamed(stream: CheckedStream) -> None:
    """Wait until more has arrived."""
    before = stream.received
    wait_until(lambda: stream.received > before + ENOUGH, "the stream went on", 30)


def wait_shown(lab: Lab, host: Host | SwitchNode) -> None:
    """Wait until the controller knows where a node is."""
    wanted = {address.ip.packed for address in host.uplink.addresses.values()}
    wait_until(
        lambda: {at.address for at in lab.controller.node(host.name).locators} == wanted,
        f"the locators of {host.name} were shown",
    )


def pace(lab: Lab) -> int:
    """As many datagrams a second as a software switch relays on a busy machine, too."""
    return 300 if "gate" in lab.switches else 1000


def undisturbed(lab: Lab, server: Service) -> AbstractContextManager[PacedFlow]:
    """Datagrams of which nothing may be lost."""
    return nothing_lost(lab, server, per_second=pace(lab))


def arriving_at(lab: Lab, name: str) -> Tunnels:
    """Looks at what comes to a host."""
    return Tunnels(lab[name].place, lab[name].uplink.interface)


# ---- relays ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize(("near", "far"), [("laptop", "server"), ("six", "server"), ("four", "six")])
def test_a_checked_transfer_goes_through_the_relay(lab: Lab, near: str, far: str, family: str):
    number = next(_numbers)
    client = lab[near].register(lab.controller, f"client{number}.test")
    server = lab[far].register(lab.controller, f"server{number}.test")
    set_node(lab, near, via="gate")
    found = connection(lab, server, client.name)
    assert way(found) == [near, "gate", far]
    gate = node(lab, "gate").uplink
    before = lab.controller.events("gate").get((gate.interface, "tx"), 0)
    with (
        arriving_at(lab, far) as arriving,
        CheckedStream(lab[near].place, lab[far].place, getattr(server, family), rate=2e7) as stream,
    ):
        streamed(stream)
    # The host's programs may have taken another of its services as their own.
    assert lab.controller.events("gate")[gate.interface, "tx"] > before
    assert arriving.sources.keys() <= {str(address.ip) for address in gate.addresses.values()}


@pytest.mark.parametrize("who", ["laptop", "server", "gate", "all"])
def test_addresses_change_under_a_stream_through_the_relay(lab: Lab, server: Service, who: str):
    hosts = [node(lab, name) for name in (("laptop", "server", "gate") if who == "all" else (who,))]
    found = connection(lab, server)
    with CheckedStream(lab["laptop"].place, lab["server"].place, server.ipv4) as stream:
        for elsewhere in (False, True, True):
            streamed(stream)
            replace_at_once([(host.uplink, host.uplink.fresh(4, elsewhere)) for host in hosts])
            streamed(stream)
            for host in hosts:
                wait_shown(lab, host)
    assert connection(lab, server).scid == found.scid
    for host in hosts:
        lab.controller.wait_converged(host.name)


@HOSTS_ONLY  # a switch hears of a change from the controller alone
def test_addresses_change_while_there_is_no_controller(lab: Lab, server: Service):
    hosts = [lab[name] for name in ("laptop", "gate", "server")]
    connection(lab, server)
    with CheckedStream(lab["laptop"].place, lab["server"].place, server.ipv4) as stream:
        streamed(stream)
        lab.controller.kill()
        for host in hosts:
            host.uplink.move(elsewhere=True, family=4)
            streamed(stream)
        lab.controller.start()
        for host in hosts:
            lab.controller.wait_converged(host.name)
        streamed(stream)


def test_what_is_sent_after_the_news_of_a_change_is_not_lost(lab: Lab, server: Service):
    connection(lab, server)
    ends = (lab["laptop"].place, lab["server"].place, server.ipv4)
    with PacedFlow(*ends, per_second=pace(lab)) as flow:
        go_on(flow)
        lab["laptop"].uplink.move(elsewhere=True, family=4)
        changed = flow.report.sent
        wait_until(lambda: any(n > changed for n in list(flow.report.arrived)), "the flow had gone on")
        flow.run(0.2)
    assert not [number for number in flow.report.lost if number > changed + pace(lab)]


def test_a_relay_that_dies_is_back_and_knows_what_has_changed(lab: Lab, server: Service):
    gate = node(lab, "gate")
    found = connection(lab, server)
    with CheckedStream(lab["laptop"].place, lab["server"].place, server.ipv4) as stream:
        for _ in range(2):
            streamed(stream)
            gate.kill()  # a host goes on without its agent; a switch has nothing of what it had
            lab["server"].uplink.move(elsewhere=True, family=4)
            gate.start()
        streamed(stream)
        lab.controller.wait_converged(gate.name)
    assert connection(lab, server).scid == found.scid


def test_at_a_border_the_two_legs_have_nothing_in_common(lab: Lab, server: Service):
    set_node(lab, "gate", border=True)
    found = connection(lab, server)
    with (
        arriving_at(lab, "laptop") as near,
        arriving_at(lab, "server") as far,
        CheckedStream(lab["laptop"].place, lab["server"].place, server.ipv4) as stream,
    ):
        streamed(stream)
    assert [near.scids, far.scids] == [{leg.scid} for leg in found.legs]
    assert near.scids != far.scids


@pytest.fixture
def narrow(lab: Lab) -> Iterator[int]:
    """The gate's cable takes less than all others; what that leaves for packets inside."""
    ordinary = lab["gate"].uplink.mtu
    change_mtu(lab, NARROW_MTU)
    yield NARROW_MTU - OVERHEAD_IPV6
    change_mtu(lab, ordinary)


def change_mtu(lab: Lab, mtu: int) -> None:
    lab["gate"].uplink.set_mtu(mtu)
    wait_until(
        lambda: {at.mtu for at in lab.controller.node("gate").locators} == {mtu}, "the MTU was reported"
    )


@HOSTS_ONLY
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_sender_is_told_what_a_narrower_relay_carries(lab: Lab, server: Service, family: str, narrow: int):
    assert connection(lab, server).parameters.mtu == narrow
    ping = ("ping", "-c", "1", "-W", "5", "-M", "do", getattr(server, family))
    said = lab["laptop"].place.run(*ping, "-s", str(narrow), check=False).stdout
    assert re.search(rf"mtu ?= ?{narrow}\b", said), said
    headers = 48 if family == "ipv6" else 28
    lab["laptop"].place.run(*ping, "-s", str(narrow - headers))


@HOSTS_ONLY
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("outwards", [True, False])
def test_a_stream_finds_out_what_a_narrower_relay_carries(
    lab: Lab, server: Service, family: str, outwards: bool, narrow: int
):
    laptop = lab["laptop"].register(lab.controller, f"laptop{next(_numbers)}.test")
    sender, receiver = (laptop, server) if outwards else (server, laptop)
    assert connection(lab, receiver, sender.name).parameters.mtu == narrow
    with CheckedStream(sender.host.place, receiver.host.place, getattr(receiver, family)) as stream:
        streamed(stream)
    events = lab.controller.events("gate")
    assert (lab["gate"].uplink.interface, "drop_outer_too_big") not in events


@HOSTS_ONLY
def test_a_stream_goes_on_when_a_relay_becomes_narrower(lab: Lab, server: Service):
    wide = connection(lab, server).parameters.mtu
    with CheckedStream(lab["laptop"].place, lab["server"].place, server.ipv4) as stream:
        streamed(stream)
        for mtu, carried in ((NARROW_MTU, NARROW_MTU - OVERHEAD_IPV6), (lab["gate"].uplink.mtu, wide)):
            change_mtu(lab, mtu)
            assert connection(lab, server).parameters.mtu == carried
            streamed(stream)


@HOSTS_ONLY
def test_agents_and_the_controller_are_killed_and_come_back(lab: Lab, server: Service):
    with undisturbed(lab, server) as flow:
        for program in (lab["gate"], lab.controller, lab["laptop"], lab["gate"]):
            program.kill()
            go_on(flow)
            program.start()
            go_on(flow)
        for name in ("gate", "laptop", "server"):
            lab.controller.wait_converged(name)


@HOSTS_ONLY
def test_a_host_forwards_only_where_it_has_to_and_while_it_relays(lab: Lab, server: Service):
    gate = lab["gate"].place
    at_xdp = any(port.hook == "xdp" for port in lab["gate"].agent().ports if port.role == "underlay")

    def forwards() -> bool:
        return "1" in gate.run("cat", "/proc/sys/net/ipv4/conf/up0/forwarding").stdout

    connection(lab, server)
    assert forwards() is at_xdp
    for one in lab.controller.connections.ListConnections(
        api.ListConnectionsRequest(node="gate")
    ).connections:
        lab.controller.connections.CloseConnection(api.CloseConnectionRequest(scid=one.scid), timeout=10)
    wait_until(lambda: not forwards(), "the gate forwarded no more")
    with undisturbed(lab, server):
        assert forwards() is at_xdp


# ---- rotations ---------------------------------------------------------------------------------------------


def settle_way(lab: Lab, kind: str) -> list[str]:
    """Set the way between laptop and server, and return its nodes."""
    set_node(lab, "laptop", via="" if kind == "direct" else "gate")
    set_node(lab, "gate", border=kind == "border")
    return ["laptop", "server"] if kind == "direct" else ["laptop", "gate", "server"]


@pytest.mark.parametrize("kind", ["direct", "relayed", "border"])
def test_rotations_lose_nothing_and_the_former_scid_is_refused_after_a_while(
    lab: Lab, server: Service, kind: str
):
    nodes = settle_way(lab, kind)
    found = connection(lab, server)
    legs = [{leg.scid for leg in found.legs}]
    with undisturbed(lab, server) as flow:
        for _ in range(5):
            found = rotate(lab, found)
            assert way(found) == nodes
            legs.append({leg.scid for leg in found.legs})
            go_on(flow, 300)
    assert len(set.union(*legs)) == sum(map(len, legs))
    wait_until(lambda: not connection(lab, server).former_scids, "the former SCIDs were gone")
    assert_refused(lab, server, max(legs[0]))


def test_iperf3_counts_nothing_lost_over_rotations(lab: Lab, server: Service):
    found = connection(lab, server)
    ends = (lab["laptop"].place, lab["server"].place, server.ipv4)
    with iperf3_loses_nothing(lab, server), PacedFlow(*ends, port=7009, per_second=pace(lab)) as flow:
        for _ in range(5):
            found = rotate(lab, found)
            go_on(flow, 300)


def test_a_stream_goes_on_when_its_connection_gets_a_relay_and_when_it_loses_it(lab: Lab, server: Service):
    set_node(lab, "laptop", via="")
    found = connection(lab, server)
    assert way(found) == ["laptop", "server"]
    with undisturbed(lab, server) as flow:
        for kind in ("relayed", "border", "direct", "relayed"):
            nodes = settle_way(lab, kind)
            found = rotate(lab, found)
            assert way(found) == nodes
            go_on(flow, 300)


def test_bulk_tcp_does_not_see_rotations(lab: Lab, server: Service):
    set_node(lab, "gate", border=True)
    found = connection(lab, server)
    with CheckedStream(lab["laptop"].place, lab["server"].place, server.ipv4, rate=3e7) as stream:
        for _ in range(5):
            streamed(stream)
            found = rotate(lab, found)
        streamed(stream)


def test_what_was_counted_stays_exact_over_rotations(lab: Lab, server: Service):
    found = connection(lab, server)
    with undisturbed(lab, server) as flow:
        for _ in range(5):
            found = rotate(lab, found)
            go_on(flow, 100)
    sent = flow.report.sent
    exact = (sent, sent * (14 + 20 + 8 + 200))

    def counted() -> bool:
        usage = connection(lab, server).client_to_server
        return (usage.packets, usage.bytes) == exact

    wait_until(counted, f"{exact} packets and octets were counted")


@ONE_WILL_DO
@pytest.mark.parametrize("kind", ["direct", "border"])
def test_a_controller_that_is_killed_while_it_rotates_loses_nothing(lab: Lab, server: Service, kind: str):
    nodes = settle_way(lab, kind)
    found = connection(lab, server)
    with undisturbed(lab, server) as flow:
        for milliseconds in (1, 4, 8, 16):
            request = api.RotateConnectionRequest(scid=found.scid)
            asked = lab.controller.connections.RotateConnection.future(request, timeout=30)
            time.sleep(milliseconds / 1000)  # anywhere in it
            lab.controller.kill()
            assert asked.exception() is None or asked.code() is grpc.StatusCode.UNAVAILABLE
            lab.controller.start()
            for name in nodes:
                lab.controller.wait_converged(name)
            go_on(flow, 300)
            found = connection(lab, server)
            assert way(found) == nodes
        found = rotate(lab, found)
    wait_until(lambda: not connection(lab, server).former_scids, "the former SCIDs were gone")
    assert {leg.scid for leg in connection(lab, server).legs} == {leg.scid for leg in found.legs}


def assert_refused(lab: Lab, server: Service, scid: int) -> None:
    """A packet that would have been good under a former SCID is dropped, and counted."""
    uplink = server.host.uplink
    before = lab["laptop"] if len(connection(lab, server).legs) == 1 else node(lab, "gate")
    client = lab.controller.naming.GetService(api.GetServiceRequest(name="laptop.demo"), timeout=10)
    data = Data(
        inner=inner4(source=str(socket.inet_ntoa(client.ipv4)), destination=server.ipv4),
        source=str(before.uplink.addresses[4].ip),
        destination=str(uplink.addresses[4].ip),
        scid=scid,
        geneve={"vni": 0},
        ethernet=(uplink.router.mac(uplink.router_interface), uplink.host.mac(uplink.interface)),
    )
    key = ("up0", "drop_scid_unknown")
    counted = lab.controller.events("server").get(key, 0)
    with uplink.router.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((uplink.router_interface, 0))
        wire.send(data.frame())
    wait_until(lambda: lab.controller.events("server").get(key, 0) == counted + 1, "one packet was refused")
