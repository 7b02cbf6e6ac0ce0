# SPDX-License-Identifier: Apache-2.0
"""What a node's agent does about peers that it cannot take away."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dataplane.agent import feature_peers
from dataplane.agent.config import NodeConfig
from dataplane.agent.feature_peers import FeaturePeers, remove_others
from dataplane.agent.netlink import HostTable, Link
from dataplane.peers.base import PeerError

NETLINK: Any = None
PORTS: Any = None


async def test_a_former_peer_that_does_not_go_is_no_reason_to_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried: list[str] = []

    async def busy(config: NodeConfig, _netlink: Any) -> None:
        tried.append(config.state_dir.name)
        raise PeerError("ip says: Device or resource busy")

    monkeypatch.setattr(feature_peers, "remove_others", busy)
    config = NodeConfig(state_dir=tmp_path / "node")
    await FeaturePeers(config, NETLINK, PORTS, HostTable, lambda _report: None).run()
    assert tried == ["node"]


async def test_a_file_among_the_folders_of_peers_is_none(tmp_path: Path) -> None:
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers" / "Notes of mine.txt").write_text("")
    await remove_others(NodeConfig(state_dir=tmp_path), NETLINK)
    assert (tmp_path / "peers" / "Notes of mine.txt").exists()


def test_a_peer_whose_interface_goes_is_down_and_not_forgotten(tmp_path: Path) -> None:
    port = {"name": "vnet0", "role": "peer"}
    peer = {"name": "ids1", "kind": "ids", "ports": ["vnet0"], "macs": ["02:00:00:00:00:01"]}
    config = NodeConfig(state_dir=tmp_path, ports=[port], peers=[peer])
    ports: Any = SimpleNamespace(named=lambda _name: SimpleNamespace(number=3))
    host = HostTable()
    told: list[list[Any]] = []
    peers = FeaturePeers(config, NETLINK, ports, lambda: host, told.append)
    peers.look()
    host.links[7] = Link(7, "vnet0", True, 1500, b"\2\0\0\0\0\2")
    peers.look()
    host.links.clear()
    peers.look()
    found = [[(one.name, one.ports[0].number, one.problem) for one in report] for report in told]
    assert found == [
        [("ids1", 3, "it has just been started")],
        [("ids1", 3, "interface vnet0 is not there: see to its other end")],
    ]
