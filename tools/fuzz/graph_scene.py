# SPDX-License-Identifier: Apache-2.0
"""Service graphs for a fuzz run: paths with every action, peers with every header, edge ports, devices.

The peers' ports have one kind of header at a time: a run goes through ``ROUNDS`` sets of entries.
"""

from __future__ import annotations

from typing import Final

from moorline.wire import PeerCheck, PeerHeader, Tunnel
from tools.vectors.entries import mapped, terminate
from tools.vectors.graph_entries import (
    affinity,
    device,
    edge,
    hop,
    member,
    peer,
    resume,
    resume_class,
    route,
    route_port,
    route_tunnel,
    rule,
    rule_to,
    shortcut,
    to_group,
    to_node,
    to_peer,
    within,
)
from tools.vectors.model import Entry
from tools.vectors.world import BEHIND, FAR_NODE, INTERNET, PEERS, SECOND, TENANT, UNDERLAY, USERS, PeerPort

ROUNDS: Final = len(PeerHeader)
SPI: Final = 0x010203
OTHER: Final = 0x010303
"""A path of another graph."""
LABELS: Final = (100, 101, 102, 103)
"""Of the peers at a port: without a check, the two checks, and by the classifier."""
GRE_ENDS: Final = {PEERS: ("198.18.0.1", "198.18.0.2"), BEHIND: ("fd18::1", "fd18::2")}
"""Own address and the peers' where the header is GRE."""
GROUP, INSTANCES = 7, (0x10, 0x11, 0x12)
PINNED: Final = (USERS.host4, INTERNET.host6, "10.77.0.2", "fd77::4")

NEAR4, NEAR6 = UNDERLAY.neighbour.address4, UNDERLAY.neighbour.address6
DEVICES: Final = (
    (NEAR4, Tunnel.VXLAN, 7, USERS.host4, 32),
    (NEAR4, Tunnel.GRE, 0, "10.88.6.0", 24),
    (NEAR6, Tunnel.GRE, 9, "fd88:6::", 64),
    (NEAR6, Tunnel.IPIP, 0, "10.88.6.0", 24),
    (NEAR4, Tunnel.IPIP, 0, USERS.host6, 128),
    (NEAR6, Tunnel.VXLAN, 0xFFFFFF, USERS.host4, 0),
)
"""Source, tunnel, key, and whose packets it may carry."""
BEYOND: Final = ("10.88.8.1", "10.88.8.2", "10.88.8.3", "10.88.8.4", "fd88:8::1", "fd88:8::2")
"""Addresses that are routed into tunnels, and to a node."""


def header_at(port: PeerPort, number: int) -> PeerHeader:
    """The kind of header that a port's peers have in a round."""
    return PeerHeader((number + (3 if port is BEHIND else 0)) % ROUNDS)


def by_mac(port: PeerPort, number: int) -> bool:
    """Whether a port's peers are told apart by MAC address in a round."""
    return header_at(port, number) is PeerHeader.NONE or number % 2 == 1


def entries(number: int) -> tuple[Entry, ...]:
    """The entries of service graphs in a round."""
    return (
        *_ports(number),
        *_hops(number),
        *_groups(),
        *(entry for port in (PEERS, BEHIND) for entry in _resumes(port, number)),
        *CLASSES,
        *ROUTES,
        *(terminate(address, tunnel) for address in _OWN for tunnel in list(Tunnel)[2:]),
        *(device(at, kind, key, text, length=bits) for at, kind, key, text, bits in DEVICES),
    )


def of_connections() -> tuple[Entry, ...]:
    """What service connections meet where there are no peers and no edge ports."""
    return (*(entry for entry in _hops(0) if entry.action != "to_peer"), *_groups())


_OWN = (UNDERLAY.address4, UNDERLAY.address6)


def _ports(number: int) -> tuple[Entry, ...]:
    return (
        edge(USERS),
        edge(INTERNET, hops=2),
        terminate(USERS.address4, Tunnel.NONE),
        *(peer(port, header_at(port, number), by_mac=by_mac(port, number)) for port in (PEERS, BEHIND)),
    )


def label_of(port: PeerPort, number: int, place: int) -> int:
    """The steering label of a port's peer; 0 where there is none."""
    return 0 if header_at(port, number) is PeerHeader.NONE else LABELS[place]


def _to(port: PeerPort, number: int, si: int, place: int, instance: int = 0) -> Entry:
    header = header_at(port, number)
    local, remote = GRE_ENDS[port] if header is PeerHeader.GRE else ("::", "::")
    two = header in (PeerHeader.QINQ, PeerHeader.MPLS, PeerHeader.PBB) and (place + number) % 2
    return to_peer(
        SPI,
        si,
        instance,
        port=port,
        header=header,
        label=label_of(port, number, place),
        label2=1 if header is PeerHeader.QINQ else 200 if two else 0,
        mac=port.macs[place % len(port.macs)],
        local=local,
        remote=remote,
    )


