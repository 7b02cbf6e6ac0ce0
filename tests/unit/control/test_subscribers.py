# SPDX-License-Identifier: Apache-2.0
"""The directory of customers: files, and what follows at data planes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.errors import InvalidRequestError
from control.subscribers.model import CustomerSpec, read_customers, require_apart
from moorline.addresses import mapped
from moorline.api.v1 import moorline_pb2 as pb
from moorline.api.v1 import subscribers_pb2 as api
from moorline.api.v1 import subscribers_pb2_grpc as rpc
from moorline.errors import MoorlineError
from moorline.wire import Tunnel
from tests.unit.control.graph_site import EDGE_PORT, GraphSite, Packet, action_of, edge, peer

UNDERLAY_PORT = 2
ALICE = """
customers:
  - name: alice
    profiles: [family]
    devices:
      - name: laptop
        addresses: [10.20.0.7]
        node: one
        tunnel: {kind: vxlan, remote: 192.0.2.7, key: 42}
      - name: tv
        addresses: [10.30.0.9, 2001:db8:30::/64]
        node: three
        port: edge0
  - name: bob
    devices:
      - name: phone
        addresses: [10.20.0.8]
        node: one
        tunnel: {kind: gre, remote: 192.0.2.8}
"""
FAMILY = """
name: family
applies:
  - profiles: [family]
    servers: [203.0.113.0/24]
