# SPDX-License-Identifier: Apache-2.0
"""What senders are told of packets that a switch could not carry, as agents tell the programs of their hosts.

A packet that came from a plain host is answered there. One that came through a tunnel, for a plain host, is
inside of the frame: its answer goes through the switch as if that host had sent it, and so back the tunnel.
"""

from __future__ import annotations

from typing import Final

from finsy.proto import p4r

from control.neighbours.frame import is_station
from control.records import Node
from control.southbound.packet_format import PacketFormat, Received
from control.state import State
from moorline import ethernet
from moorline.icmp import answer_to
from moorline.switch import SwitchPort
from moorline.wire import OVERHEAD_IPV4, OVERHEAD_IPV6

_OUTER: Final = {ethernet.IPV4: OVERHEAD_IPV4, ethernet.IPV6: OVERHEAD_IPV6}
"""Octets before the packet inside, by EtherType: the switch has seen that the headers have this form."""

_UDP_AND_GENEVE: Final = 32
_DESTINATION: Final = {ethernet.IPV4: slice(16, 20), ethernet.IPV6: slice(24, 40)}


def icmp_answer(
    node: Node, received: Received, state: State, out: PacketFormat
) -> p4r.StreamMessageRequest | None:
    """The packet-out that answers a packet which ``node``, a switch, punted; None where it gets no answer."""
    port = node.switch.config.port(received.port) if node.switch is not None else None
    if port is None or len(received.frame) < ethernet.OCTETS:
        return None
    if port.role in ("gateway", "edge"):
        return _at_gateway(port, received, out)
    return _through_tunnel(node, port, received, state, out)


def _at_gateway(port: SwitchPort, received: Received, out: PacketFormat) -> p4r.StreamMessageRequest | None:
    kind, packet = ethernet.contents(received.frame)
    answer = answer_to(received.reason, packet, received.mtu)
    sender = received.frame[6:12]
    if answer is None or not is_station(sender):
        return None
    return out.straight(port.number, sender + port.mac_octets + kind.to_bytes(2) + answer)


def _through_tunnel(
    node: Node, port: SwitchPort, received: Received, state: State, out: PacketFormat
) -> p4r.StreamMessageRequest | None:
    kind, packet = _inside(received.frame)
    service = state.service_at(packet[_DESTINATION[kind]]) if kind in _DESTINATION else None
    answer = answer_to(received.reason, packet, received.mtu)
    if service is None or service.node is not node or not service.port or answer is None:
        return None
    own = port.mac_octets
    return out.through(service.port, own + own + kind.to_bytes(2) + answer)


def _inside(frame: bytes) -> tuple[int, bytes]:
    """EtherType and octets of the packet that a data packet carries."""
    kind, outer = ethernet.contents(frame)
    at = _OUTER.get(kind, len(outer))
    if len(outer) <= at:
        return 0, b""
    udp = at - _UDP_AND_GENEVE
    octets = int.from_bytes(outer[udp + 4 : udp + 6]) - _UDP_AND_GENEVE
    return int.from_bytes(outer[udp + 10 : udp + 12]), outer[at : at + octets]
