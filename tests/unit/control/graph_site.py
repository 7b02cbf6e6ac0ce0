# SPDX-License-Identifier: Apache-2.0
"""A site with feature peers, and packets that walk its path tables as the rules S say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from control.graphs.maglev import bucket_of
from control.graphs.model import read_graph
from moorline.addresses import mapped
from moorline.api.v1 import moorline_pb2 as pb
from moorline.api.v1 import peers_pb2 as peers_pb
from moorline.wire import FIRST_SI, PeerCheck, PeerHeader
from tests.unit.control.fake_node import FakeDataPlane, FakeNode
from tests.unit.control.site import Site

TCP = 6
EDGE_PORT = 9


def peer(
    name: str,
    kind: str,
    *ports: int,
    header: PeerHeader = PeerHeader.VLAN,
    up: bool = True,
    **facts: Any,
) -> peers_pb.FeaturePeer:
    """An instance at one or two ports of a node."""
    return peers_pb.FeaturePeer(
        name=name,
        kind=kind,
        ports=[
            peers_pb.FeaturePeerPort(
                number=number, mac=bytes([2, 0, 0, 0, 1, number]), port_mac=bytes([2, 0, 0, 0, 0, number])
            )
            for number in ports or (20,)
        ],
        header=int(header),
        up=up,
        **facts,
    )


def edge(*prefixes: str) -> pb.Port:
    """An edge port."""
    return pb.Port(
        number=EDGE_PORT, interface="edge0", role="edge", hook="xdp", up=True, mtu=1500, prefixes=prefixes
    )


class GraphSite(Site):
    """Nodes with feature peers; graphs are applied in the controller itself."""

    async def add_graph_node(
        self, name: str, *peers: peers_pb.FeaturePeer, ports: tuple[pb.Port, ...] = (), mtu: int = 1600
    ) -> FakeNode:
        node = await self.add_node(name, attach=False)
        node.mtu = mtu
        node.feature_peers, node.ports = list(peers), list(ports)
        await node.attach(self.target)
        await self.converged(name)
        return node

    async def report_peers(self, node: FakeNode, *peers: peers_pb.FeaturePeer) -> None:
        node.feature_peers = list(peers)
        await node.send(pb.NodeReport(feature_peers=pb.FeaturePeersChanged(feature_peers=peers)))

    async def apply(self, text: str) -> None:
        await self.controller.graphs.apply(read_graph(text, "test.yaml"))

    def walk(self, start: str, packet: Packet) -> list[str]:
        """The feature peers that a packet visits, in order; raises :class:`LostError`."""
        return [*Walk(self, packet).from_edge(start)]


class LostError(Exception):
    """A packet was dropped, for this reason."""


@dataclass(frozen=True)
class Packet:
    """What of a packet counts."""

    source: str
    destination: str
    protocol: int = TCP
    source_port: int = 40000
    destination_port: int = 80

    @property
    def back(self) -> Packet:
        return Packet(self.destination, self.source, self.protocol, self.destination_port, self.source_port)


class Walk:
    """One packet on its way; the tables are read as they are at each step."""

    def __init__(self, site: GraphSite, packet: Packet) -> None:
        self.site = site
        self.packet = packet
        self.ids = {one.id: one.name for one in site.controller.state.nodes.values()}
        self.ended = ""

    def plane(self, node: str) -> FakeDataPlane:
        return self.site.nodes[node].plane

    def from_edge(self, node: str) -> Iterator[str]:
        spi, si = self.classify(node)
        if not spi:
            return
        yield from self.step(node, spi, si)

    def from_end(self, node: str, spi: int) -> Iterator[str]:
        """Of a service connection."""
        yield from self.step(node, spi, FIRST_SI)

    def classify(self, node: str) -> tuple[int, int]:
        """Rule S6."""
        plane = self.plane(node)
        fields = {1: 0, 2: 0, 3: 0, 4: 0, 5: number(self.packet.source), 6: number(self.packet.destination)}
        fields |= {7: self.packet.protocol, 8: self.packet.source_port, 9: self.packet.destination_port}
        key = tuple(fields[at].to_bytes(16, "big").lstrip(b"\0") or b"\0" for at in (2, 5, 6, 7, 8, 9))
        jump = plane.tables["shortcut"].get(key)
        if jump is not None:
            return values(plane, jump)["spi"], values(plane, jump)["si"]
        best, found = 0, (0, 0)
        for entry in plane.tables["classifier"].values():
            fits = all(
                fields[one.field_id] & int.from_bytes(one.ternary.mask) == int.from_bytes(one.ternary.value)
                for one in entry.match
            )
            if fits and entry.priority > best:
                best, found = entry.priority, (values(plane, entry)["spi"], values(plane, entry)["si"])
        return found

    def step(self, node: str, spi: int, si: int) -> Iterator[str]:
        """Rule S5, then what follows."""
        for _ in range(64):
            action, params = self.next_hop(node, spi, si)
            if action == "end":
                self.ended = node
                return
            if action == "to_node":
                node = self.ids[params["node"]]
                continue
            if action != "to_peer":
                raise LostError(action)
            instance = self.instance(node, params)
            yield instance
            spi, si = self.resume(node, instance, params, spi)
        raise LostError("for ever")

    def next_hop(self, node: str, spi: int, si: int) -> tuple[str, dict[str, int]]:
        action, params = self.look_up(node, spi, si, 0)
        if action == "to_group":
            action, params = self.look_up(node, spi, si, self.choose(node, **params))
        return action, params

    def look_up(self, node: str, spi: int, si: int, instance: int) -> tuple[str, dict[str, int]]:
        entry = self.plane(node).entry("path_hop", spi, si, instance)
        if entry is None:
            raise LostError(f"drop_service_path at {node}: {spi:x} {si} {instance}")
        return action_of(self.plane(node), entry), values(self.plane(node), entry)

    def choose(self, node: str, group: int, by_destination: int) -> int:
        customer = mapped(self.packet.destination if by_destination else self.packet.source)
        plane = self.plane(node)
        entry = plane.entry("affinity", group, customer)
        entry = entry or plane.entry("member", group << 8 | bucket_of(customer))
        if entry is None:
            raise LostError(f"drop_peer_down at {node}")
        return values(plane, entry)["instance"]

    def instance(self, node: str, params: dict[str, int]) -> str:
        for one in self.site.nodes[node].feature_peers:
            for port in one.ports:
                if port.number == params["port"] and int.from_bytes(port.mac) == params["dst_mac"]:
                    assert params["header"] == one.header
                    return one.name
        raise LostError(f"no peer of {node} at port {params['port']}")

    def resume(self, node: str, instance: str, params: dict[str, int], spi: int) -> tuple[int, int]:
        """Rule S9: the packet as it came, from the other port if there is one."""
        one = next(one for one in self.site.nodes[node].feature_peers if one.name == instance)
        (port,) = [p for p in one.ports if p.number != params["port"]] if len(one.ports) > 1 else one.ports
        mac = int.from_bytes(port.mac) if one.by_mac else 0
        plane = self.plane(node)
        entry = plane.entry("resume", port.number, params["header"], params["label"], mac)
        if entry is None:
            raise LostError(f"drop_peer_unknown at {node}")
        way = values(plane, entry)
        if action_of(plane, entry) == "resume_class":
            found, _ = self.classify(node)
            if not found:
                raise LostError(f"drop_peer_unexpected at {node}")
            return found, way["si"]
        if way["check"] == PeerCheck.CLASS and self.classify(node)[0] >> 8 != way["spi"] >> 8:
            raise LostError(f"drop_peer_unexpected at {node}")
        if way["check"] == PeerCheck.CONNECTION:
            row = plane.entry("connection", 0, mapped(self.packet.source), mapped(self.packet.destination))
            if row is None or values(plane, row).get("spi", 0) >> 8 != way["spi"] >> 8:
                raise LostError(f"drop_peer_unexpected at {node}")
        return way["spi"], way["si"]


def number(address: str) -> int:
    return int.from_bytes(mapped(ip_address(address)))


def action_of(plane: FakeDataPlane, entry: Any) -> str:
    return next(name for name, at in plane.actions.items() if at == entry.action.action.action_id)


def values(plane: FakeDataPlane, entry: Any) -> dict[str, int]:
    return {name: int.from_bytes(value) for name, value in plane.params(entry).items()}