forward: [filter]
"""


def underlay(*tunnels: str) -> pb.Port:
    return pb.Port(
        number=UNDERLAY_PORT,
        interface="eth0",
        role="underlay",
        hook="xdp",
        up=True,
        mtu=1500,
        tunnels=tunnels,
    )


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[GraphSite]:
    async with GraphSite(tmp_path, grace_seconds=0.05) as site:
        yield site


def stub(site: GraphSite) -> Any:
    return rpc.SubscribersStub(site.channel)


async def apply(site: GraphSite, text: str) -> api.ApplyCustomersResponse:
    answer: api.ApplyCustomersResponse = await stub(site).ApplyCustomers(
        api.ApplyCustomersRequest(text=text, source="customers.yaml")
    )
    return answer


async def nodes(site: GraphSite) -> None:
    await site.add_graph_node("one", ports=(underlay("vxlan", "gre"),))
    await site.add_graph_node("two", peer("filter1", "filter", 20), ports=(underlay(),))
    await site.add_graph_node("three", ports=(underlay(), edge("203.0.113.0/24")))


def rows(site: GraphSite, node: str, table: str) -> dict[Any, tuple[str, dict[str, int]]]:
    plane = site.nodes[node].plane
    return {
        key: (
            action_of(plane, entry),
            {name: int.from_bytes(value) for name, value in plane.params(entry).items()},
        )
        for key, entry in plane.tables[table].items()
    }


def to(address: str, length: int = 128) -> tuple[bytes, ...]:
    return b"\0", mapped(ip_address(address)).lstrip(b"\0"), bytes([length])


async def test_tunnels_are_counted_where_they_end(site: GraphSite):
    await nodes(site)
    subscribers = site.controller.subscribers

    def counted() -> dict[str, int]:
        return {node: subscribers.tunnels_at(node) for node in sorted(subscribers.nodes())}

    assert counted() == {}
    for text in (ALICE, ALICE, ALICE.replace("key: 42", "key: 43")):
        await apply(site, text)
        assert counted() == {"one": 2}
    await apply(
        site, ALICE.replace("node: one\n        tunnel: {kind: gre", "node: two\n        tunnel: {kind: gre")
    )
    assert counted() == {"one": 1, "two": 1}
    await stub(site).DeleteCustomer(api.DeleteCustomerRequest(name="bob"))
    assert counted() == {"one": 1}
    await stub(site).DeleteCustomer(api.DeleteCustomerRequest(name="alice"))
    assert counted() == {}


async def test_a_file_may_be_large(site: GraphSite):
    await nodes(site)
    answer = await apply(site, ALICE + "# what was there before\n" * 300_000)
    assert [customer.name for customer in answer.customers] == ["alice", "bob"]


async def test_a_device_is_admitted_where_its_tunnel_ends(site: GraphSite):
    await nodes(site)
    await apply(site, ALICE)
    plane = site.nodes["one"].plane
    entry = plane.entry("device", mapped("192.0.2.7"), int(Tunnel.VXLAN), 42)
    assert entry is not None and action_of(plane, entry) == "admit"
    params = plane.params(entry)
    assert params["address"] == b"\xff\xff\x0a\x14\0\x07"
    assert params["mask"] == b"\xff" * 16
    assert plane.entry("device", mapped("192.0.2.8"), int(Tunnel.GRE), 0) is not None
    assert not site.nodes["three"].plane.tables["device"]


async def test_packets_to_a_device_go_into_its_tunnel(site: GraphSite):
    await nodes(site)
    await apply(site, ALICE)
    await site.apply(FAMILY)
    ids = {node.name: node.id for node in site.controller.state.nodes.values()}
    there = rows(site, "one", "route")
    assert there[to("10.20.0.7")] == (
        "route_tunnel",
        {
            "port": UNDERLAY_PORT,
            "tunnel": Tunnel.VXLAN,
            "remote": int.from_bytes(mapped("192.0.2.7")),
            "key": 42,
        },
    )
    assert there[to("203.0.113.0", 120)] == ("route_node", {"node": ids["three"]})
    elsewhere = rows(site, "three", "route")
    assert elsewhere[to("10.20.0.7")] == ("route_node", {"node": ids["one"]})
    assert elsewhere[to("10.30.0.9")] == ("route_port", {"port": EDGE_PORT, "vlan": 0})
    assert elsewhere[to("2001:db8:30::", 64)] == ("route_port", {"port": EDGE_PORT, "vlan": 0})


async def test_a_graph_of_a_profile_is_for_all_who_have_it(site: GraphSite):
    await nodes(site)
    await apply(site, ALICE)
    await site.apply(FAMILY)
    mine, other = Packet("10.20.0.7", "203.0.113.5"), Packet("10.20.0.8", "203.0.113.5")
    assert site.walk("one", mine) == ["filter1"]
    assert site.walk("three", mine.back) == ["filter1"]
    assert site.walk("one", other) == []
    await apply(
        site, "customers: [{name: bob, profiles: [family], devices: [{name: x, addresses: [10.20.0.8]}]}]"
    )
    assert site.walk("three", other.back) == ["filter1"]
    await stub(site).DeleteCustomer(api.DeleteCustomerRequest(name="bob"))
    assert site.walk("three", other.back) == []


async def test_a_customer_who_is_removed_leaves_nothing_behind(site: GraphSite):
    await nodes(site)
    await apply(site, ALICE)
    for name in ("alice", "bob"):
        await stub(site).DeleteCustomer(api.DeleteCustomerRequest(name=name))
    assert not site.nodes["one"].plane.tables["device"]
    assert not rows(site, "one", "route")
    with pytest.raises(grpc.aio.AioRpcError, match="no customer 'alice'"):
        await stub(site).DeleteCustomer(api.DeleteCustomerRequest(name="alice"))


async def test_customers_outlive_the_controller(site: GraphSite):
    await nodes(site)
    before = await apply(site, ALICE)
    one = site.nodes["one"].plane
    rows_before = dict(one.tables["device"])
    await site.stop()
    await site.start()
    assert [*(await stub(site).ListCustomers(api.ListCustomersRequest())).customers] == [*before.customers]
    await site.converged("one")
    assert one.tables["device"] == rows_before
    found = await stub(site).GetCustomer(api.GetCustomerRequest(name="alice"))
    assert [device.name for device in found.devices] == ["laptop", "tv"]
    assert found.devices[0].tunnel == api.UserTunnel(kind="vxlan", remote="192.0.2.7", key=42)
    assert found.devices[0].profiles == ["family"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("node: one", "node: nowhere"), "device laptop of alice is at nowhere, no known node"),
        (("port: edge0", "port: eth0"), "behind eth0, no edge port of three"),
    ],
)
async def test_places_have_to_be_there(site: GraphSite, change: tuple[str, str], problem: str):
    await nodes(site)
    with pytest.raises(grpc.aio.AioRpcError, match=problem):
        await apply(site, ALICE.replace(*change))
    assert not (await stub(site).ListCustomers(api.ListCustomersRequest())).customers


def at_n(keys: str) -> str:
    """A file with a device at node n."""
    return f"customers: [{{name: a, devices: [{{name: d, node: n, {keys}}}]}}]"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("customers: []", "customers"),
        ("customers: [{name: ''}]", "1 to 253 printable"),
        ("customers: [{name: a}, {name: a}]", "two customers have the same name"),
        ("customers: [{name: a, profile: [x]}]", "did you mean profiles"),
        ("customers: [{name: a, tenant: 16777216}]", "tenant"),
        ("customers: [{name: a, devices: [{name: d}, {name: D}]}]", "two of its devices"),
        ("customers: [{name: a, devices: [{name: d, addresses: [10.0.0.1/24]}]}]", "bits of hosts"),
        ("customers: [{name: a, devices: [{name: d, addresses: ['::ffff:10.0.0.1']}]}]", "IPv4 in the form"),
        ("customers: [{name: a, devices: [{name: d, port: lan0}]}]", "node is missing"),
        (
            at_n("port: p, tunnel: {kind: gre, remote: 1.2.3.4}"),
            "leave one of both out",
        ),
        (
            at_n("tunnel: {kind: l2tp, remote: 1.2.3.4}"),
            "kind",
        ),
        (
            at_n("tunnel: {kind: gre, remote: 224.0.0.1}"),
            "no address of one device",
        ),
        (
            at_n("tunnel: {kind: vxlan, remote: 1.2.3.4, key: 16777216}"),
            "too large for vxlan",
        ),
        (
            at_n("tunnel: {kind: ipip, remote: 1.2.3.4, key: 1}"),
            "too large for ipip",
        ),
        (
            at_n("addresses: [10.0.0.1, 10.0.0.2], tunnel: {kind: gre, remote: 1.2.3.4}"),
            "a device for each",
        ),
        ("customers: &a [*a]", "aliases"),
        ("customers: " + "[" * 100_000, "nested too deeply"),
        ("[", "not valid YAML"),
        ("7", "has no keys"),
    ],
)
def test_files_that_are_refused(text: str, problem: str):
    with pytest.raises(MoorlineError, match=problem):
        read_customers(text, "customers.yaml")


def spec(name: str, *addresses: str, tenant: int = 0, key: int | None = None) -> CustomerSpec:
    device: dict[str, Any] = {"name": "d", "addresses": addresses}
    if key is not None:
        device |= {"node": "n", "tunnel": {"kind": "gre", "remote": "192.0.2.1", "key": key}}
    return CustomerSpec.model_validate({"name": name, "tenant": tenant, "devices": [device]})


@pytest.mark.parametrize(
    ("one", "other", "problem"),
    [
        (spec("a", "10.0.0.1"), spec("b", "10.0.0.1"), "d of a and d of b both have 10.0.0.1/32"),
        (spec("a", "10.0.0.0/24"), spec("b", "10.0.0.7"), "10.0.0.7/32 of device d of b lies in 10.0.0.0/24"),
        (spec("a", "10.0.0.1", key=7), spec("b", "10.0.0.2", key=7), "the same tunnel at n"),
    ],
)
def test_devices_that_would_be_taken_for_one_another(one: CustomerSpec, other: CustomerSpec, problem: str):
    with pytest.raises(InvalidRequestError, match=problem):
        require_apart({"a": one, "b": other})


def test_devices_apart():
    require_apart({"a": spec("a", "10.0.0.1", key=7), "b": spec("b", "10.0.0.2", key=8)})
    require_apart({"a": spec("a", "10.0.0.1"), "b": spec("b", "10.0.0.1", tenant=1)})


small = st.builds(
    lambda wide, bits, length: (
        IPv6Network((bits << 120, length), strict=False)
        if wide
        else IPv4Network((bits << 24, length), strict=False)
    ),
    st.booleans(),
    st.integers(0, 255),
    st.integers(0, 8),
)


@given(st.lists(st.tuples(st.integers(0, 1), small), max_size=6))
def test_overlaps_are_found_as_by_comparing_each_with_each(prefixes: list[tuple[int, Any]]):
    customers = {
        str(number): spec(str(number), str(prefix), tenant=tenant)
        for number, (tenant, prefix) in enumerate(prefixes)
    }
    overlap = any(
        tenant == other_tenant and prefix.version == other.version and prefix.overlaps(other)
        for number, (tenant, prefix) in enumerate(prefixes)
        for other_tenant, other in prefixes[:number]
    )
    try:
        require_apart(customers)
    except InvalidRequestError:
        assert overlap
    else:
        assert not overlap
