# SPDX-License-Identifier: Apache-2.0
"""The good packets of service graphs that a fuzz run starts from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from scapy.compat import raw
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from moorline.wire import OAM_PORT, PeerHeader, Tunnel
from tools.vectors.graph_packets import from_peer_frame, user_tunnel
from tools.vectors.packets import Data
from tools.vectors.world import BEHIND, INTERNET, PEERS, SECOND, TENANT, UNDERLAY, USERS, Gateway, PeerPort

from .graph_scene import BEYOND, DEVICES, GRE_ENDS, LABELS, OTHER, SPI, header_at, label_of
from .inner_packets import packets
from .scene import LOCAL4, LOCAL6
from .scene import PEERS as CONNECTED
from .template import Template

USER, SERVER = (USERS.host4, USERS.host6), (INTERNET.host4, INTERNET.host6)
CONNECTION = (LOCAL4, LOCAL6), ("10.77.0.4", "fd77::4")
PLACES = (255, 254, 253, 252, 251, 250, 249, 248, 247, 246, 245, 10, 8, 6, 4, 2, 1, 0)


@cache
def templates(number: int) -> tuple[Template, ...]:
    """Those of a round, from feature peers, always in the same order."""
    return tuple(template for port in (PEERS, BEHIND) for template in _from_peers(port, number))


def of_all_rounds() -> list[Template]:
    """All others."""
    return [*_on_paths(), *_from_edges(), *_from_devices()]


def _pairs() -> Iterator[Packet]:
    """Packets of customers', both ways."""
    for one, other in ((USER, SERVER), (SERVER, USER), CONNECTION):
        yield from packets(*zip(one, other, strict=True))
        yield IP(src=one[0], dst=other[0]) / UDP(sport=7, dport=OAM_PORT) / Raw(b"p" * 20)


def _on_paths() -> Iterator[Template]:
    sources = (UNDERLAY.neighbour.address4, UNDERLAY.neighbour.address6, "192.0.2.99")
    for which, inner in enumerate(_pairs()):
        for place, si in enumerate(PLACES):
            source = sources[(which + place) % 8 // 3]
            port = SECOND if place % 2 else UNDERLAY
            data = Data(
                inner,
                source,
                port.address6 if ":" in source else port.address4,
                scid=CONNECTED[0].scid if which % 3 else 0,
                spi=OTHER if si in (1, 254) and which % 2 else SPI,
                si=si,
                tos=2,
                tags=(100,) if which % 5 == 0 else (),
                hop_limit=2 if place % 5 == 0 else 64,
                geneve={"vni": TENANT},
            )
            at = data.transport
            yield Template(port.number, data.frame(), data.network, at, at + 8, data.payload)


def _from_peers(port: PeerPort, number: int) -> Iterator[Template]:
    header = header_at(port, number)
    remote_local = tuple(reversed(GRE_ENDS[port]))
    for which, inner in enumerate(_pairs()):
        for place in range(len(LABELS)):
            frame = from_peer_frame(
                inner,
                header,
                label_of(port, number, place),
                200 if which % 2 or header is PeerHeader.QINQ else 0,
                remote_local,
                port=port,
                mac=port.macs[place % len(port.macs)],
            )
            at = len(frame) - len(inner)
            yield Template(port.number, frame, 14 if header is PeerHeader.GRE else at, inner=at)
    link = Ether(src=port.macs[0], dst=port.mac)
    yield Template(port.number, raw(link / ARP(hwsrc=port.macs[0], psrc="10.0.0.2", pdst="10.0.0.1")), 14)
    yield Template(port.number, raw(link / IPv6(src="fe80::1", dst="ff02::1:ff00:1") / ICMPv6ND_NS()), 14)


def _from_edges() -> Iterator[Template]:
    for port, one, other in ((USERS, USER, SERVER), (INTERNET, SERVER, USER)):
        destinations = [
            other,
            ("224.0.0.251", "ff02::fb"),
            (USERS.address4, "fe80::9"),
            ("11.0.0.1", "fd99::1"),
        ]
        destinations += [(text, text) for text in BEYOND]
        for to in destinations:
            four = (one[0], to[0]) if ":" not in to[0] else (one[0], other[0])
            six = (one[1], to[1]) if ":" in to[1] else (one[1], other[1])
            for inner in packets(four, six):
                for vlan in (0, 100, 200):
                    yield _edge(port, inner, vlan)
        yield _edge(port, IP(src=one[0], dst=other[0]) / UDP(sport=7, dport=OAM_PORT) / Raw(b"p" * 20), 0)
        yield _edge(port, Data(IP(src=one[0], dst=other[0]) / UDP(), spi=SPI, si=255).packet()[IP], 0)
        link = Ether(src=port.near_mac, dst=port.far_mac)
        asks = ARP(hwsrc=port.near_mac, psrc=port.host4, pdst=port.address4)
        yield Template(port.number, raw(link / asks), 14)
        yield Template(port.number, raw(link / Dot1Q(vlan=1) / Dot1Q(vlan=2) / IP(src=one[0]) / UDP()), 22)


def _edge(port: Gateway, inner: Packet, vlan: int) -> Template:
    link = Ether(src=port.near_mac, dst=port.far_mac)
    return Template(port.number, raw((link / Dot1Q(vlan=vlan) if vlan else link) / inner), 18 if vlan else 14)


def _from_devices() -> Iterator[Template]:
    for source, tunnel, key, _, _ in DEVICES:
        own = UNDERLAY.address6 if ":" in source else UNDERLAY.address4
        for which, inner in enumerate(packets(*zip(USER, SERVER, strict=True))):
            tags = (100,) if which % 3 == 0 else ()
            frame = user_tunnel(inner, tunnel, key, addresses=(source, own), tags=tags, tos=2)
            network, at = 14 + 4 * len(tags), len(frame) - len(inner)
            udp = network + (40 if ":" in source else 20) if tunnel is Tunnel.VXLAN else 0
            yield Template(UNDERLAY.number, frame, network, udp, udp and udp + 8, at)
