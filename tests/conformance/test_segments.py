# SPDX-License-Identifier: Apache-2.0
"""What the kernel will cut into segments is judged by the longest of them; only TC sees it whole."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from dataplane.bpf.hook import Hook
from moorline.wire import OVERHEAD_IPV4, Event
from tools.vectors.bpf_target import DROP, VERDICTS, BpfTarget
from tools.vectors.cases.relay import RELAYING
from tools.vectors.entries import changed, connection
from tools.vectors.packets import Data, sent
from tools.vectors.world import ACCESS, SECOND, UNDERLAY, VIRTUAL4_LOCAL, VIRTUAL4_PEER

PAYLOAD = Raw(bytes(2800))
ROOM = SECOND.mtu - OVERHEAD_IPV4

INNER: dict[str, tuple[Packet, int]] = {
    "tcp": (IP() / TCP() / PAYLOAD, 40),
    "tcp with options": (IP(options=[IPOption_NOP()] * 4) / TCP(options=[("NOP", None)] * 8) / PAYLOAD, 52),
    "udp": (IP() / UDP() / PAYLOAD, 28),
    "tcp over ipv6": (IPv6() / TCP() / PAYLOAD, 60),
}
"""Inner packets with the octets of their headers, which each segment has again."""


@pytest.mark.parametrize("name", INNER)
def test_a_relay_judges_the_longest_segment(name: str, targets: dict[Hook, BpfTarget]) -> None:
    target = targets[Hook.TC]
    target.load(RELAYING)
    inner, headers = INNER[name]
    frame = Data(inner).frame()

    def verdict(segment: int) -> int:
        return target.program.run(frame, target.bench.ifindexes[UNDERLAY.number], segment=segment)[0]

    def dropped() -> int:
        counted = target.port_events().get((UNDERLAY.number, Event.DROP_OUTER_TOO_BIG))
        return counted.packets if counted else 0

    before = dropped()
    assert verdict(ROOM - headers) == VERDICTS[Hook.TC][Event.TX]
    assert dropped() == before
    assert verdict(ROOM - headers + 1) == verdict(0) == DROP[Hook.TC]
    assert dropped() == before + 2


def test_so_does_an_access_port_for_what_the_path_carries(targets: dict[Hook, BpfTarget]) -> None:
    target, room, headers = targets[Hook.TC], 1300, 40
    target.load(changed(connection(VIRTUAL4_LOCAL, VIRTUAL4_PEER, mtu=room)))
    frame = sent(IP(src=VIRTUAL4_LOCAL, dst=VIRTUAL4_PEER) / TCP() / PAYLOAD)

    def punted(segment: int) -> int:
        target.program.run(frame, target.bench.ifindexes[ACCESS.number], segment=segment)
        counted = target.port_events().get((ACCESS.number, Event.PUNT_TOO_BIG))
        return counted.packets if counted else 0

    before = punted(room - headers)
    assert punted(room - headers) == before
    assert punted(room - headers + 1) == before + 1
    assert punted(0) == before + 2
