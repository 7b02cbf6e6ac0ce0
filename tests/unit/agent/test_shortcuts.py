# SPDX-License-Identifier: Apache-2.0
"""Short-cuts that peers ask for: once for each flow in its idle time, and only while there is a session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest

from dataplane.agent.shortcuts import Shortcuts
from dataplane.peers.config import PeerConfig
from dataplane.peers.flows import Flow, Traffic
from moorline.api.v1 import graphs_pb2 as api
from moorline.api.v1 import graphs_pb2_grpc as rpc

FLOW = Flow(ip_address("10.1.0.2"), ip_address("203.0.113.80"), 6, 4000, 80)


def peer(run: str, **settings: Any) -> PeerConfig:
    shortcut = {"graph": "web", "idle_seconds": 60}
    return PeerConfig.model_validate(
        {"name": "p1", "kind": "k1", "run": run, "shortcut": shortcut, **settings}
    )


class Graphs(rpc.GraphsServicer):
    def __init__(self) -> None:
        self.asked: asyncio.Queue[Any] = asyncio.Queue()
        self.refuses = False
        self.events: asyncio.Queue[Any] = asyncio.Queue()

    async def RequestShortcut(self, request: Any, context: Any) -> Any:
        self.asked.put_nowait(request)
        if self.refuses:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no graph web")
        return api.Shortcut()

    async def WatchShortcuts(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        assert request.own
        while True:
            yield await self.events.get()


async def unheard(*_: Any) -> None:
    raise AssertionError


@pytest.fixture
async def graphs(tmp_path: Path) -> AsyncIterator[tuple[Graphs, Any]]:
    servicer = Graphs()
    server = grpc.aio.server()
    rpc.add_GraphsServicer_to_server(servicer, server)
    server.add_insecure_port(f"unix:{tmp_path}/s")
    await server.start()
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/s") as channel:
        yield servicer, channel
    await server.stop(None)


async def test_each_flow_is_asked_for_once(graphs: tuple[Graphs, Any]) -> None:
    servicer, channel = graphs
    shortcuts = Shortcuts([peer("cache")], unheard)
    shortcuts.ask(peer("cache"), FLOW)  # without a session
    shortcuts.use(channel)
    for flow in (FLOW, FLOW, FLOW._replace(source_port=4001)):
        shortcuts.ask(peer("cache"), flow)
    async with asyncio.timeout(5):
        asked = [await servicer.asked.get(), await servicer.asked.get()]
    assert sorted(request.flow.source_port for request in asked) == [4000, 4001]
    assert {(request.graph, request.until, request.idle_seconds) for request in asked} == {("web", "k1", 60)}
    assert (asked[0].flow.source, asked[0].peer) == (FLOW.source.packed, "p1")
    shortcuts.ask(peer("statistics", name="p2"), FLOW)
    async with asyncio.timeout(5):
        assert (await servicer.asked.get()).until == ""
    assert servicer.asked.empty()


async def test_a_refusal_is_no_ones_end(graphs: tuple[Graphs, Any]) -> None:
    servicer, channel = graphs
    servicer.refuses = True
    shortcuts = Shortcuts([peer("cache")], unheard)
    shortcuts.use(channel)
    for number in range(3):
        shortcuts.ask(peer("cache"), FLOW._replace(source_port=number))
        async with asyncio.timeout(5):
            await servicer.asked.get()


async def test_what_a_flow_has_carried_is_handed_over_at_its_end(graphs: tuple[Graphs, Any]) -> None:
    servicer, channel = graphs
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def hear(*ended: Any) -> None:
        heard.put_nowait(ended)

    shortcuts = Shortcuts([peer("statistics")], hear)
    shortcuts.use(channel)
    ends = {"source": FLOW.source.packed, "destination": FLOW.destination.packed, "protocol": 6}
    flow = api.Flow(**ends, source_port=4000, destination_port=80)
    carried = {"packets": 5, "bytes": 500, "packets_back": 7, "bytes_back": 700}
    for kind, peer_name in ((1, "st1"), (2, ""), (2, "st1")):
        shortcut = api.Shortcut(flow=flow, peer=peer_name, **carried)
        servicer.events.put_nowait(api.ShortcutEvent(kind=kind, shortcut=shortcut))
    async with asyncio.timeout(5):
        assert await heard.get() == ("st1", FLOW, Traffic(5, 500), Traffic(7, 700))
    assert heard.empty()
    shortcuts.use(None)
