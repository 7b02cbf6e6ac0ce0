# SPDX-License-Identifier: Apache-2.0
"""The good packets that a fuzz run starts from, and where their headers lie."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from scapy.compat import raw
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from tools.vectors.packets import Data, sent
from tools.vectors.world import ACCESS, GATEWAY, SECOND, UNASSIGNED, UNDERLAY

from . import graph_templates
from .inner_packets import packets
from .scene import DENIED4, DENIED6, LOCAL4, LOCAL6, PAIRS, PEERS, RELAYED, Peer, Relayed
from .template import Template

PEERS_SHARE = 4
"""How often each frame from a feature peer is there: they are few, and their headers many."""


def templates(number: int) -> list[Template]:
    """All of a round (see :mod:`tools.fuzz.graph_scene`), always in the same order."""
    return [*_of_all_rounds(), *graph_templates.templates(number) * PEERS_SHARE]


@cache
def _of_all_rounds() -> tuple[Template, ...]:
    return (*_from_underlay(), *_relayed(), *_from_access(), *_strangers(), *graph_templates.of_all_rounds())


def _from_underlay() -> Iterator[Template]:
    for peer in PEERS:
        for source in peer.sources:
            for inner in packets(*zip(_peer(peer), _own(peer), strict=True)):
                for tags in ((), (100,), (100, 200)):
                    for checksum in (0, None):
                        yield _data(peer, source, inner, tags, checksum)


def _relayed() -> Iterator[Template]:
    for one in RELAYED:
        for source in one.sources:
            for inner in packets(*zip(_peer(PEERS[0]), _own(PEERS[0]), strict=True)):
                for tags, checksum in (((), 0), ((100,), None), ((100, 200), 0)):
                    yield _data(one, source, inner, tags, checksum)


def _data(
    peer: Peer | Relayed, source: str, inner: Packet, tags: tuple[int, ...], checksum: int | None
) -> Template:
    port = UNDERLAY if peer.number % 2 else SECOND
    data = Data(
        inner,
        source,
        port.address6 if ":" in source else port.address4,
        scid=peer.scid,
        tos=2,
        source_port=50000 + len(inner) % 2,
        tags=tags,
        udp={"chksum": checksum},
    )
    return Template(port.number, data.frame(), data.network, data.transport, data.transport + 8, data.payload)


def _own(peer: Peer) -> tuple[str, str]:
    return peer.local4, peer.local6


def _peer(peer: Peer) -> tuple[str, str]:
    return peer.address4, peer.address6


def _from_access() -> Iterator[Template]:
    for access in (ACCESS, GATEWAY):
        for peer in PEERS:
            for inner in packets(*zip(_own(peer), _peer(peer), strict=True)):
                yield Template(access.number, sent(inner, access), 14)
        for pair in PAIRS:
            for inner in packets(*zip(pair.source, pair.destination, strict=True)):
                yield Template(access.number, sent(inner, access), 14)
        for four, six in ((DENIED4, DENIED6), ("10.77.9.9", "fd77::999"), ("224.0.0.251", "ff02::fb")):
            yield Template(access.number, sent(IP(src=LOCAL4, dst=four) / UDP() / Raw(b"x" * 40), access), 14)
            yield Template(
                access.number, sent(IPv6(src=LOCAL6, dst=six) / UDP() / Raw(b"x" * 40), access), 14
            )
        yield Template(access.number, raw(Ether(src=access.near_mac) / ARP(pdst=DENIED4)), 14)


def _strangers() -> Iterator[Template]:
    """What is not ours, on every kind of port."""
    link = Ether(src=UNDERLAY.neighbour.mac, dst=UNDERLAY.mac)
    four, six = IP(src="192.0.2.9", dst=UNDERLAY.address4), IPv6(src="2001:db8::9", dst=UNDERLAY.address6)
    for payload in (TCP(dport=22), UDP(dport=53) / Raw(b"q" * 30), ICMP()):
        for port in (UNDERLAY.number, UNASSIGNED):
            yield Template(port, raw(link / four / payload), 14)
            yield Template(port, raw(link / six / payload), 14)
    yield Template(
        UNDERLAY.number, raw(link / six / IPv6ExtHdrFragment(m=1) / UDP(dport=6081) / Raw(bytes(40))), 14
    )
    yield Template(UNASSIGNED, Data(IP(src=LOCAL4) / UDP()).frame(), 14)
