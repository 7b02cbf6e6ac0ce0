# SPDX-License-Identifier: Apache-2.0
"""Hosts that never spoke: asked for when there is a packet for them, and kept while they answer."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest

from dataplane.agent import silent_hosts
from dataplane.agent.neighbours import Hop
from dataplane.agent.ports import PortState
from dataplane.agent.silent_hosts import SilentHosts, Unresolved
from dataplane.bpf.hook import Hook
from moorline import ethernet

EDGE, UPLINK, GONE = 3, 4, 5
INDEX = 11
HOST, HOST6, FAR, GATEWAY = "10.30.1.10", "fd30::10", "203.0.113.7", "10.30.1.254"


class Ports:
    def __init__(self) -> None:
        self._ports = {
            EDGE: PortState("edge0", EDGE, "edge", Hook.TC, 0, hops=1, attached=INDEX),
            UPLINK: PortState("up0", UPLINK, "underlay", Hook.TC, 0, hops=1, attached=INDEX + 1),
            GONE: PortState("edge1", GONE, "edge", Hook.TC, 0, hops=1),
        }

    def numbered(self, number: int) -> PortState | None:
        return self._ports.get(number)

    @property
    def plain(self) -> tuple[PortState, ...]:
        return (self._ports[EDGE], self._ports[GONE])


class Kernel:
    """``living`` answer when they are asked."""

    def __init__(self) -> None:
        self.living = {HOST, HOST6, GATEWAY}
        self.managed: list[Hop] = []
        self.given_up = asyncio.Event()

    async def next_hop(self, destination: str, interface: int) -> Hop | None:
        if destination.startswith("198.51.100."):
            return None
        return interface, GATEWAY if destination == FAR else destination

    async def manage(self, hop: Hop) -> None:
        self.managed.append(hop)

    async def let_go(self, hop: Hop) -> None:
        self.managed.remove(hop)
        self.given_up.set()

    async def is_resolved(self, hop: Hop) -> bool:
        return hop in self.managed and hop[1] in self.living

    async def resolved(self) -> set[Hop]:
        return {hop for hop in self.managed if hop[1] in self.living}


class Stand:
    """``sent`` gets a tuple for each packet that goes out."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.sent: asyncio.Queue[tuple[str, str, bytes]] = asyncio.Queue()
        self.hosts = SilentHosts(Ports(), self.kernel, lambda *sent: self.sent.put_nowait(sent))


@pytest.fixture
async def stand(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    monkeypatch.setattr(silent_hosts, "LOOKS", (0.0, 0.0))
    stand = Stand()
    async with stand.hosts.asking():
        yield stand


def packet_for(destination: str, tail: bytes = b"hello") -> bytes:
    address = ip_address(destination).packed
    if len(address) == 4:
        return b"\x45" + bytes(15) + address + tail
    return b"\x60" + bytes(23) + address + tail


def record(packet: bytes, port: int = EDGE, cut: int = 0) -> bytes:
    frame = ethernet.frame(bytes(6), bytes(6), packet)
    return struct.pack("=II", len(frame) + cut, port) + frame


@pytest.mark.parametrize(("to", "hop"), [(HOST, HOST), (HOST6, HOST6), (FAR, GATEWAY)])
async def test_what_was_dropped_goes_out_when_the_neighbour_answers(stand: Stand, to: str, hop: str) -> None:
    packets = [packet_for(to, tail) for tail in (b"one", b"two")]
    for packet in packets:
        stand.hosts.take(record(packet))
    assert [await stand.sent.get() for _ in packets] == [("edge0", to, packet) for packet in packets]
    assert list(stand.hosts) == stand.kernel.managed == [(INDEX, hop)]


async def test_who_does_not_answer_is_given_up_with_what_was_for_it(stand: Stand) -> None:
    stand.hosts.take(record(packet_for("10.30.1.99")))
    assert list(stand.hosts) == []  # not before the kernel has said where the address is
    await stand.kernel.given_up.wait()
    stand.hosts.take(record(packet_for(HOST)))
    assert (await stand.sent.get())[1] == HOST
    assert stand.kernel.managed == [(INDEX, HOST)]


async def test_nobody_is_asked_for_where_packets_have_no_business(stand: Stand) -> None:
    for port in (UPLINK, GONE, 99):
        stand.hosts.take(record(packet_for(HOST), port))
    stand.hosts.take(record(packet_for("198.51.100.1")))
    stand.hosts.take(record(packet_for(HOST6)))
    assert (await stand.sent.get())[1] == HOST6
    assert stand.kernel.managed == [(INDEX, HOST6)]


async def test_who_answers_no_more_is_forgotten(stand: Stand) -> None:
    for host in (HOST, HOST6):
        stand.hosts.take(record(packet_for(host)))
        await stand.sent.get()
    stand.kernel.living.remove(HOST)
    await stand.hosts.sweep()
    assert list(stand.hosts) == stand.kernel.managed == [(INDEX, HOST6)]


async def test_their_number_is_bounded(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silent_hosts, "MOST_KEPT", 1)
    for host in (HOST, HOST6):
        stand.hosts.take(record(packet_for(host)))
        await stand.sent.get()
    assert list(stand.hosts) == stand.kernel.managed == [(INDEX, HOST6)]


async def test_what_is_held_is_bounded(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silent_hosts, "MOST_ASKED", 1)
    monkeypatch.setattr(silent_hosts, "MOST_HELD", 1)
    for packet in (packet_for(HOST, b"one"), packet_for(HOST, b"two"), packet_for(HOST6)):
        stand.hosts.take(record(packet))
    assert await stand.sent.get() == ("edge0", HOST, packet_for(HOST, b"one"))
    stand.hosts.take(record(packet_for(FAR)))
    assert (await stand.sent.get())[1] == FAR


async def test_an_agent_that_starts_keeps_whom_an_earlier_one_found(stand: Stand) -> None:
    stand.kernel.managed = [(INDEX, HOST), (INDEX, "10.30.1.99"), (INDEX + 1, GATEWAY)]
    await stand.hosts.adopt()
    assert list(stand.hosts) == [(INDEX, HOST)]


@pytest.mark.parametrize("octets", [0, 8, 21, 22, 41])
def test_a_record_without_a_packet_is_none(octets: int) -> None:
    assert Unresolved.parse(record(packet_for(HOST))[:octets]) is None


def test_what_cannot_be_sent_whole_is_only_asked_for() -> None:
    cut = Unresolved.parse(record(packet_for(HOST), cut=1))
    assert cut == Unresolved(EDGE, HOST, b"")
    frame = bytes(12) + bytes.fromhex("81000064 0800") + packet_for(HOST)
    assert Unresolved.parse(struct.pack("=II", len(frame), EDGE) + frame) == cut
