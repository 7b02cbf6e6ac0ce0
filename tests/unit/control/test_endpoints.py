# SPDX-License-Identifier: Apache-2.0
"""By which endpoint a device's tunnel is best opened, asked over gRPC and DNS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import grpc
import pytest
from dnslib import CLASS, EDNS0, QTYPE, RCODE, DNSQuestion, DNSRecord, EDNSOption
from hypothesis import example, given
from hypothesis import strategies as st

from control.subscribers.client_subnet import OPTION, ClientSubnet, ClientSubnetError
from control.subscribers.dns_core import Zone, answer
from control.subscribers.endpoints import Endpoint, Found
from control.subscribers.locations import EndpointsConfig, Locations
from moorline.addresses import Network
from moorline.api.v1 import subscribers_pb2 as api
from tests.unit.control.graph_site import GraphSite
from tests.unit.control.test_subscribers import apply, stub, underlay

NAME = "tunnels.example"
LOCATIONS = {
    "location": [
        {"name": "berlin", "prefixes": ["198.51.100.0/24"], "costs": {"one": 10, "two": 40}},
        {
            "name": "paris",
            "prefixes": ["198.51.100.128/25", "2001:db8::/32"],
            "costs": {"one": 40, "two": 10},
        },
    ],
    "devices_per_node": 2,
}
RESOLVER = ip_address("203.0.113.53")


def config(**settings: Any) -> EndpointsConfig:
    return EndpointsConfig.model_validate(LOCATIONS | settings)


async def two_endpoints(site: GraphSite) -> None:
    await site.add_graph_node("one", ports=(underlay("vxlan"),))
    await site.add_graph_node("two", ports=(underlay("vxlan", "gre"),))
    await site.add_graph_node("three", ports=(underlay(),))


async def find(site: GraphSite, address: str, tunnel: str = "vxlan") -> tuple[str, list[str]]:
    request = api.FindEndpointsRequest(address=ip_address(address).packed, tunnel=tunnel)
    found = await stub(site).FindEndpoints(request)
    return found.location, [one.node for one in found.endpoints]


async def test_the_cheapest_way_from_a_location_is_first(tmp_path: Path):
    async with GraphSite(tmp_path, endpoints=config()) as site:
        await two_endpoints(site)
        assert await find(site, "198.51.100.7") == ("berlin", ["one", "two"])
        assert await find(site, "198.51.100.200") == ("paris", ["two", "one"])
        assert await find(site, "192.0.2.1") == ("", ["one", "two"])
        assert await find(site, "198.51.100.7", "gre") == ("berlin", ["two"])
        assert await find(site, "198.51.100.7", "ipip") == ("berlin", [])
        assert await find(site, "2001:db8::7") == ("paris", [])
        with pytest.raises(grpc.aio.AioRpcError, match="no kind of tunnel"):
            await find(site, "198.51.100.7", "l2tp")


async def test_endpoints_that_are_away_are_none(tmp_path: Path):
    async with GraphSite(tmp_path, endpoints=config()) as site:
        await two_endpoints(site)
        await site.nodes["one"].plane.stop()
        await site.until(lambda: not site.plane("one").converged)
        assert await find(site, "198.51.100.7") == ("berlin", ["two"])


async def test_devices_raise_the_price(tmp_path: Path):
    async with GraphSite(tmp_path, endpoints=config(default_cost=10)) as site:
        await two_endpoints(site)
        device = (
            "{{name: d{0}, addresses: [10.0.0.{0}], node: one, tunnel: {{kind: vxlan, remote: 192.0.2.{0}}}}}"
        )
        assert await find(site, "192.0.2.1") == ("", ["one", "two"])
        await apply(site, f"customers: [{{name: a, devices: [{device.format(1)}]}}]")
        assert await find(site, "192.0.2.1") == ("", ["two", "one"])
        assert await find(site, "198.51.100.7") == ("berlin", ["one", "two"])
        await apply(site, f"customers: [{{name: b, devices: [{device.format(2)}]}}]")
        assert await find(site, "198.51.100.7") == ("berlin", ["two", "one"])


# ---- DNS ---------------------------------------------------------------------------------------------------


def query(
    name: str = f"vxlan.{NAME}", kind: str = "A", *options: bytes, edns: bool = True, **settings: Any
) -> bytes:
    record = DNSRecord.question(name, kind)
    if edns:
        record.add_ar(EDNS0(udp_len=1232, opts=[EDNSOption(OPTION, one) for one in options], **settings))
    return bytes(record.pack())


def subnet(text: str) -> bytes:
    return ClientSubnet(ip_network(text)).pack()


def zone(find: Callable[[Network, str, int], Found] | None = None) -> Zone:
    locations = Locations(config())

    def near(client: Network, kind: str, version: int) -> Found:
        place = locations.place(client)
        name = place.location.name if place.location else ""
        number = {"berlin": 1, "paris": 2, "": 3}[name]
        address = bytes([192, 0, 2, number]) if version == 4 else bytes(15) + bytes([number])
        return Found(name, place.network, (Endpoint("n", address, 1, 0, 1.0),))

    return Zone(NAME, "ns.example", 10, find or near)


def ask(packet: bytes, of: Zone | None = None) -> DNSRecord:
    found = answer(packet, RESOLVER, of or zone())
    assert found is not None
    return DNSRecord.parse(found)


def scope_of(reply: DNSRecord) -> ClientSubnet:
    (option,) = [one for record in reply.ar for one in record.rdata if one.code == OPTION]
    return ClientSubnet.parse(option.data)


@pytest.mark.parametrize(
    ("client", "address", "scope"),
    [
        ("198.51.100.0/25", "192.0.2.1", 25),
        ("198.51.100.128/25", "192.0.2.2", 25),
        ("198.51.100.0/24", "192.0.2.1", 25),
        ("192.0.2.0/24", "192.0.2.3", 6),
        ("2001:db8:7::/48", "192.0.2.2", 32),
        ("2003::/16", "192.0.2.3", 15),
    ],
)
def test_an_answer_is_for_the_clients_subnet_and_says_how_much_of_it(client: str, address: str, scope: int):
    reply = ask(query(f"vxlan.{NAME}", "A", subnet(client)))
    assert [str(record.rdata) for record in reply.rr] == [address]
    assert (reply.header.aa, reply.rr[0].ttl) == (1, 10)
    assert scope_of(reply) == ClientSubnet(ip_network(client), scope)


def test_without_a_subnet_the_resolver_is_where_the_client_is():
    for packet in (query(edns=False), query(), query(f"VXLAN.{NAME}", "A", subnet("0.0.0.0/0"))):
        reply = ask(packet)
        assert [str(record.rdata) for record in reply.rr] == ["192.0.2.3"]
    assert scope_of(reply) == ClientSubnet(ip_network("0.0.0.0/0"))
    assert not ask(query(edns=False)).ar
    assert str(ask(query(f"gre.{NAME}", "AAAA")).rr[0].rdata) == "::3"


@pytest.mark.parametrize(
    ("packet", "code", "authority"),
    [
        (query("example"), RCODE.REFUSED, False),
        (query(f"not{NAME}"), RCODE.REFUSED, False),
        (query(f"l2tp.{NAME}"), RCODE.NXDOMAIN, True),
        (query(f"a.vxlan.{NAME}"), RCODE.NXDOMAIN, True),
        (query(f"vxlan.{NAME}", "TXT"), RCODE.NOERROR, True),
        (query(NAME, "A"), RCODE.NOERROR, True),
        (bytes(DNSRecord(q=DNSQuestion(f"vxlan.{NAME}", QTYPE.A, CLASS.CH)).pack()), RCODE.REFUSED, False),
        (query()[:2] + b"\x28" + query()[3:], RCODE.NOTIMP, False),
    ],
)
def test_questions_without_an_answer(packet: bytes, code: int, authority: bool):
    reply = ask(packet)
    assert (reply.header.rcode, reply.rr) == (code, [])
    assert [record.rtype for record in reply.auth] == ([QTYPE.SOA] if authority else [])


def test_no_endpoint_is_no_address():
    reply = ask(query(), zone(lambda client, kind, version: Found("", client, ())))
    assert (reply.header.rcode, reply.rr, reply.auth[0].rdata.times[-1]) == (RCODE.NOERROR, [], 10)


def test_the_zone_says_who_serves_it():
    assert str(ask(query(NAME, "NS")).rr[0].rdata) == "ns.example."
    assert ask(query(NAME, "SOA")).rr[0].rtype == QTYPE.SOA


def test_what_is_no_query_is_not_answered():
    assert answer(b"", RESOLVER, zone()) is None
    assert answer(query()[:2] + b"\x80" + query()[3:], RESOLVER, zone()) is None


MALFORMED = [
    b"",
    b"\0\1\0",
    b"\0\3\0\0",  # a family that nobody knows
    b"\0\1\x21\0" + bytes(5),  # longer than the address
    b"\0\1\x18\0" + bytes(2),  # cut off
    b"\0\1\x18\0" + bytes(4),  # longer than needed
    b"\0\1\x17\0\1\1\1",  # a bit behind the length
]


@pytest.mark.parametrize("data", MALFORMED)
def test_malformed_subnets(data: bytes):
    with pytest.raises(ClientSubnetError):
        ClientSubnet.parse(data)
    if data:  # dnslib takes no notice of an empty option at the end
        assert ask(query(f"vxlan.{NAME}", "A", data)).header.rcode == RCODE.FORMERR


def test_queries_with_wrong_edns():
    scoped = ClientSubnet(ip_network("192.0.2.0/24"), 24).pack()
    twice = subnet("192.0.2.0/24")
    assert ask(query(f"vxlan.{NAME}", "A", scoped)).header.rcode == RCODE.FORMERR
    assert ask(query(f"vxlan.{NAME}", "A", twice, twice)).header.rcode == RCODE.FORMERR
    assert ask(query(version=1)).ar[0].edns_rcode == 1
    two = DNSRecord.question(f"vxlan.{NAME}")
    for _ in range(2):
        two.add_ar(EDNS0(udp_len=1232))
    assert ask(bytes(two.pack())).header.rcode == RCODE.FORMERR


v4 = st.builds(
    lambda bits, length: IPv4Network((bits, length), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
v6 = st.builds(
    lambda bits, length: IPv6Network((bits, length), strict=False),
    st.integers(0, 2**128 - 1),
    st.integers(0, 128),
)


@given(v4, st.integers(0, 32))
def test_subnets_of_ipv4_come_back(network: IPv4Network, scope: int):
    assert ClientSubnet.parse(ClientSubnet(network, scope).pack()) == ClientSubnet(network, scope)


@given(v6, st.integers(0, 128))
def test_subnets_of_ipv6_come_back(network: IPv6Network, scope: int):
    assert ClientSubnet.parse(ClientSubnet(network, scope).pack()) == ClientSubnet(network, scope)


@given(st.binary(max_size=24))
@example(b"\0\1\0\0")
def test_any_subnet_is_read_as_it_is_written_or_refused(data: bytes):
    try:
        found = ClientSubnet.parse(data)
    except ClientSubnetError:
        return
    assert found.pack() == data


QUERY = query()


@given(st.binary(max_size=80) | st.builds(lambda tail: QUERY + tail, st.binary(max_size=30)))
def test_any_message_is_answered_or_not(packet: bytes):
    found = answer(packet, RESOLVER, zone())
    assert found is None or DNSRecord.parse(found).header.qr == 1


octet = st.integers(0, 255)
prefix = st.builds(lambda a, length: IPv4Network((a << 24, length), strict=False), octet, st.integers(0, 8))


@given(st.lists(prefix, unique=True, max_size=5), octet)
def test_all_addresses_in_the_scope_of_an_answer_are_at_one_location(prefixes: list[IPv4Network], first: int):
    locations = Locations(
        EndpointsConfig.model_validate(
            {"location": [{"name": str(at), "prefixes": [str(at)]} for at in prefixes]}
        )
    )

    def longest(number: int) -> str | None:
        holding = [at for at in prefixes if ip_address(number << 24) in at]
        return str(max(holding, key=lambda at: at.prefixlen)) if holding else None

    found = locations.place(IPv4Network((first << 24, 32)))
    assert (found.location.name if found.location else None) == longest(first)
    inside = [number for number in range(256) if ip_address(number << 24) in found.network]
    assert first in inside
    assert {longest(number) for number in inside} == {longest(first)}
    if found.network.prefixlen:  # and it is no smaller than it has to be
        wider = [number for number in range(256) if ip_address(number << 24) in found.network.supernet()]
        assert {longest(number) for number in wider} != {longest(first)}


class Client(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answers.put_nowait(data)


async def test_the_controller_answers_over_udp_and_tcp(tmp_path: Path):
    settings = config(name=NAME, address="127.0.0.1", port=0)
    async with GraphSite(tmp_path, endpoints=settings) as site:
        await two_endpoints(site)
        assert site.controller.names is not None
        target = "127.0.0.1", site.controller.names.port
        packet = query(f"vxlan.{NAME}", "A", subnet("198.51.100.192/26"))
        want = site.nodes["two"].addresses
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_datagram_endpoint(Client, remote_addr=target)
        reader, writer = await asyncio.open_connection(*target)
        try:
            async with asyncio.timeout(10):
                transport.sendto(packet)
                over_udp = DNSRecord.parse(await client.answers.get())
                writer.write(len(packet).to_bytes(2) + packet)
                over_tcp = DNSRecord.parse(
                    await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                )
        finally:
            transport.close()
            writer.close()
        for reply in (over_udp, over_tcp):
            assert [str(record.rdata) for record in reply.rr] == want
            assert scope_of(reply).scope == 25
