# SPDX-License-Identifier: Apache-2.0
"""What arrives at edge ports, from feature peers and in user devices' tunnels.

Rules S3, S6, S8 and S9 of docs/wire-format.md.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from moorline.wire import Event, PeerCheck, PeerHeader, Tunnel
from tools.vectors.entropy import flow_of

from .labels import gre_packet, labelled
from .paths import UNLIMITED, Paths, Travelling, is_probe, of_connection
from .rules import ETHERNET, IPV4, IPV6, Inner, Outer, Prediction, end, inner, u16, udp_payload
from .tables import Params, Tables
from .ways import lowered, mapped, stays_on_link, with_ecn

VLAN: Final = 0x8100

ECN: Final = ((0, 0, 0, None), (1, 1, 1, 3), (2, 1, 2, 3), (3, 3, 3, 3))
"""RFC 6040, figure 4, by codepoint (Not-ECT 0, ECT(1) 1, ECT(0) 2, CE 3): row inner, column outer."""


VERSION_BITS: Final = 8
"""The lowest bits of an SPI, which tell paths of one family apart."""


class Class(NamedTuple):
    """Along which path a packet goes; on none with an SPI of 0."""

    spi: int = 0
    si: int = 0
    mtu: int = UNLIMITED


class Opened(NamedTuple):
    """What was in a user device's tunnel."""

    packet: bytes
    ethertype: int
    key: int
    src_mac: int = 0


class Where(NamedTuple):
    """Where a packet came in, for its class."""

    tenant: int
    port: int = 0
    vlan: int = 0
    src_mac: int = 0


def marked(carried: Inner, outer_class: int) -> Inner:
    """The packet with the congestion marks of its outer header."""
    ecn = ECN[carried.traffic_class & 3][outer_class & 3]
    if ecn is None:
        end(Event.DROP_INNER_ECN)
    return with_ecn(carried, ecn)


