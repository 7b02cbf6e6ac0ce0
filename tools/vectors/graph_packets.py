# SPDX-License-Identifier: Apache-2.0
"""Packets of service graphs, made by scapy: to and from feature peers, and in tunnels of user devices."""

from __future__ import annotations

from typing import Any, Final

from scapy.compat import raw
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Dot1AD, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from moorline.wire import VXLAN_PORT, PeerHeader, Tunnel

from . import world
from .entropy import entropy, flow_label
from .world import PEERS, PeerPort, Underlay

PBB_TYPE: Final = 0x88E7

VXLAN_MACS: Final = ("02:6d:6c:00:00:00", "02:6d:6c:ff:ff:ff")
"""Source and destination of the Ethernet header in a VXLAN packet to a user device."""


def ethertype(inner: Packet) -> int:
    """Of an IP packet."""
    return 0x86DD if isinstance(inner, IPv6) else 0x0800


def traffic_class(inner: Packet) -> int:
    """Of an IP packet."""
    return int(inner.tc if isinstance(inner, IPv6) else inner.tos)


def headed(
    inner: Packet,
    ethernet: tuple[str, str],
    header: PeerHeader = PeerHeader.NONE,
    label: int = 0,
    label2: int = 0,
    addresses: tuple[str, str] = ("", ""),
) -> bytes:
    """A packet behind the header of a peer; ``ethernet``: source and destination, so ``addresses`` of GRE."""
    source, destination = ethernet
    link = Ether(src=source, dst=destination)
    if header is PeerHeader.VLAN:
        return raw(link / Dot1Q(vlan=label) / inner)
    if header is PeerHeader.QINQ:
        return raw(link / Dot1AD(vlan=label) / Dot1Q(vlan=label2) / inner)
    if header is PeerHeader.MPLS:
        labels = MPLS(label=label, s=0, ttl=64) / MPLS(label=label2, s=1, ttl=64)
        return raw(link / (labels if label2 else MPLS(label=label, s=1, ttl=64)) / inner)
    if header is PeerHeader.GRE:
        return raw(link / _outer(inner, *addresses, 47) / _gre(inner, label, always=True) / inner)
    if header is PeerHeader.PBB:
        tag = Dot1AD(vlan=label2) if label2 else None
        link = link / tag if tag else link
        link.lastlayer().type = PBB_TYPE
        customer = raw(Ether(src=source, dst=destination, type=ethertype(inner)))
        return raw(link) + label.to_bytes(4, "big") + customer + raw(inner)
    return raw(link / inner)


def to_peer_frame(
    inner: Packet, header: PeerHeader = PeerHeader.NONE, *args: Any, port: PeerPort = PEERS, **fields: Any
) -> bytes:
    """The frame in which a peer gets a packet; ``mac``: which peer, by default the port's first."""
    return headed(inner, (port.mac, fields.pop("mac", port.macs[0])), header, *args, **fields)


def from_peer_frame(
    inner: Packet, header: PeerHeader = PeerHeader.NONE, *args: Any, port: PeerPort = PEERS, **fields: Any
) -> bytes:
    """The frame in which a peer returns a packet; ``mac``: which peer, by default the port's first."""
    return headed(inner, (fields.pop("mac", port.macs[0]), port.mac), header, *args, **fields)


def user_tunnel(
    inner: Packet,
    tunnel: Tunnel,
    key: int = 0,
    *,
    addresses: tuple[str, str] | None = None,
    ethernet: tuple[str, str] | None = None,
    ttl: int = 64,
    tos: int | None = None,
    sport: int | None = None,
    tags: tuple[int, ...] = (),
    padding: int = 0,
    port: Underlay = world.UNDERLAY,
) -> bytes:
    """A packet in a user device's tunnel to this node; ``padding``: octets behind it there."""
    source, destination = addresses or (port.neighbour.address4, port.address4)
    here, there = ethernet or (port.neighbour.mac, port.mac)
    link: Packet = Ether(src=here, dst=there)
    for vlan in tags:
        link = link / Dot1Q(vlan=vlan)
    protocol = {Tunnel.VXLAN: 17, Tunnel.GRE: 47}.get(tunnel, 41 if isinstance(inner, IPv6) else 4)
    outer = _outer(inner, source, destination, protocol, ttl, tos)
    packet = Raw(raw(inner) + bytes(padding))
    if tunnel is Tunnel.VXLAN:
        udp = UDP(sport=entropy(raw(inner)) if sport is None else sport, dport=VXLAN_PORT, chksum=0)
        ether = Ether(src=VXLAN_MACS[0], dst=VXLAN_MACS[1], type=ethertype(inner))
        return raw(link / outer / udp / VXLAN(flags=8, vni=key) / ether / packet)
    if tunnel is Tunnel.GRE:
        return raw(link / outer / _gre(inner, key) / packet)
    return raw(link / outer / packet)


def to_user(
    inner: Packet,
    tunnel: Tunnel,
    key: int = 0,
    *,
    port: Underlay = world.UNDERLAY,
    remote: str = "",
    tags: tuple[int, ...] = (),
) -> bytes:
    """The frame in which a user device gets a packet in its tunnel."""
    to = remote or port.neighbour.address4
    source = port.address6 if ":" in to else port.address4
    link = (port.mac, port.neighbour.mac)
    return user_tunnel(inner, tunnel, key, addresses=(source, to), ethernet=link, tags=tags)


def _outer(
    inner: Packet, source: str, destination: str, protocol: int, ttl: int = 64, tos: int | None = None
) -> Packet:
    marks = traffic_class(inner) if tos is None else tos
    if ":" in destination:
        label = flow_label(raw(inner))
        return IPv6(src=source, dst=destination, tc=marks, hlim=ttl, fl=label, nh=protocol)
    return IP(src=source, dst=destination, tos=marks, ttl=ttl, id=0, flags="DF", proto=protocol)


def _gre(inner: Packet, key: int, *, always: bool = False) -> Packet:
    if key or always:
        return GRE(proto=ethertype(inner), key_present=1, key=key)
    return GRE(proto=ethertype(inner))
