# SPDX-License-Identifier: Apache-2.0
"""Accounts of connections, from the data planes' counters."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.usage import Flow, Meter, Usage
from moorline.addresses import mapped
from moorline.api.v1 import moorline_pb2 as pb
from tests.unit.control.fake_node import FakeNode, canonical
from tests.unit.control.site import Site


def count(node: FakeNode, source: bytes, destination: bytes, packets: int, octets: int) -> None:
    """Make a data plane say that it has sent so much, in all."""
    key = tuple(canonical(part) for part in (0, mapped(source), mapped(destination)))
    assert key in node.plane.tables["connection"]
    node.plane.counters["connection", key] = packets, octets


def used(connection: pb.Connection) -> tuple[int, int, int, int]:
    up, down = connection.client_to_server, connection.server_to_client
    return up.packets, up.bytes, down.packets, down.bytes


async def test_both_directions_and_families_are_counted(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        a = await site.lookup("laptop.demo", "files.demo")
        assert used(await site.connection(a.scid)) == (0, 0, 0, 0)
        count(one, a.client_ipv4, a.server_ipv4, 10, 1000)
        count(one, a.client_ipv6, a.server_ipv6, 1, 100)
        count(two, a.server_ipv4, a.client_ipv4, 20, 30_000)
        assert used(await site.connection(a.scid)) == (11, 1100, 20, 30_000)
        assert used(await site.connection(a.scid)) == (11, 1100, 20, 30_000)
        (listed,) = (await site.connections.ListConnections(pb.ListConnectionsRequest())).connections
        assert used(listed) == (11, 1100, 20, 30_000)


async def test_accounts_go_on_over_down_and_up(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        a = await site.lookup("laptop.demo", "files.demo")
        count(one, a.client_ipv4, a.server_ipv4, 10, 1000)
        assert used(await site.suspend(a.scid))[:2] == (10, 1000)  # a last reading, then the entries go
        await site.lookup("laptop.demo", "files.demo")
        count(one, a.client_ipv4, a.server_ipv4, 12, 1200)  # more than before, all of it new
        assert used(await site.connection(a.scid))[:2] == (22, 2200)


@pytest.mark.parametrize("in_good_order", [True, False])
async def test_accounts_go_on_over_a_restart(in_good_order: bool, tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        a = await site.lookup("laptop.demo", "files.demo")
        count(one, a.client_ipv4, a.server_ipv4, 10, 1000)
        await site.connection(a.scid)
        if not in_good_order:  # killed: what was stored is all there is
            await site.controller.accounting.save()
        await site.stop()
        count(one, a.client_ipv4, a.server_ipv4, 15, 1500)
        await site.start()
        await site.converged("one", "two")
        assert used(await site.connection(a.scid))[:2] == (15, 1500)


async def test_a_closed_connection_tells_its_last_account(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        a = await site.lookup("laptop.demo", "files.demo")
        events = site.connections.WatchConnections(pb.WatchConnectionsRequest())
        await events.read()
        count(one, a.client_ipv4, a.server_ipv4, 10, 1000)
        await site.connections.CloseConnection(pb.CloseConnectionRequest(scid=a.scid))
        event = await events.read()
        assert event.kind == pb.ConnectionEvent.KIND_REMOVED
        assert used(event.connection)[:2] == (10, 1000)
        assert (await site.controller.store.scan("usage/")).entries == ()
        events.cancel()


async def test_a_node_that_is_away_keeps_its_last_account(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        a = await site.lookup("laptop.demo", "files.demo")
        count(one, a.client_ipv4, a.server_ipv4, 10, 1000)
        count(two, a.server_ipv4, a.client_ipv4, 20, 2000)
        await site.connection(a.scid)
        await one.stop()
        count(two, a.server_ipv4, a.client_ipv4, 30, 3000)
        assert used(await site.connection(a.scid)) == (10, 1000, 30, 3000)


async def test_nodes_see_the_connections_of_their_own_only(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        third = await site.add_node("three")
        await site.lookup("laptop.demo", "files.demo")
        for node, seen in ((one, 1), (third, 0)):
            stub = node.stubs.ConnectionsStub(node.channel)
            listed = await stub.ListConnections(pb.ListConnectionsRequest())
            assert len(listed.connections) == seen


# ---- meters ------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from([4, 6]), st.integers(0, 100), st.booleans()), max_size=30))
def test_a_meter_counts_all_that_was_sent_over_restarts_of_its_counters(
    steps: list[tuple[int, int, bool]],
) -> None:
    meter, counters, sent = Meter(), {4: 0, 6: 0}, 0
    for family, packets, restart in steps:
        if restart:
            meter.restart()
            counters = {4: 0, 6: 0}
        counters[family] += packets
        sent += packets
        meter.read(family, counters[family], counters[family] * 100)
    assert (meter.flow.packets, meter.flow.octets) == (sent, sent * 100)


def test_a_bit_rate_is_over_the_time_between_two_measurements() -> None:
    meter = Meter()
    meter.read(4, 1, 1000)
    meter.measure(100.0)
    assert meter.flow.bits_per_second == 0  # since when, nobody knows
    meter.read(4, 11, 2000)
    meter.measure(100.01)  # too soon to say
    meter.read(4, 21, 3000)
    meter.measure(102.0)
    assert meter.flow.bits_per_second == 8000
    meter.measure(104.0)
    assert meter.flow.bits_per_second == 0


def test_an_account_is_read_back_as_it_was_stored() -> None:
    usage = Usage(Meter(Flow(5, 500), {4: (5, 500)}), Meter(Flow(7, 700), {6: (6, 600), 4: (1, 100)}))
    assert Usage.decode(usage.encode()) == usage
