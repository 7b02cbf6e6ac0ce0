# SPDX-License-Identifier: Apache-2.0
"""ICMP answers go to where the packet came from: the host, a plain host, or the far end of a tunnel."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import Any
from unittest.mock import Mock

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from dataplane.agent.answers import Answers
from dataplane.agent.backend import AgentBackend, PacketOutError
from dataplane.agent.ports import PortState
from dataplane.agent.punts import Punt, lowered
from dataplane.bpf.hook import Hook
from moorline.icmp import ANSWERS_BURST
from moorline.wire import Event
from tools.vectors.packets import Data

ACCESS = PortState("ml0p", 1, "access", Hook.TC, 0, hops=0)
UNDERLAY = PortState("up0", 2, "underlay", Hook.TC, 0, hops=1)
LAN = PortState("lan0", 3, "gateway", Hook.TC, 0, hops=1)
OTHERS = PortState("lan1", 4, "gateway", Hook.TC, 9, hops=1)
AT_XDP = PortState("up1", 5, "underlay", Hook.XDP, 0, hops=1, attached=17)
OWN = [ip_interface("10.77.200.1/24"), ip_interface("fd77:200::1/64")]
HOST, GATE = "02:00:00:00:00:05", "02:00:00:00:00:01"


class Ports:
    access = ACCESS

    def numbered(self, number: int) -> PortState | None:
        return {port.number: port for port in (ACCESS, UNDERLAY, LAN, OTHERS, AT_XDP)}.get(number)


class Outlets:
    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def to_host(self, packet: bytes) -> None:
        self.sent.append(("host", packet))

    def to_pipeline(self, frame: bytes) -> None:
        self.sent.append(("pipeline", frame))

    def straight_out(self, interface: str, frame: bytes) -> None:
        self.sent.append((interface, frame))


@pytest.fixture
def outlets() -> Outlets:
    return Outlets()


@pytest.fixture
def answers(outlets: Outlets) -> Answers:
    ports: Any = Ports()
    return Answers(ports, outlets, lambda _port: OWN, lambda: 0.0)


def punt(port: PortState, packet: Packet, reason: Event = Event.PUNT_TTL_EXPIRED, mtu: int = 0) -> Punt:
    frame = bytes(Ether(src=HOST, dst=GATE) / packet)
    return Punt(port.number, reason, mtu, frame, whole=True)


def four(**fields: Any) -> Packet:
    return IP(src="10.77.200.5", dst="10.77.0.9", **fields) / UDP(sport=1, dport=2) / Raw(b"x" * 30)


def six(**fields: Any) -> Packet:
    return IPv6(src="fd77:200::5", dst="fd77::9", **fields) / UDP(sport=1, dport=2) / Raw(b"x" * 30)


def test_a_plain_host_hears_from_its_gateway(answers: Answers, outlets: Outlets) -> None:
    answers.answer(punt(LAN, four(ttl=1)))
    answers.answer(punt(LAN, six(), Event.PUNT_TOO_BIG, 1400))
    (port4, frame4), (port6, frame6) = outlets.sent
    assert port4 == port6 == "lan0"
    expired, big = Ether(frame4), Ether(frame6)
    assert (expired.dst, expired.src) == (big.dst, big.src) == (HOST, GATE)
    assert (expired[IP].src, expired[IP].dst, expired[ICMP].type) == ("10.77.200.1", "10.77.200.5", 11)
    assert (big[IPv6].src, big[IPv6].dst) == ("fd77:200::1", "fd77:200::5")
    assert big[ICMPv6PacketTooBig].mtu == 1400


def test_the_host_hears_from_whom_it_spoke_to(answers: Answers, outlets: Outlets) -> None:
    answers.answer(punt(ACCESS, four(), Event.PUNT_TOO_BIG, 1400))
    ((where, packet),) = outlets.sent
    assert where == "host"
    assert (IP(packet).src, IP(packet)[ICMP].nexthopmtu) == ("10.77.0.9", 1400)


@pytest.mark.parametrize("outer", [("192.0.2.2", "192.0.2.1"), ("2001:db8::2", "2001:db8::1")])
@pytest.mark.parametrize("tags", [(), (300,)])
def test_the_far_end_hears_through_its_connection(
    outer: tuple[str, str], tags: tuple[int, ...], answers: Answers, outlets: Outlets
) -> None:
    frame = Data(six(hlim=1), *outer, tags=tags).frame()
    assert Ether(frame).haslayer(Dot1Q) == bool(tags)
    answers.answer(Punt(UNDERLAY.number, Event.PUNT_TTL_EXPIRED, 0, frame, whole=True))
    ((where, answer),) = outlets.sent
    assert where == "pipeline"
    packet = Ether(answer)
    assert packet.type == 0x86DD
    assert (packet[IPv6].src, packet[IPv6].dst) == ("fd77::9", "fd77:200::5")
    assert packet.haslayer(ICMPv6TimeExceeded)


def test_what_must_not_be_answered_and_what_comes_too_fast(answers: Answers, outlets: Outlets) -> None:
    answers.answer(Punt(99, Event.PUNT_TTL_EXPIRED, 0, bytes(Ether() / four()), whole=True))  # no such port
    answers.answer(punt(LAN, IP(src="10.77.200.5", dst="10.77.0.9", ttl=1) / ICMP(type=11)))
    assert outlets.sent == []
    for _ in range(int(2 * ANSWERS_BURST)):
        answers.answer(punt(LAN, four(ttl=1)))
    assert len(outlets.sent) == ANSWERS_BURST - 1


def test_a_packet_is_as_if_it_had_passed_a_router() -> None:
    for packet in (four(ttl=9), six(hlim=9), IP(options=[b"\1"] * 4, ttl=9) / UDP()):
        frame = lowered(bytes(Ether() / packet), 2)
        assert frame is not None
        parsed = Ether(frame)
        inner = parsed.payload
        assert (inner.ttl if IP in parsed else inner.hlim) == 7
        if IP in parsed:
            told, inner.chksum = inner.chksum, None
            assert IP(bytes(inner)).chksum == told
    assert lowered(bytes(Ether() / four(ttl=2)), 2) is None
    assert lowered(bytes(Ether() / four(ttl=0)), 0) == bytes(Ether() / four(ttl=0))


def test_a_packet_out_of_a_plain_host_passes_the_hosts_own_port(monkeypatch: pytest.MonkeyPatch) -> None:
    ports: Any = Ports()
    nothing: Any = None
    backend = AgentBackend(nothing, {}, {}, nothing, ports, lambda: None)
    sent: list[bytes] = []
    monkeypatch.setattr(backend, "to_pipeline", sent.append)
    backend.packet_out(LAN.number, 0, bytes(Ether() / four(ttl=9)))
    backend.packet_out(LAN.number, 0, bytes(Ether() / four(ttl=1)))  # used up
    backend.packet_out(ACCESS.number, 0, bytes(Ether() / four(ttl=1)))
    assert [Ether(frame).ttl for frame in sent] == [8, 1]
    for port in (UNDERLAY, OTHERS):
        with pytest.raises(PacketOutError, match=f"come in at port {port.number}: give port 1"):
            backend.packet_out(port.number, 0, bytes(Ether() / four()))


def test_packet_outs_at_a_port_with_xdp_arrive_there() -> None:
    ports: Any = Ports()
    nothing: Any = None
    injector: Any = Mock()
    backend = AgentBackend(nothing, {}, {}, nothing, ports, lambda: None)
    backend.inject_with(injector)
    backend.packet_out(AT_XDP.number, 0, b"a frame")
    injector.arrive.assert_called_once_with(AT_XDP.attached, b"a frame")
