# SPDX-License-Identifier: Apache-2.0
"""How a namespace is tied to the data plane: two cables, routes by where a packet came in, and settings.

What comes in at one interface leaves by the other, whatever its addresses. Our ends of the cables have no
addresses either: each is reached by its link-layer address, under that of a next hop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent.features import Feature, switch
from dataplane.agent.sysctl import write_sysctl
from dataplane.agent.watch import read_host
from dataplane.peers.base import PeerError
from dataplane.peers.namespace import Namespace
from dataplane.peers.recipe import FROM_IN, FROM_OUT, IN, OUT, TO_INSPECTOR, TO_PROGRAM

INSPECT, ANSWER = "inspect", "answer"
"""Interfaces of a program that looks at packets: it gets and passes them by one, answers by the other."""

LOCAL_TABLE, INSPECT_TABLE, OUT_TABLE, IN_TABLE = 110, 120, 101, 102
"""Routing tables: to programs here, to the inspector, out by ``out`` and by ``in``."""

_DIRECTIONS: Final = 0xF
_NEXT_HOPS: Final = {4: {IN: "169.254.77.1", OUT: "169.254.77.2"}, 6: {IN: "fe80::77:1", OUT: "fe80::77:2"}}
_ERRORS_FROM: Final = {4: "192.0.0.8/32", 6: "100::8/128"}
"""Sources of ICMP errors: the dummy address (RFC 7600), and one that leads nowhere (RFC 6666)."""

_SETTINGS: Final = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    # What the kernel answers itself goes back where the packet came from, and so do answers of programs.
    "ipv4/fwmark_reflect": "1",
    "ipv4/tcp_fwmark_accept": "1",
    "ipv6/fwmark_reflect": "1",
    "netfilter/nf_conntrack_acct": "1",
    # A flow that comes back from a short-cut is at sequence numbers that have not been seen here.
    "netfilter/nf_conntrack_tcp_be_liberal": "1",
    "ipv6/conf/all/forwarding": "1",
    # No word of its own: everything on the cables is somebody's packet.
    "ipv6/conf/default/addr_gen_mode": "1",
    "ipv6/conf/default/accept_dad": "0",
}


@dataclass(frozen=True, slots=True)
class Cable:
    """From an interface of a peer to ours, with the link-layer addresses of both."""

    inside: str
    ours: str
    mac: str
    our_mac: str


def cables(namespace: str, interfaces: tuple[str, ...]) -> tuple[Cable, Cable]:
    """The two cables of a peer. Their addresses are always the same, so that no entry has to follow them."""
    first, second = (
        Cable(inside, ours, _mac(f"{namespace}/{inside}"), _mac(f"{namespace}/{inside}/port"))
        for inside, ours in zip((IN, OUT), interfaces, strict=True)
    )
    return first, second


def _mac(of: str) -> str:
    """A link-layer address of local meaning."""
    return (b"\x02\x6d\x70" + hashlib.sha256(of.encode()).digest()[:3]).hex(":")


async def prepare(namespace: Namespace) -> None:
    """Settings that hold before there are cables."""

    def write() -> None:
        for name, value in _SETTINGS.items():
            write_sysctl(name, value)

    await namespace.call(write)
    for version, address in _ERRORS_FROM.items():
        commands = [f"address add {address} dev lo", *_rules()]
        await namespace.run("ip", f"-{version}", "-batch", "-", text="\n".join(commands))


def _rules() -> Iterator[str]:
    """Of either family."""
    for interface in (IN, OUT):
        marked = f"iif {interface} fwmark {TO_PROGRAM}/{TO_PROGRAM}"
        yield f"rule add priority 90 {marked} lookup {LOCAL_TABLE}"
    marked = f"iif {IN} fwmark {TO_INSPECTOR}/{TO_INSPECTOR}"
    yield f"rule add priority 92 {marked} lookup {INSPECT_TABLE}"
    for interface, table in ((IN, OUT_TABLE), (OUT, IN_TABLE), (INSPECT, OUT_TABLE), (ANSWER, IN_TABLE)):
        yield f"rule add priority 100 iif {interface} lookup {table}"
    yield f"rule add priority 110 iif lo fwmark {FROM_IN}/{_DIRECTIONS} lookup {IN_TABLE}"
    yield f"rule add priority 110 iif lo fwmark {FROM_OUT}/{_DIRECTIONS} lookup {OUT_TABLE}"
    yield f"rule add priority 120 iif lo lookup {OUT_TABLE}"
    yield f"route add local default dev lo table {LOCAL_TABLE}"
    # While no inspector is there, what it should see goes nowhere.
    yield f"route add blackhole default metric 4096 table {INSPECT_TABLE}"


async def lay(netlink: Any, namespace: Namespace, both: tuple[Cable, Cable], mtu: int) -> None:
    """Lay the cables; raises :class:`PeerError`."""
    for cable in both:
        try:
            await netlink.link(
                "add",
                ifname=cable.ours,
                kind="veth",
                address=cable.our_mac,
                mtu=mtu,
                peer={"ifname": cable.inside, "net_ns_fd": namespace.name, "address": cable.mac, "mtu": mtu},
            )
            link = read_host().link_named(cable.ours)
            assert link is not None
            write_sysctl(f"ipv6/conf/{cable.ours}/disable_ipv6", "1")
            await netlink.link("set", index=link.index, state="up")
        except NetlinkError as error:
            raise PeerError(f"interface {cable.ours} cannot be made: {error.args[-1]}") from error
    for version, hops in _NEXT_HOPS.items():
        await namespace.run("ip", f"-{version}", "-batch", "-", text="\n".join(_ways(both, hops)))
    # Once they are up: the kernel lets nobody send to a veth from XDP that was told to join packets before.
    await namespace.call(lambda: _settle_offloads(both))


def _settle_offloads(both: tuple[Cable, Cable]) -> None:
    """Our ends have programs at XDP: they send to a veth that polls, and read whole checksums."""
    for cable in both:
        switch(cable.inside, Feature.RECEIVE_JOINING, on=True)
        switch(cable.inside, Feature.TRANSMIT_CHECKSUMS, on=False)


def _ways(both: tuple[Cable, Cable], hops: Mapping[str, str]) -> Iterator[str]:
    """Of one family."""
    for cable, table in zip(both, (IN_TABLE, OUT_TABLE), strict=True):
        hop = hops[cable.inside]
        yield f"link set {cable.inside} up"
        yield f"neighbour add {hop} lladdr {cable.our_mac} dev {cable.inside} nud permanent"
        yield f"route add default via {hop} dev {cable.inside} table {table} onlink"