class Arrivals:
    """A node's ports for plain packets."""

    def __init__(self, tables: Tables, paths: Paths) -> None:
        self._tables = tables
        self._paths = paths

    def from_edge(self, frame: bytes, port: int, role: Params) -> Prediction:
        """Rule S3."""
        at, vlan, kind = ETHERNET, 0, u16(frame, 12)
        if kind == VLAN and len(frame) >= 18:
            at, vlan, kind = 18, u16(frame, 14) & 0xFFF, u16(frame, 16)
        if kind not in (IPV4, IPV6):
            end(Event.PASS)
        carried = inner(frame[at:], kind)
        if stays_on_link(carried) or self._tables.is_own(mapped(carried, carried.destination)):
            end(Event.PASS)
        if is_probe(carried):
            end(Event.DROP_PROBE_END)
        where = Where(role["tenant"], port, vlan, int.from_bytes(frame[6:12]))
        return self._lead(lowered(carried, role["hops"]), where, answered=True)

    def from_device(self, frame: bytes, port: int, outer: Outer) -> Prediction:
        """Rule S8."""
        opened = _out_of_tunnel(frame, outer)
        admitted = self._tables.params("device", outer.source, int(outer.tunnel), opened.key)
        if outer.from_nobody or admitted is None:
            end(Event.DROP_DEVICE_UNKNOWN)
        carried = inner(opened.packet, opened.ethertype)
        source = int.from_bytes(mapped(carried, carried.source))
        if source & admitted["mask"] != int.from_bytes(admitted["address"]):
            end(Event.DROP_DEVICE_ADDRESS)
        if stays_on_link(carried):
            end(Event.DROP_NO_ROUTE)
        if is_probe(carried):
            end(Event.DROP_PROBE_END)
        where = Where(admitted["tenant"], port, 0, opened.src_mac)
        return self._lead(marked(carried, outer.traffic_class), where, answered=False)

    def _lead(self, carried: Inner, where: Where, *, answered: bool) -> Prediction:
        packet = Travelling(carried, where.tenant, answered=answered)
        led = self._class_of(carried, where)
        if not led.spi:
            return self._paths.route(packet)
        return self._paths.enter(packet._replace(spi=led.spi, si=led.si, mtu=led.mtu))

    def _class_of(self, carried: Inner, where: Where) -> Class:
        """Rule S6."""
        flow = flow_of(carried.packet)
        pair = mapped(carried, carried.source), mapped(carried, carried.destination)
        short = self._tables.find("shortcut", where.tenant, *pair, *flow)
        if short is not None:
            return Class(**short.params)
        fields = {
            "ingress_port": where.port,
            "tenant": where.tenant,
            "vlan": where.vlan,
            "src_mac": where.src_mac,
            "src": int.from_bytes(pair[0]),
            "dst": int.from_bytes(pair[1]),
            "protocol": flow.protocol,
            "src_port": flow.source_port,
            "dst_port": flow.destination_port,
        }
        led = self._tables.classify(fields)
        if led is not None and led.name == "deny":
            end(Event.DROP_CLASSIFIER_DENIED)
        return Class(**led.params) if led is not None and led.name == "set_path" else Class()

    def from_peer(self, frame: bytes, port: int, role: Params) -> Prediction:
        """Rule S9."""
        header = labelled(frame, PeerHeader(role["header"]))
        carried = inner(frame[header.at : header.end], header.ethertype)
        if stays_on_link(carried):
            end(Event.PASS)
        src_mac = int.from_bytes(frame[6:12]) if role["by_mac"] else 0
        resumed = self._tables.find("resume", port, role["header"], header.label, src_mac)
        if resumed is None:
            end(Event.DROP_PEER_UNKNOWN)
        packet = Travelling(carried, role["tenant"])
        if resumed.name == "resume_class":
            return self._paths.follow(self._by_class(packet, resumed.params))
        return self._paths.follow(self._checked(packet, resumed.params))

    def _checked(self, packet: Travelling, says: Params) -> Travelling:
        packet = packet._replace(spi=says["spi"], si=says["si"])
        if says["check"] == PeerCheck.CONNECTION:
            return self._of_connection(packet)
        if says["check"] == PeerCheck.CLASS:
            led = self._class_of(packet.carried, Where(packet.tenant))
            if led.spi >> VERSION_BITS != packet.spi >> VERSION_BITS:
                end(Event.DROP_PEER_UNEXPECTED)
            return packet._replace(mtu=led.mtu)
        return packet

    def _of_connection(self, packet: Travelling) -> Travelling:
        entry = self._paths.connection(packet)
        if entry.name == "local":
            return packet
        made = of_connection(packet, entry)
        if entry.params["spi"] >> VERSION_BITS != packet.spi >> VERSION_BITS:
            end(Event.DROP_PEER_UNEXPECTED)
        return made

    def _by_class(self, packet: Travelling, says: Params) -> Travelling:
        led = self._class_of(packet.carried, Where(packet.tenant))
        if not led.spi:
            end(Event.DROP_PEER_UNEXPECTED)
        return packet._replace(spi=led.spi, si=says["si"], mtu=min(led.mtu, says["mtu"]))


def exactly(octets: bytes, kind: int) -> Inner:
    """The inner packet that is all that its tunnel carries (rule U11)."""
    carried = inner(octets, kind)
    if len(carried.packet) != len(octets):
        end(Event.DROP_INNER_LENGTH)
    return carried


def _out_of_tunnel(frame: bytes, outer: Outer) -> Opened:
    if outer.tunnel is Tunnel.VXLAN:
        payload = udp_payload(frame, outer)
        if len(payload) < 22 or payload[0] != 8 or u16(payload, 20) not in (IPV4, IPV6):
            end(Event.DROP_TUNNEL_HEADER)
        key, src_mac = int.from_bytes(payload[4:7]), int.from_bytes(payload[14:20])
        return Opened(payload[22:], u16(payload, 20), key, src_mac)
    if outer.tunnel is Tunnel.GRE:
        found = gre_packet(frame, outer.payload, outer.end)
        if found is None:
            end(Event.DROP_TUNNEL_HEADER)
        return Opened(frame[found.at : outer.end], found.ethertype, found.label)
    return Opened(frame[outer.payload : outer.end], IPV6 if outer.protocol == 41 else IPV4, 0)
