# SPDX-License-Identifier: Apache-2.0
"""Packets that somebody on the way makes up are taken only when all in them is right, else counted."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from scapy.packet import Packet

from moorline.wire import Event
from tools.lab import Lab
from tools.lab.programs import Service
from tools.lab.waiting import wait_until
from tools.vectors.packets import Data, inner4

PORT = 5000
STRANGER = "198.18.255.254"


def to_program(source: str, destination: str) -> Packet:
    return inner4(source=source, destination=destination, destination_port=PORT)


Change = Callable[[Data], Data]

FORGERIES: dict[str, tuple[Event, Change]] = {
    "from a stranger's address": (Event.DROP_SOURCE, lambda good: replace(good, source="10.20.2.77")),
    "from the server's own address": (Event.DROP_SOURCE, lambda good: replace(good, source=good.destination)),
    "with a guess": (
        Event.DROP_SCID_UNKNOWN,
        lambda good: replace(good, scid=good.scid ^ 1 << 40),
    ),
    "of another slot": (Event.DROP_SCID_UNKNOWN, lambda good: replace(good, scid=good.scid ^ 0x8000)),
    "with no identifier": (Event.DROP_SCID_ZERO, lambda good: replace(good, scid=0)),
    "of another tenant": (Event.DROP_TENANT, lambda good: replace(good, geneve={"vni": 7})),
    "on a service path": (Event.DROP_SERVICE_PATH, lambda good: replace(good, spi=1, si=255)),
    "in a stranger's name": (
        Event.DROP_INNER_ADDRESS,
        lambda good: replace(
            good, inner=inner4(source=STRANGER, destination=good.inner.dst, destination_port=PORT)
        ),
    ),
    "to another's address": (
        Event.DROP_INNER_ADDRESS,
        lambda good: replace(good, inner=to_program(good.inner.src, STRANGER)),
    ),
}


@pytest.fixture
def good(lab: Lab, files: Service, laptop: Service) -> Data:
    """A packet as the laptop sends it to a program at the server's port 5000."""
    lab.controller.lookup(laptop.name, files.name)
    uplink = files.host.uplink
    return Data(
        inner=to_program(laptop.ipv4, files.ipv4),
        source=str(laptop.host.uplink.addresses[4].ip),
        destination=str(uplink.addresses[4].ip),
        scid=int(lab.controller.connection(laptop.name, files.name).scid),
        geneve={"vni": 0},
        ethernet=(uplink.router.mac(uplink.router_interface), uplink.host.mac(uplink.interface)),
    )


@pytest.fixture
def send(files: Service) -> Iterator[Callable[[Data], None]]:
    """Puts a packet on the wire, from the router to the server."""
    uplink = files.host.uplink
    with uplink.router.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((uplink.router_interface, 0))
        yield lambda data: wire.send(data.frame())


@pytest.fixture
def program(files: Service) -> Iterator[socket.socket]:
    """Takes what comes to the server's port 5000."""
    with files.host.place.socket(socket.AF_INET, socket.SOCK_DGRAM) as program:
        program.bind((files.ipv4, PORT))
        program.settimeout(10)
        yield program


@pytest.mark.parametrize("tags", [(), (100,), (200, 100)], ids=["plain", "VLAN-tagged", "tagged twice"])
def test_a_good_packet_is_taken(
    good: Data, send: Callable[[Data], None], program: socket.socket, tags: tuple[int, ...]
):
    send(replace(good, tags=tags))
    assert program.recv(2048) == bytes(good.inner.lastlayer())


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_packet_is_dropped_with_its_reason(
    lab: Lab, good: Data, send: Callable[[Data], None], program: socket.socket, forgery: str
):
    event, change = FORGERIES[forgery]
    key = ("up0", event.name.lower())
    before = lab.controller.events("server").get(key, 0)
    send(change(good))
    wait_until(
        lambda: lab.controller.events("server").get(key, 0) == before + 1, f"one {event.name} was counted"
    )
    # The program has not seen it: the next good one is its first.
    send(good)
    assert program.recv(2048) == bytes(good.inner.lastlayer())
    program.setblocking(False)
    with pytest.raises(BlockingIOError):
        program.recv(2048)
