# SPDX-License-Identifier: Apache-2.0
"""Plain hosts behind gateway ports: registered with their addresses, connected like any service."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

import grpc
import pytest
from finsy.proto import p4r

from control import gateways, nodes
from control.errors import ExhaustedError
from control.records import Node, Port, Service
from control.virtual import AddressPool
from moorline.addresses import mapped, packed
from moorline.api.v1 import moorline_pb2 as pb
from tests.unit.control.fake_node import FakeNode, canonical, key_of
from tests.unit.control.frames import frame
from tests.unit.control.refusal import refused
from tests.unit.control.site import Site
from tests.unit.control.test_accounting import count

LAN, OTHER_LAN = 7, 8
HOST4, HOST6 = "198.18.200.5", "fd6d:6f6f:726c::c8:5"
LINKS = {LAN: ("198.18.200.1/24", "fd6d:6f6f:726c::c8:1/112"), OTHER_LAN: ("198.18.201.1/24",)}
LOCAL = pb.CHANNEL_STATUS_LOCAL


async def gateway(site: Site, name: str = "gate") -> FakeNode:
    """A node with two gateway ports."""
    node = await site.add_node(name, attach=False)
    node.ports = [
        pb.Port(number=number, interface=f"lan{number}", role="gateway", up=True, addresses=addresses)
        for number, addresses in LINKS.items()
    ]
    await node.attach(site.target)
    await site.converged(name)
    return node


async def register(site: Site, name: str, *addresses: str, node: str = "gate") -> pb.Service:
    request = pb.RegisterServiceRequest(name=name, node=node, addresses=map(packed, addresses))
    service: pb.Service = await site.naming.RegisterService(request)
    return service


def row(node: FakeNode, source: str | bytes, destination: str | bytes) -> p4r.TableEntry | None:
    return node.plane.entry("connection", 0, mapped(source), mapped(destination))


def params(node: FakeNode, entry: p4r.TableEntry | None) -> dict[str, int]:
    assert entry is not None
    return {name: int.from_bytes(value) for name, value in node.plane.params(entry).items()}


async def test_a_plain_host_has_its_own_addresses_and_the_port_of_its_link(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await gateway(site)
        service = await register(site, "printer.demo", HOST4, HOST6)
        assert (service.ipv4, service.ipv6, service.port) == (packed(HOST4), packed(HOST6), LAN)
        assert (await register(site, "scanner.demo", "198.18.201.9")).port == OTHER_LAN
        await site.stop()
        await site.start()
        stored = await site.naming.GetService(pb.GetServiceRequest(name="printer.demo"))
        assert stored == service
        with refused(grpc.StatusCode.ALREADY_EXISTS, f"{HOST4} is taken"):
            await register(site, "other.demo", HOST4)
        await site.naming.UnregisterService(pb.UnregisterServiceRequest(name="printer.demo"))
        assert (await register(site, "other.demo", HOST4)).ipv6 == b""


@pytest.mark.parametrize(
    ("addresses", "code", "told"),
    [
        (("198.18.202.5",), grpc.StatusCode.FAILED_PRECONDITION, "choose from 198.18.200.0/24"),
        ((HOST4, "fd6d:6f6f:726c::1"), grpc.StatusCode.FAILED_PRECONDITION, "of no gateway port"),
        (("198.18.200.1",), grpc.StatusCode.FAILED_PRECONDITION, "the address of node gate itself"),
        (("198.18.200.0",), grpc.StatusCode.FAILED_PRECONDITION, "198.18.200.0 is the first or the last"),
        (("198.18.200.255",), grpc.StatusCode.FAILED_PRECONDITION, "which no host can have"),
        ((HOST4, "198.18.200.6"), grpc.StatusCode.INVALID_ARGUMENT, "give one of 4 octets, one of 16"),
    ],
)
async def test_addresses_that_lead_to_no_plain_host_are_refused(
    addresses: tuple[str, ...], code: grpc.StatusCode, told: str, tmp_path: Path
) -> None:
    async with Site(tmp_path) as site:
        await gateway(site)
        with refused(code, told):
            await register(site, "printer.demo", *addresses)
        assert (await register(site, "printer.demo", HOST4)).name == "printer.demo"


async def test_links_outside_the_virtual_prefixes_and_nodes_without_gateway_ports(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.add_node("one", attach=False)
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "give it a port with the role gateway"):
            await register(site, "printer.demo", HOST4, node="one")
        node = await site.add_node("gate", attach=False)
        node.ports = [pb.Port(number=LAN, interface="lan7", role="gateway", addresses=["192.0.2.1/24"])]
        await node.attach(site.target)
        await site.converged("gate")
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "192.0.2.5 is no virtual address"):
            await register(site, "printer.demo", "192.0.2.5")


async def test_a_port_whose_addresses_are_none_is_refused(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        node = await site.add_node("gate")
        ports = [pb.Port(number=LAN, interface="lan7", role="gateway", addresses=["here/24"])]
        await node.send(pb.NodeReport(ports=pb.PortsChanged(ports=ports)))
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "'here/24'"):
            await node.ended()


async def test_a_connection_to_a_plain_host_is_delivered_by_its_port(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        gate, one = await gateway(site), await site.add_node("one")
        laptop = await site.register("laptop.demo", "one")
        await register(site, "printer.demo", HOST4)
        answer = await site.lookup("laptop.demo", "printer.demo")
        deliver = params(gate, gate.plane.entry("scid", answer.scid))
        assert (deliver["port"], deliver["hops"]) == (LAN, 1)
        assert (deliver["local6"], deliver["peer6"]) == (0, int.from_bytes(laptop.ipv6))
        there = params(one, one.plane.entry("scid", answer.scid))
        assert (there["port"], there["hops"]) == (one.access_port, 0)
        assert len(gate.plane.tables["connection"]) == len(one.plane.tables["connection"]) == 1


async def test_packets_of_a_plain_host_make_its_connection(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        gate, _ = await gateway(site), await site.add_node("one")
        laptop = await site.register("laptop.demo", "one")
        await register(site, "printer.demo", HOST4)
        first = frame(packed(HOST4), laptop.ipv4)
        await gate.plane.packet_in(LAN, first)
        await gate.plane.until(lambda: bool(gate.plane.packet_outs))
        (sent,) = gate.plane.packet_outs
        assert sent.payload == first
        assert sent.metadata[0].value == bytes([LAN])  # as if it had come in there once more


async def test_within_a_gateway_rows_lead_from_port_to_port(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        gate = await gateway(site)
        await register(site, "printer.demo", HOST4, HOST6)
        await register(site, "scanner.demo", "198.18.201.9")
        own = await site.register("own.demo", "gate")
        other = await site.register("other.demo", "gate")
        for client, server in (
            ("printer.demo", "scanner.demo"),
            ("printer.demo", "own.demo"),
            ("own.demo", "other.demo"),
        ):
            answer = await site.lookup(client, server)
            assert (await site.connection(answer.scid)).status == LOCAL
        ports = {
            (HOST4, "198.18.201.9"): OTHER_LAN,
            ("198.18.201.9", HOST4): LAN,
            (HOST4, own.ipv4): gate.access_port,
            (own.ipv4, HOST4): LAN,
            (HOST6, own.ipv6): gate.access_port,
            (own.ipv6, HOST6): LAN,
        }
        assert {pair: params(gate, row(gate, *pair))["port"] for pair in ports} == ports
        assert len(gate.plane.tables["connection"]) == len(ports)  # the kernel delivers between its own
        assert row(gate, own.ipv4, other.ipv4) is None

        writes = len(gate.plane.writes)
        await site.stop()
        await site.start()
        await site.converged("gate")
        assert len(gate.plane.writes) == writes  # nothing is written anew
        await site.naming.UnregisterService(pb.UnregisterServiceRequest(name="printer.demo"))
        assert not gate.plane.tables["connection"]


async def test_what_goes_from_port_to_port_is_counted_for_its_sender(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        gate = await gateway(site)
        await register(site, "printer.demo", HOST4, HOST6)
        own = await site.register("own.demo", "gate")
        scid = (await site.lookup("own.demo", "printer.demo")).scid
        for source, destination, packets, octets in (
            (own.ipv4, packed(HOST4), 10, 1000),
            (own.ipv6, packed(HOST6), 1, 100),
            (packed(HOST4), own.ipv4, 20, 30_000),
        ):
            count(gate, source, destination, packets, octets)
        connection = await site.connection(scid)
        there, back = connection.client_to_server, connection.server_to_client
        assert (there.packets, there.bytes) == (11, 1100)
        assert (back.packets, back.bytes) == (20, 30_000)


async def test_rows_within_a_gateway_come_back_and_strange_ones_go(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        gate = await gateway(site)
        await register(site, "printer.demo", HOST4)
        await site.register("own.demo", "gate")
        await site.lookup("printer.demo", "own.demo")
        table = gate.plane.tables["connection"]
        wanted = dict(table)
        key, stray = next(iter(table.items()))
        await site.stop()
        del table[key]
        stray.match[1].exact.value = canonical(mapped("198.18.9.9"))
        table[key_of(stray)] = stray
        await site.start()
        await site.converged("gate")
        await gate.plane.until(lambda: table.keys() == wanted.keys())


async def test_services_without_a_family_in_common_are_told_so(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await gateway(site)
        await register(site, "four.demo", "198.18.201.9")
        await register(site, "six.demo", HOST6)
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "have no address family in common"):
            await site.lookup("four.demo", "six.demo")


async def test_an_agent_hears_behind_which_port_its_services_are(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        gate = await gateway(site)
        await register(site, "printer.demo", HOST4)
        await site.register("own.demo", "gate")
        await gate.told(
            lambda: any(
                {e.service: e.port for e in update.endpoints.endpoints}
                == {"printer.demo": LAN, "own.demo": 0}
                for update in gate.updates
            )
        )


@pytest.mark.parametrize(
    ("addresses", "port", "told"),
    [
        (("198.18.200.5", ""), LAN, []),  # where it belongs
        (("198.18.200.5", ""), 0, ["astray.demo"]),
        (("198.18.7.7", "fd6d:6f6f:726c::c8:5"), OTHER_LAN, ["astray.demo"]),
        (("198.18.7.7", "fd6d:6f6f:726c::9"), 0, []),
    ],
)
def test_services_on_a_gateways_link_that_are_not_there_are_told(
    addresses: tuple[str, str], port: int, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(gateways.log, "warning", lambda _event, **said: warned.append(said["first"]))
    node = Node("gate", 1, ports=(Port(LAN, "lan7", "gateway", "tc", True, 1500, LINKS[LAN]),))
    ipv4, ipv6 = (packed(text) if text else b"" for text in addresses)
    gateways.warn_of_misplaced(node, [Service("astray.demo", node, 0, ipv4, ipv6, 0, 0, 1, port)])
    assert warned == told


async def test_a_gateway_whose_link_is_new_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(nodes, "warn_of_misplaced", lambda node, _services: looked.append(node.name))
    async with Site(tmp_path) as site:
        node = await gateway(site)
        await node.send(pb.NodeReport(ports=pb.PortsChanged(ports=node.ports)))
        await register(site, "printer.demo", HOST4)
    assert looked == ["gate"]


def test_records_of_before_there_were_gateways_are_read() -> None:
    node = Node("one", 1, ports=(Port(2, "eth0", "underlay", "tc", True, 1500),))
    old = node.encode().replace(b",1500,[],[],0,[]]", b",1500]")
    assert old != node.encode()
    assert Node.decode(node.key, old).ports == node.ports
    service = Service("files.demo", node, 0, b"\1\2\3\4", bytes(16), 0, 0, 1)
    old = service.encode().replace(b',"port":0', b"")
    assert old != service.encode()
    assert (decoded := Service.decode(service.key, old, {"one": node}))
    assert decoded.port == 0


def test_a_pool_keeps_off_the_links_of_plain_hosts() -> None:
    pool = AddressPool(IPv4Network("10.0.0.0/24"), IPv6Network("fd00::/64"))
    links = [ip_network("10.0.0.64/26"), ip_network("fd00::80/121")]
    taken = [pool.take(f"s{number}", links)[0] for number in range(63)]
    assert {octets[-1] for octets in taken} == {*range(1, 64)}
    with pytest.raises(ExhaustedError, match="larger ipv4_prefix"):
        pool.take("one.more", links)
    assert ip_address(pool.take("one.more", links[:1])[0]) in ip_network("10.0.0.128/25")


async def test_a_node_hears_at_once_of_a_plain_host_that_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks the node for names right after its first packet, and only who is connected may."""
    monkeypatch.setattr("control.sessions.PAUSE", 3600)
    async with Site(tmp_path) as site:
        await gateway(site)
        one = await site.add_node("one")
        await site.register("server.demo", "one")
        for name, address in (("printer.demo", HOST4), ("scanner.demo", "198.18.200.6")):
            await register(site, name, address)
            scid = (await site.lookup(name, "server.demo")).scid
            await one.told(partial(has_heard, one, scid))


def has_heard(node: FakeNode, scid: int) -> bool:
    updates = [one for update in node.updates for one in (update, *update.several.updates)]
    return any(one.translation.scid == scid for one in updates)
