# SPDX-License-Identifier: Apache-2.0
"""Of what passes at a switch, address resolution goes to the controller, and all else to its own stack."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    IPv6,
    IPv6ExtHdrDestOpt,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from moorline.wire import Event
from tools.vectors import entries
from tools.vectors.bmv2_target import HOST_PORT, Bmv2Target
from tools.vectors.model import PacketIn
from tools.vectors.world import GATEWAY, UNASSIGNED, UNDERLAY

pytestmark = pytest.mark.bmv2

LINK_LOCAL = IPv6(src="fe80::1", dst="ff02::1", hlim=255)
NS, NA = ICMPv6ND_NS(tgt="fe80::2"), ICMPv6ND_NA(tgt="fe80::2")
RESOLUTION = {
    "ARP": ARP(psrc="192.0.2.9", pdst="192.0.2.1"),
    "neighbour solicitation": LINK_LOCAL / NS,
    "neighbour advertisement": LINK_LOCAL / NA,
}
OTHERS = {
    "router solicitation": LINK_LOCAL / ICMPv6ND_RS(),
    "router advertisement": LINK_LOCAL / ICMPv6ND_RA(),
    "echo": LINK_LOCAL / ICMPv6EchoRequest(),
    "behind an extension header": LINK_LOCAL / IPv6ExtHdrDestOpt() / NS,
    "an ICMP type of the same number": IP(src="192.0.2.9", dst="224.0.0.1") / ICMP(type=135),
    "no type at all": LINK_LOCAL.copy(),
}
OTHERS["no type at all"].nh, OTHERS["no type at all"].plen = 58, 0


def framed(packet: Packet, tags: int = 0) -> bytes:
    layers = Ether(src="02:00:00:00:00:99", dst="02:00:00:00:00:98")
    for tag in range(tags):
        layers /= Dot1Q(vlan=100 + tag)
    return bytes(layers / packet).ljust(60, b"\0")


def went(switch: Bmv2Target, port: int, frame: bytes) -> str:
    """Where a frame went that passed."""
    switch.load([entries.underlay(UNDERLAY), entries.access(GATEWAY)])
    played = switch.play(port, [frame])
    assert {event for _, event in played.events} == {Event.RX, Event.PASS}
    if played.left:
        assert (played.left, played.punted) == ({HOST_PORT: [frame]}, [])
        return "its own stack"
    assert played.punted == [(PacketIn(port, Event.PASS), frame)]
    return "the controller"


@pytest.mark.parametrize("tags", range(3))
@pytest.mark.parametrize("port", [UNDERLAY.number, GATEWAY.number])
@pytest.mark.parametrize("name", RESOLUTION)
def test_resolution_goes_to_the_controller(name: str, port: int, tags: int, bmv2: Bmv2Target) -> None:
    assert went(bmv2, port, framed(RESOLUTION[name], tags)) == "the controller"


@pytest.mark.parametrize("port", [UNDERLAY.number, GATEWAY.number])
@pytest.mark.parametrize("name", OTHERS)
def test_all_else_goes_to_its_own_stack(name: str, port: int, bmv2: Bmv2Target) -> None:
    assert went(bmv2, port, framed(OTHERS[name])) == "its own stack"


@pytest.mark.parametrize("name", RESOLUTION)
def test_a_port_without_a_role_is_its_own_stacks(name: str, bmv2: Bmv2Target) -> None:
    assert went(bmv2, UNASSIGNED, framed(RESOLUTION[name])) == "its own stack"
