# SPDX-License-Identifier: Apache-2.0
"""Whom the entries of ``route`` lead to, so that programs at XDP find them resolved."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest

from dataplane.agent.beyond import Beyond
from dataplane.agent.ports import PortState
from dataplane.bpf.hook import Hook
from dataplane.contract.rows import Tables
from moorline.addresses import mapped
from moorline.matches import Prefix
from tests.unit.fake_pipeline import FakePipeline

EDGE, GONE = 3, 4
INDEX = 11


class Ports:
    def numbered(self, number: int) -> PortState | None:
        attached = {EDGE: INDEX, GONE: 0}.get(number)
        if attached is None:
            return None
        return PortState(f"eth{number}", number, "edge", Hook.TC, 0, hops=1, attached=attached)


class Neighbours:
    """Everything is behind the gateway of its family."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def next_hop(self, destination: str, interface: int) -> tuple[int, str] | None:
        self.asked.append(destination)
        if destination.startswith("10."):
            return None
        return interface, "fe80::1" if ":" in destination else "192.0.2.254"


def own_addresses(_: PortState) -> list[Any]:
    return [ip_interface("192.0.2.1/24"), ip_interface("2001:db8:1::1/64")]


@pytest.fixture
def tables() -> Tables:
    pipeline = FakePipeline()
    return Tables(pipeline.binding, pipeline.tables)


def lead(tables: Tables, network: str, port: int = EDGE) -> None:
    found = ip_network(network)
    length = found.prefixlen + (96 if found.version == 4 else 0)
    prefix = Prefix(mapped(found.network_address.packed), length)
    tables.write("route", {"tenant": 0, "destination": prefix}, "route_port", {"port": port, "vlan": 0})


def beyond(tables: Tables, neighbours: Neighbours) -> Beyond:
    some: Any = Ports(), neighbours
    return Beyond(tables, *some, own_addresses)


async def test_hosts_on_the_link_and_gateways(tables: Tables) -> None:
    for network in (
        "192.0.2.7/32",
        "192.0.2.0/25",
        "0.0.0.0/0",
        "203.0.113.0/24",
        "2001:db8:1::7/128",
        "::/0",
    ):
        lead(tables, network)
    lead(tables, "10.0.0.0/8")
    lead(tables, "198.18.0.0/15", GONE)
    neighbours = Neighbours()
    hops = {(INDEX, at) for at in ("192.0.2.7", "192.0.2.254", "2001:db8:1::7", "fe80::1")}
    assert set(await beyond(tables, neighbours).next_hops()) == hops
    asked = set(map(ip_address, neighbours.asked))
    assert ip_address("203.0.113.1") in asked
    assert not any(address in ip_network("0.0.0.0/8") for address in asked if address.version == 4)


def test_the_ends_of_tunnels(tables: Tables) -> None:
    match = {"tenant": 0, "destination": Prefix(mapped(bytes([10, 0, 0, 1])), 128)}
    remote = mapped(bytes([192, 0, 2, 9]))
    tables.write("route", match, "route_tunnel", {"port": 2, "tunnel": 2, "remote": remote, "key": 5})
    lead(tables, "0.0.0.0/0")
    assert beyond(tables, Neighbours()).tunnel_ends() == [remote]
