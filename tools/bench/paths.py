# SPDX-License-Identifier: Apache-2.0
"""Nanoseconds a packet of a service path, by BPF test runs of the programs at XDP."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address, IPv4Interface
from typing import Final

from moorline.addresses import mapped
from moorline.matches import Masked, Prefix
from moorline.wire import FIRST_SI, PeerHeader
from tools.bench.dataplane import ACCESS, UPLINK, MeasuredDataPlane
from tools.bench.frames import THERE, access_frame
from tools.bench.report import Row
from tools.bench.restore import nanoseconds
from tools.bench.rounds import Samples, interleave, ratio

ROUNDS: Final = 9
SPI: Final = 1
_END: Final = 250
"""Service index where the path ends."""
_GROUP, _INSTANCE = 1, 1
_BUCKETS: Final = 256
_MTU: Final = 1500
_MAC: Final = bytes.fromhex("020000000003")
_LINK: Final = IPv4Interface("11.255.255.254/8")
_FULL, _SHORT = access_frame(1), access_frame(2)
"""Packets of two flows: the second has a short-cut."""


def shortcut() -> list[Row]:
    """``shortcut.ns_ratio_full``: from an edge port past all peers and out, and to a path's first peer."""
    with MeasuredDataPlane.made() as plane:
        _write(plane)
        plane.reach(_LINK, [IPv4Address(_SHORT[30:34])])
        samples = plane.inside(partial(_measure, plane))
    return [
        Row(
            "shortcut.ns_ratio_full",
            samples["short"].median,
            "ns",
            "a full path's first hop",
            ratio(samples, "short", "full"),
        )
    ]


def _measure(plane: MeasuredDataPlane) -> dict[str, Samples]:
    # No hop is taken off the TTL and no header is added, so that a packet can be sent again and again.
    port = plane.ifindex(ACCESS)
    subjects = {}
    for name, frame in (("full", _FULL), ("short", _SHORT)):
        plane.expect_redirect(plane.xdp.run(frame, port)[0])
        subjects[name] = partial(nanoseconds, plane.xdp, frame, port)
    return interleave(subjects, ROUNDS)


def _write(plane: MeasuredDataPlane) -> None:
    """A rule, a path whose first peer is one of a group, a short-cut to its end, and a route."""
    edge = {"tenant": 0, "hops": 0}
    peer: dict[str, int | bytes] = {"port": UPLINK, "header": PeerHeader.NONE, "label": 0, "label2": 0}
    peer |= {"src_mac": _MAC, "dst_mac": _MAC, "local": bytes(16), "remote": bytes(16)}
    flow: dict[str, int | bytes] = {"src": mapped(_SHORT[26:30]), "dst": mapped(_SHORT[30:34])}
    flow |= {"tenant": 0, "protocol": 17, "src_port": 4000, "dst_port": 5000}
    rule = {"protocol": Masked(b"\x11", b"\xff")}
    write = plane.write
    write("port_role", {"ingress_port": ACCESS}, "edge", edge)
    write("classifier", rule, "set_path", {"spi": SPI, "si": FIRST_SI, "mtu": _MTU}, priority=1)
    write("path_hop", _place(FIRST_SI), "to_group", {"group": _GROUP, "by_destination": 0})
    write("path_hop", _place(FIRST_SI, _INSTANCE), "to_peer", peer)
    write("path_hop", _place(_END), "end")
    for bucket in range(_BUCKETS):
        write("member", {"slot": _GROUP * _BUCKETS + bucket}, "choose", {"instance": _INSTANCE})
    write("shortcut", flow, "jump", {"spi": SPI, "si": _END, "mtu": _MTU})
    anywhere = Prefix(mapped(THERE.to_bytes(4, "big")), 104)
    write("route", {"tenant": 0, "destination": anywhere}, "route_port", {"port": UPLINK, "vlan": 0})


def _place(si: int, instance: int = 0) -> dict[str, int]:
    return {"spi": SPI, "si": si, "instance": instance}
