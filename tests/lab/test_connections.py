# SPDX-License-Identifier: Apache-2.0
"""Connections between services: what programs see, what the first packet meets, who may, what it counts."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator

import pytest

from dataplane.bpf import sys as bpf
from moorline.api.v1 import moorline_pb2 as api
from tools.lab import Lab
from tools.lab.namespace import Namespace
from tools.lab.programs import Service
from tools.lab.tcp import abort, connect, family_of, listen, retransmits, unacknowledged
from tools.lab.waiting import wait_until


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_sockets_see_virtual_addresses_only(lab: Lab, fresh_pair: tuple[Service, Service], family: str):
    client, server = fresh_pair
    ours, theirs = getattr(client, family), getattr(server, family)
    with (
        listen(lab["server"].place, theirs, 8000) as listener,
        connect(lab["laptop"].place, theirs, 8000, source=ours) as near,
    ):
        far, _ = listener.accept()
        with far:
            assert near.getsockname()[0] == far.getpeername()[0] == ours
            assert near.getpeername()[0] == far.getsockname()[0] == theirs


def test_a_program_that_binds_nothing_gets_a_virtual_address(lab: Lab, files: Service, laptop: Service):
    with (
        listen(lab["server"].place, files.ipv4, 8001) as listener,
        connect(lab["laptop"].place, files.ipv4, 8001) as near,
    ):
        listener.accept()[0].close()
        assert near.getsockname()[0] == laptop.ipv4


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_the_first_syn_is_not_lost(lab: Lab, fresh_pair: tuple[Service, Service], family: str):
    client, server = fresh_pair
    theirs = getattr(server, family)
    with (
        listen(lab["server"].place, theirs, 8002),
        connect(lab["laptop"].place, theirs, 8002, source=getattr(client, family)) as near,
    ):
        assert retransmits(near) == 0


@pytest.mark.parametrize(("family", "headers"), [("ipv4", 14 + 20 + 8), ("ipv6", 14 + 40 + 8)])
def test_what_programs_send_is_accounted_for(
    lab: Lab, fresh_pair: tuple[Service, Service], family: str, headers: int
):
    client, server = fresh_pair
    ours, theirs = (getattr(client, family), 9001), (getattr(server, family), 9002)
    kind = family_of(ours[0])
    there = [7 * number for number in range(1, 101)]
    back = [1000] * 30
    with (
        lab["laptop"].place.socket(kind, socket.SOCK_DGRAM) as near,
        lab["server"].place.socket(kind, socket.SOCK_DGRAM) as far,
    ):
        near.bind(ours)
        far.bind(theirs)
        for sender, sizes, receiver, target in ((near, there, far, theirs), (far, back, near, ours)):
            receiver.settimeout(10)
            for size in sizes:
                sender.sendto(bytes(size), target)
                assert len(receiver.recv(2048)) == size

    def flows() -> list[tuple[int, int]]:
        seen = lab.controller.connection(client.name, server.name)
        return [(flow.packets, flow.bytes) for flow in (seen.client_to_server, seen.server_to_client)]

    wanted = [(len(sizes), sum(sizes) + headers * len(sizes)) for sizes in (there, back)]
    wait_until(lambda: flows()[0][0] == len(there) and flows()[1][0] == len(back), "all was accounted for")
    assert flows() == wanted


def deny(lab: Lab, name: str, client: str, server: str) -> None:
    lab.controller.rules.PutRule(api.Rule(name=name, client=client, server=server, allow=False), timeout=10)


def test_a_rule_denies_and_its_end_allows_again(lab: Lab, fresh_pair: tuple[Service, Service]):
    client, server = fresh_pair
    deny(lab, "no-entry", client.name, server.name)
    with listen(lab["server"].place, server.ipv4, 8003):
        with pytest.raises(OSError, match=r"."):
            connect(lab["laptop"].place, server.ipv4, 8003, source=client.ipv4, timeout=1.5)
        assert lab.controller.connection(client.name, server.name) is None
        dropped = wait_until(
            lambda: sum(
                n for (_, e), n in lab.controller.events("laptop").items() if e == "drop_connection_denied"
            ),
            "refused packets were counted",
        )
        assert dropped >= 1
        lab.controller.rules.DeleteRule(api.DeleteRuleRequest(name="no-entry"), timeout=10)
        with connect(lab["laptop"].place, server.ipv4, 8003, source=client.ipv4):
            pass


def test_a_rule_ends_a_connection_that_stands(lab: Lab, fresh_pair: tuple[Service, Service]):
    client, server = fresh_pair
    with listen(lab["server"].place, server.ipv4, 8004):
        # Cut short: a late acknowledgement by the server would be a connection from it, which no rule denies.
        abort(connect(lab["laptop"].place, server.ipv4, 8004, source=client.ipv4))
        deny(lab, "closing-time", client.name, server.name)
        try:
            assert lab.controller.connection(client.name, server.name) is None
            with pytest.raises(OSError, match=r"."):
                connect(lab["laptop"].place, server.ipv4, 8004, source=client.ipv4, timeout=1.5)
        finally:
            lab.controller.rules.DeleteRule(api.DeleteRuleRequest(name="closing-time"), timeout=10)


def test_two_programs_on_one_host(lab: Lab, register: Callable[[str, str], Service]):
    one, other = register("laptop", "one.local.test"), register("laptop", "other.local.test")
    place = lab["laptop"].place
    for ours, theirs in ((one.ipv4, other.ipv4), (one.ipv6, other.ipv6)):
        with listen(place, theirs, 8005) as listener, connect(place, theirs, 8005, source=ours) as near:
            far, _ = listener.accept()
            with far:
                assert far.getpeername()[0] == ours
                near.sendall(b"over the counter")
                assert far.recv(100) == b"over the counter"


def test_a_lookup_on_one_host_needs_no_channel(lab: Lab, register: Callable[[str, str], Service]):
    register("laptop", "asks.local.test")
    register("laptop", "answers.local.test")
    lab.controller.moorline("lookup", "asks.local.test", "answers.local.test")
    connection = lab.controller.connection("asks.local.test", "answers.local.test")
    assert connection.status == api.CHANNEL_STATUS_LOCAL


def echo(near: socket.socket, far: socket.socket, text: bytes) -> None:
    near.sendall(text)
    assert far.recv(len(text), socket.MSG_WAITALL) == text


@pytest.mark.parametrize("waker", ["client", "server"])
def test_a_channel_taken_down_comes_back_when_either_side_sends(
    lab: Lab, fresh_pair: tuple[Service, Service], waker: str
):
    client, server = fresh_pair
    with listen(lab["server"].place, server.ipv4, 8006) as listener:
        near = connect(lab["laptop"].place, server.ipv4, 8006, source=client.ipv4)
        far, _ = listener.accept()
    near_datagrams = datagrams(lab["laptop"].place, client.ipv4)
    far_datagrams = datagrams(lab["server"].place, server.ipv4)
    with near, far, near_datagrams, far_datagrams:
        near.settimeout(10)
        far.settimeout(10)
        echo(near, far, b"before")
        scid = lab.controller.connection(client.name, server.name).scid
        for round_number in range(3):
            # A late acknowledgement would be what brings it back.
            wait_until(lambda: not unacknowledged(near) and not unacknowledged(far), "all was acknowledged")
            lab.controller.connections.SuspendConnection(api.SuspendConnectionRequest(scid=scid), timeout=10)
            assert lab.controller.connection(client.name, server.name).status == api.CHANNEL_STATUS_DOWN
            ends = (near_datagrams, far_datagrams)
            sender, receiver = ends if waker == "client" else reversed(ends)
            sender.sendto(b"wake up %d" % round_number, receiver.getsockname())
            assert receiver.recv(100) == b"wake up %d" % round_number  # nobody sends it again
            echo(near, far, b"round %d" % round_number)
            echo(far, near, b"answer %d" % round_number)
            seen = lab.controller.connection(client.name, server.name)
            assert (seen.scid, seen.status) == (scid, api.CHANNEL_STATUS_UP)


def datagrams(place: Namespace, address: str) -> socket.socket:
    """A UDP socket inside ``place``."""
    handle = place.socket(socket.AF_INET, socket.SOCK_DGRAM)
    handle.bind((address, 8006))
    handle.settimeout(10)
    return handle


def test_a_closed_connection_is_forgotten_and_made_anew_with_another_scid(
    lab: Lab, fresh_pair: tuple[Service, Service]
):
    client, server = fresh_pair
    with listen(lab["server"].place, server.ipv4, 8007):
        connect(lab["laptop"].place, server.ipv4, 8007, source=client.ipv4).close()
        first = lab.controller.connection(client.name, server.name).scid
        lab.controller.moorline("connection", "close", f"{first:016x}")
        assert lab.controller.connection(client.name, server.name) is None
        connect(lab["laptop"].place, server.ipv4, 8007, source=client.ipv4).close()
        assert lab.controller.connection(client.name, server.name).scid != first


def test_a_lease_ends(lab: Lab):
    request = api.RegisterServiceRequest(name="short.test", node="server", ttl_seconds=1)
    lab.controller.naming.RegisterService(request, timeout=10)
    wait_until(lambda: not lab["server"].has_endpoint("short.test"), "the lease ended on the host")


def test_all_processors_work_on_what_crosses_the_access_pair(lab: Lab):
    host = lab["laptop"].place
    masks = "cat /sys/class/net/ml0*/queues/rx-*/rps_cpus"
    shown = host.run("unshare", "--mount", "sh", "-c", f"mount -t sysfs sysfs /sys && {masks}").stdout.split()
    assert len(shown) >= 2
    assert {int(mask.replace(",", ""), 16).bit_count() for mask in shown} == {os.cpu_count()}


HASH_IS_DROPPED = bytes.fromhex(
    "6110440000000000"  # r0 = skb->hash, as it stands
    "1500010000000000"  # 0: on, with r0 = TC_ACT_OK
    "b700000002000000"  # r0 = TC_ACT_SHOT
    "9500000000000000"
)


@pytest.fixture
def laptop_without_hashes(lab: Lab) -> Iterator[Namespace]:
    """The laptop, where a packet that leaves by ``ml0`` with the hash of its socket gets lost."""
    place = lab["laptop"].place
    where = {"index": place.index("ml0"), "handle": 1, "parent": "ffff:fff3", "prio": 6082, "protocol": 3}
    program = bpf.load_program(3, "hash_is_dropped", HASH_IS_DROPPED)
    try:
        place.request("tc", "add-filter", "bpf", fd=program, name="test", direct_action=True, **where)
    finally:
        os.close(program)
    yield place
    place.request("tc", "del-filter", "bpf", **where)


def test_flows_are_not_spread_by_the_numbers_of_their_sockets(
    laptop_without_hashes: Namespace, lab: Lab, fresh_pair: tuple[Service, Service]
):
    client, server = fresh_pair
    with listen(lab["server"].place, server.ipv4, 8008):
        connect(laptop_without_hashes, server.ipv4, 8008, source=client.ipv4, timeout=3.0).close()
