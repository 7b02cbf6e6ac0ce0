# SPDX-License-Identifier: Apache-2.0
"""What becomes of a packet on a service path, and at its end.

Rules S2, S4, S5, S7 and S10 to S12 of docs/wire-format.md.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from moorline.wire import OAM_PORT, Event, Tunnel
from tools.vectors.entropy import bucket, flow_hash, flow_of

from .departure import Departing, ethertype, outer_headers, over_ipv6
from .labels import header_of, macs
from .rules import UDP, Inner, Prediction, end
from .tables import Action, Params, Tables
from .ways import MACS, Way, Ways, lowered, mapped

OUTER_TTL: Final = 64
UNLIMITED: Final = 0xFFFF
VXLAN_ETHERNET: Final = bytes.fromhex("026d6cffffff026d6c000000")


class Travelling(NamedTuple):
    """A packet that goes on, and what this node knows of it."""

    carried: Inner
    tenant: int
    spi: int = 0
    si: int = 0
    scid: int = 0
    node: int | None = None
    """The other end of its connection, where that is known already."""
    ttl: int = OUTER_TTL
    mtu: int = UNLIMITED
    """What its path carries."""
    answered: bool = False
    """Whether its sender is told when it is too big."""
    hops: int = 0
    """By how much its TTL is lowered, still."""
    from_access: bool = False


def is_probe(carried: Inner) -> bool:
    """Whether it traces a path."""
    flow = flow_of(carried.packet)
    return flow.protocol == UDP and flow.destination_port == OAM_PORT


class Paths:
    """The paths of a node with these tables."""

    def __init__(self, tables: Tables, ways: Ways, *, has_peers: bool) -> None:
        """``has_peers``: whether there may be feature peers at the node."""
        self._tables = tables
        self._ways = ways
        self._has_peers = has_peers

    def enter(self, packet: Travelling) -> Prediction:
        """Rule S4."""
        if packet.from_access and is_probe(packet.carried):
            end(Event.DROP_PROBE_END)
        self._must_fit(packet, packet.mtu)
        return self.follow(packet)

    def follow(self, packet: Travelling) -> Prediction:
        """Rule S5: to a peer, to a node, or the path's end."""
        hop = self._hop(packet, 0)
        if hop.name == "to_group":
            hop = self._hop(packet, self._instance(packet.carried, hop.params))
            if hop.name == "to_group":
                end(Event.DROP_SERVICE_PATH)
        if hop.name == "closed":
            end(Event.DROP_PEER_DOWN)
        if hop.name == "to_peer":
            return self._to_peer(packet, hop.params)
        if hop.name == "to_node":
            return self.put_on(packet, hop.params["node"])
        return self._end(packet)

    def _hop(self, packet: Travelling, instance: int) -> Action:
        hop = self._tables.find("path_hop", packet.spi, packet.si, instance)
        if hop is None:
            end(Event.DROP_SERVICE_PATH)
        return hop

    def _instance(self, carried: Inner, group: Params) -> int:
        customer = mapped(carried, carried.destination if group["by_destination"] else carried.source)
        pinned = self._tables.params("affinity", group["group"], customer)
        chosen = pinned or self._tables.params("member", group["group"] << 8 | bucket(customer))
        if chosen is None:
            end(Event.DROP_PEER_DOWN)
        return int(chosen["instance"])

    def _to_peer(self, packet: Travelling, hop: Params) -> Prediction:
        """Rule S7."""
        if not self._has_peers:
            end(Event.DROP_SERVICE_PATH)
        if hop["port"] not in MACS:
            end(Event.DROP_NO_ROUTE)
        carried = lowered(packet.carried, packet.hops)
        return Prediction(Event.TX, hop["port"], macs(hop) + header_of(carried, hop) + carried.packet)

    def _end(self, packet: Travelling) -> Prediction:
        """The end of rule S5, and S10."""
        if is_probe(packet.carried):
            end(Event.DROP_PROBE_END)
        if not packet.scid:
            return self._route_at_end(packet)
        if packet.node is None:
            entry = self.connection(packet)
            if entry.name == "local" and entry.params["port"]:
                return self._ways.by_access(packet.carried, entry.params["port"])
            packet = of_connection(packet, entry)
        assert packet.node is not None
        return self.put_on(packet._replace(spi=0, si=0), packet.node)

    def _route_at_end(self, packet: Travelling) -> Prediction:
        if not self._has_peers:
            end(Event.DROP_SERVICE_PATH)
        return self.route(packet)

    def connection(self, packet: Travelling) -> Action:
        """The entry of the packet's connection."""
        carried = packet.carried
        pair = mapped(carried, carried.source), mapped(carried, carried.destination)
        entry = self._tables.find("connection", packet.tenant, *pair)
        if entry is None:
            end(Event.DROP_PEER_UNEXPECTED)
        return entry

    def put_on(self, packet: Travelling, node: int) -> Prediction:
        """Rule S2, and A4 to A7."""
        carried, flow = packet.carried, flow_hash(packet.carried.packet)
        way = self._ways.to_node(node, flow)
        self._must_fit(packet, min(way.room, packet.mtu))
        departing = Departing(
            lowered(carried, packet.hops).packet,
            carried.ipv6,
            packet.tenant,
            packet.scid,
            packet.spi.to_bytes(3, "big") + packet.si.to_bytes(1, "big"),
            carried.traffic_class,
            packet.ttl,
            flow,
        )
        return self._ways.depart(departing, way)

    @staticmethod
    def _must_fit(packet: Travelling, room: int) -> None:
        if len(packet.carried.packet) <= max(0, room):
            return
        if packet.answered:
            end(Event.PUNT_TOO_BIG, max(0, room))
        end(Event.DROP_OUTER_TOO_BIG)

    def route(self, packet: Travelling) -> Prediction:
        """Rule S11."""
        found = self._tables.route(packet.tenant, mapped(packet.carried, packet.carried.destination))
        if found is None:
            end(Event.DROP_NO_ROUTE)
        says = found.params
        if found.name != "route_tunnel":
            packet = packet._replace(carried=lowered(packet.carried, packet.hops), hops=0)
        if found.name == "route_port":
            return self._ways.by_edge(packet.carried, says["port"], says["vlan"])
        if found.name == "route_node":
            if not packet.spi:
                end(Event.DROP_NO_ROUTE)
            return self.put_on(packet, says["node"])
        return self._into_tunnel(packet, says)

    def _into_tunnel(self, packet: Travelling, says: Params) -> Prediction:
        """Rule S12."""
        carried, remote = packet.carried, says["remote"]
        header, protocol = _user_header(carried, Tunnel(says["tunnel"]), says["key"])
        udp = bytes(8) if protocol == UDP else b""
        way = Way(says["port"], self._ways.uplink(says["port"]), remote)
        overhead = len(udp + header) + (40 if over_ipv6(remote) else 20)
        self._must_fit(packet, way.uplink["mtu"] - overhead)
        flow = flow_hash(carried.packet)
        left = lowered(carried, packet.hops)
        outer = outer_headers(
            header + left.packet, protocol, carried.traffic_class, OUTER_TTL, flow, way.uplink, remote
        )
        return self._ways.by_uplink(outer, way)


def of_connection(packet: Travelling, entry: Action) -> Travelling:
    """The packet with what the entry of its connection says."""
    if entry.name != "encapsulate":
        end(Event.DROP_PEER_UNEXPECTED)
    says = entry.params
    return packet._replace(scid=says["scid"], node=says["node"], mtu=min(packet.mtu, says["mtu"]))


def _user_header(carried: Inner, tunnel: Tunnel, key: int) -> tuple[bytes, int]:
    """What stands before the packet in a user device's tunnel, and the protocol of the outer header."""
    kind = ethertype(carried.ipv6)
    if tunnel is Tunnel.VXLAN:
        return b"\x08\0\0\0" + key.to_bytes(3, "big") + b"\0" + VXLAN_ETHERNET + kind, UDP
    if tunnel is Tunnel.GRE:
        return (b"\x20\0" + kind + key.to_bytes(4, "big") if key else b"\0\0" + kind), 47
    return b"", 41 if carried.ipv6 else 4