def _hops(number: int) -> tuple[Entry, ...]:
    return (
        _to(PEERS, number, 255, 0),
        to_node(4, SPI, 254),
        _to(BEHIND, number, 253, 1),
        to_node(3, SPI, 252),
        to_group(GROUP, SPI, 251),
        _to(PEERS, number, 251, 1, INSTANCES[0]),
        to_node(5, SPI, 251, INSTANCES[1]),
        hop("closed", SPI, 251, INSTANCES[2]),
        to_group(GROUP, SPI, 250, by_destination=True),
        hop("end", SPI, 250, INSTANCES[0]),
        hop("end", SPI, 249),
        hop("closed", SPI, 248),
        to_node(9, SPI, 247),
        to_node(8, SPI, 246),
        to_node(7, SPI, 245),
        hop("end", SPI, 4),
        to_node(4, SPI, 2),
        _to(PEERS, number, 6, 2),
        to_group(GROUP, SPI, 8),
        to_node(2, SPI, 8, INSTANCES[0]),
        hop("end", SPI, 8, INSTANCES[1]),
        to_node(4, SPI, 10),
        to_node(FAR_NODE, OTHER, 255),
        hop("end", OTHER, 254),
        hop("end", OTHER, 1),
    )


def _groups() -> tuple[Entry, ...]:
    chosen = (bucket % 4 for bucket in range(256))
    return (
        *(
            member(bucket, INSTANCES[which], GROUP)
            for bucket, which in enumerate(chosen)
            if which < len(INSTANCES)
        ),
        *(affinity(address, INSTANCES[number % 2], GROUP) for number, address in enumerate(PINNED)),
    )


def _resumes(port: PeerPort, number: int) -> tuple[Entry, ...]:
    header = header_at(port, number)
    made = []
    for place in range(len(LABELS)):
        mac = port.macs[place % len(port.macs)] if by_mac(port, number) else None
        label = label_of(port, number, place)
        if place == 3:
            made.append(resume_class(port=port, header=header, label=label, mac=mac, mtu=1390))
        else:
            si = (254, 249, 252)[place]
            check = list(PeerCheck)[place]
            made.append(resume(SPI, si, port=port, header=header, label=label, mac=mac, check=check))
    unique = {str(entry.key): entry for entry in made}
    return tuple(unique.values())


CLASSES: Final = (
    rule_to(90, SPI, 255, 1380, tenant=TENANT, dst=mapped(INTERNET.host4), protocol=17),
    rule_to(80, SPI, 252, 0xFFFF, tenant=TENANT, src=within("fd88:6::/64")),
    rule_to(70, OTHER, 255, 0xFFFF, ingress_port=INTERNET.number, vlan=100),
    rule(60, "deny", protocol=50, src_port="0&65280"),
    rule(55, "bypass", src_mac="1&255"),
    rule_to(50, SPI, 251, 0xFFFF, vlan=200),
    rule_to(40, SPI, 253, 1300, src=within("10.88.0.0/16"), protocol=6),
    rule(30, "bypass", dst=within("10.88.8.0/24")),
    rule_to(20, OTHER, 1, 0xFFFF, ingress_port=UNDERLAY.number),
    rule_to(10, SPI, 2, 0xFFFF, tenant=TENANT, src_port=4000),
    shortcut(USERS.host4, INTERNET.host4, ports=(4000, 53), spi=OTHER, si=255),
    shortcut(USERS.host4, INTERNET.host4, protocol=1, ports=(0, 0), spi=SPI, si=253),
    shortcut(INTERNET.host6, USERS.host6, protocol=6, ports=(4000, 80), spi=SPI, si=254, mtu=1280),
)
ROUTES: Final = (
    route_port("10.88.4.0/24", INTERNET.number),
    route_port("10.88.6.0/24", USERS.number, 200),
    route_port("fd88:4::/64", INTERNET.number, 4000),
    route_port("fd88:6::5/128", USERS.number),
    route_tunnel("10.88.8.1/32", UNDERLAY.number, Tunnel.VXLAN, NEAR4, 7),
    route_tunnel("10.88.8.2/32", SECOND.number, Tunnel.GRE, SECOND.neighbour.address6, 9),
    route_tunnel("10.88.8.3/32", UNDERLAY.number, Tunnel.IPIP, NEAR6),
    route_tunnel("fd88:8::1/128", SECOND.number, Tunnel.GRE, SECOND.neighbour.address4),
    route_tunnel("fd88:8::2/128", UNDERLAY.number, Tunnel.IPIP, NEAR4),
    route("10.88.8.0/24", "route_node", node=FAR_NODE),
)
