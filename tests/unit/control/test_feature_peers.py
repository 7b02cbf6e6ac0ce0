# SPDX-License-Identifier: Apache-2.0
"""Feature peers: reported, stored, drained, given up when their node is lost."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest

from control import peers
from control.peers import PeerInstance, PeerState
from control.records import FeaturePeer, Node, Port
from moorline.addresses import mapped
from moorline.api.v1 import moorline_pb2 as pb
from moorline.api.v1 import peers_pb2
from moorline.api.v1.peers_pb2_grpc import FeaturePeersStub
from moorline.wire import PeerHeader
from tests.unit.control.fake_node import FakeNode
from tests.unit.control.refusal import refused
from tests.unit.control.site import Site
from tests.unit.control.switch_site import UNDERLAY, SwitchSite, shown

MAC, OURS = b"\2\0\0\0\0\4", b"\2\0\0\0\0\3"


def firewall(name: str = "fw1", **fields: Any) -> peers_pb2.FeaturePeer:
    ports = [
        peers_pb2.FeaturePeerPort(number=number, mac=MAC, port_mac=OURS, interface=f"p{number}")
        for number in (4, 5)
    ]
    return peers_pb2.FeaturePeer(**{"name": name, "kind": "firewall", "ports": ports, "up": True} | fields)


async def with_peers(site: Site, name: str, *reported: peers_pb2.FeaturePeer) -> FakeNode:
    node = await site.add_node(name, attach=False)
    node.feature_peers = [*reported]
    await node.attach(site.target)
    return node


def states(site: Site) -> dict[str, PeerState]:
    return {peer.name: peer.state for peer in site.controller.peers.all()}


def changed(*reported: peers_pb2.FeaturePeer) -> pb.NodeReport:
    return pb.NodeReport(feature_peers=pb.FeaturePeersChanged(feature_peers=reported))


async def test_what_a_node_reports_is_known_and_its_changes_are_told(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        told: list[Sequence[PeerInstance]] = []
        known = site.controller.peers
        known.changed.append(lambda: told.append(known.all()))
        nat = firewall(
            "nat1", kind="nat", addresses=[ip_address("192.0.2.7").packed], rewrites=True, tenant=7
        )
        node = await with_peers(site, "one", firewall(), nat)
        assert [(peer.name, peer.kind) for peer in known.all()] == [("fw1", "firewall"), ("nat1", "nat")]
        found = known.named("nat1")
        assert (found.node, found.ports, found.macs, found.port_macs) == (
            "one",
            (4, 5),
            (MAC, MAC),
            (OURS, OURS),
        )
        assert (found.addresses, found.rewrites, found.tenant) == ((ip_address("192.0.2.7"),), True, 7)
        assert len(told) == 1
        await node.send(changed(firewall(up=False, problem="its program has ended"), nat))
        await site.until(lambda: states(site) == {"fw1": PeerState.DOWN, "nat1": PeerState.UP})
        assert known.named("fw1").problem == "its program has ended"
        await node.send(changed(nat))
        await site.until(lambda: len(known.all()) == 1)
        assert len(told) == 3


async def test_peers_and_draining_are_known_after_a_restart(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await with_peers(site, "one", firewall())
        stub: Any = FeaturePeersStub(site.channel)
        for drain, state in (
            (True, peers_pb2.FEATURE_PEER_STATE_DRAINING),
            (False, peers_pb2.FEATURE_PEER_STATE_UP),
        ):
            answer = await stub.DrainFeaturePeer(peers_pb2.DrainFeaturePeerRequest(name="fw1", drain=drain))
            assert (answer.state, answer.drained) == (state, drain)
        await stub.DrainFeaturePeer(peers_pb2.DrainFeaturePeerRequest(name="fw1", drain=True))
        before = site.controller.peers.all()
        await site.stop()
        await site.start()
        assert site.controller.peers.all() == before
        assert before[0].state is PeerState.DRAINING
        with refused(grpc.StatusCode.NOT_FOUND, "node 'nowhere' is not known"):
            await FeaturePeersStub(site.channel).ListFeaturePeers(
                peers_pb2.ListFeaturePeersRequest(node="nowhere")
            )
        with refused(grpc.StatusCode.NOT_FOUND, "there is no feature peer 'fw9'"):
            await FeaturePeersStub(site.channel).GetFeaturePeer(peers_pb2.GetFeaturePeerRequest(name="fw9"))


async def test_a_lost_node_is_given_up_only_when_others_can_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "AWAY_SECONDS", 0.01)
    async with Site(tmp_path) as site:
        one = await with_peers(site, "one", firewall("fw1"), firewall("cache1", kind="cache"))
        two = await with_peers(site, "two", firewall("fw2"))
        await one.detach()
        await site.until(lambda: states(site)["fw1"] is PeerState.DOWN)
        assert states(site) == {"cache1": PeerState.UP, "fw1": PeerState.DOWN, "fw2": PeerState.UP}
        await two.detach()  # nobody can stand in for anybody: all go on as they are
        await site.until(lambda: states(site)["fw1"] is PeerState.UP)
        await one.attach(site.target)
        await site.until(lambda: states(site)["fw2"] is PeerState.DOWN)


async def test_a_name_that_another_node_has_already(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await with_peers(site, "one", firewall())
        await with_peers(site, "two", firewall())
        assert [peer.node for peer in site.controller.peers.all()] == ["one"]


@pytest.mark.parametrize(
    "wrong",
    [
        firewall("Fire Wall"),
        firewall(kind=""),
        firewall(ports=[]),
        firewall(addresses=[b"xx"]),
        firewall(ports=[peers_pb2.FeaturePeerPort(number=4, mac=b"x", port_mac=OURS)]),
        firewall(ports=[peers_pb2.FeaturePeerPort(number=512, mac=MAC, port_mac=OURS)]),
        firewall(header=9),
    ],
)
async def test_what_is_no_peer_is_refused(tmp_path: Path, wrong: peers_pb2.FeaturePeer) -> None:
    async with Site(tmp_path) as site:
        node = await site.add_node("one")
        await node.send(changed(wrong))
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "node one reports a feature peer that is none"):
            await node.ended()
        assert site.controller.peers.all() == ()


def test_a_record_comes_back_as_it_was_stored() -> None:
    gre = FeaturePeer(
        *("g1", "gre-peer", 3, (4,), (MAC,), (OURS,), PeerHeader.GRE),
        local=ip_address("192.0.2.1"),
        remote=ip_address("192.0.2.2"),
        problem="x",
    )
    nat = FeaturePeer("n1", "nat", 3, (4, 5), (MAC, MAC), (OURS, OURS), addresses=(ip_address("::1"),))
    edge = Port(4, "e", "edge", "xdp", True, 1500, ("192.0.2.1/24",), ("0.0.0.0/0",), 9)
    node = Node("one", 1, ports=(edge,), feature_peers=(gre, nat))
    back = Node.decode(node.key, node.encode())
    assert (back.feature_peers, back.ports) == (node.feature_peers, node.ports)


EDGE = pb.SwitchPort(
    number=3,
    role="edge",
    addresses=["192.0.2.1/24"],
    gateways=["192.0.2.254"],
    prefixes=["0.0.0.0/0"],
    tenant=9,
)
PEER_PORT = pb.SwitchPort(number=4, role="peer", tenant=9)
PEER = pb.SwitchPeer(
    name="fw1", kind="firewall", ports=[4], macs=["02:00:00:00:00:04"], header="vlan", by_mac=True
)


async def test_a_switch_with_an_edge_port_and_a_peer(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await site.start_switch(tmp_path)
        underlay = pb.SwitchPort()
        underlay.CopyFrom(UNDERLAY)
        underlay.tunnels[:] = ["gre"]
        added = await site.add_switch(underlay, EDGE, PEER_PORT, peers=[PEER])
        assert added.switch.peers[0].macs == ["02:00:00:00:00:04"]
        assert (added.ports[1].prefixes, added.ports[1].tenant) == (["0.0.0.0/0"], 9)
        await site.programmed()
        assert shown(plane, "port_role") == {
            (1,): {},
            (3,): {"tenant": 9, "hops": 1},
            (4,): {"tenant": 9, "header": 1, "by_mac": 1},
        }
        actions = {
            int.from_bytes(key[0]): entry.action.action.action_id
            for key, entry in plane.tables["port_role"].items()
        }
        assert actions == {1: plane.actions["underlay"], 3: plane.actions["edge"], 4: plane.actions["peer"]}
        own, edge = (int.from_bytes(mapped(bytes(at))) for at in ([10, 0, 1, 2], [192, 0, 2, 1]))
        opened = set(shown(plane, "terminate"))
        assert {(own, 1), (own, 3), (edge, 0)} <= opened
        assert (edge, 1) not in opened
        (peer,) = site.controller.peers.all()
        assert (peer.name, peer.node, peer.tenant, peer.header) == ("fw1", "sw", 9, PeerHeader.VLAN)
        assert (peer.by_mac, peer.port_macs) == (True, (bytes.fromhex("026d6c000004"),))
