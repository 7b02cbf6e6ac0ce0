# SPDX-License-Identifier: Apache-2.0
"""The controller speaks for a switch: next hops, answers to neighbours and to senders, lost entries."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from finsy.proto import p4r
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6TimeExceeded, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from control.config import ControllerConfig
from control.neighbours.frame import is_resolution
from control.neighbours.ndisc import Advertisement, Solicitation
from control.neighbours.table import Neighbours
from control.next_hops import NextHopRows, links_of, wanted_by
from control.records import Node, Port, Service, SwitchFacts
from control.southbound.contract import Contract
from control.state import State
from control.subscribers.model import CustomerSpec, DeviceSpec, UserTunnel
from control.subscribers.records import Device
from moorline.api.v1 import moorline_pb2 as pb
from moorline.icmp import ANSWERS_BURST
from moorline.switch import SwitchConfig
from moorline.wire import GENEVE_PORT, OPTION_CLASS, OPTION_TYPE, Event
from tests.unit.control.fake_node import FakeDataPlane
from tests.unit.control.site import Site
from tests.unit.control.switch_site import UNDERLAY, SwitchSite, shown

OURS, ROUTER, HOST = "02:6d:6c:00:00:01", "02:00:00:00:00:aa", "02:00:00:00:00:bb"
OURS_BEHIND = "02:6d:6c:00:00:02"
MAPPED = bytes(10) + b"\xff\xff"
BEYOND = (int.from_bytes(MAPPED + bytes(4)), 96)


def number(mac: str) -> int:
    return int(mac.replace(":", ""), 16)


def reply(mac: str, address: str, vlan: int = 7) -> bytes:
    """An answer to the switch's port 1."""
    message = ARP(op=2, hwsrc=mac, psrc=address, hwdst=OURS, pdst="10.0.1.2")
    return bytes(Ether(dst=OURS, src=mac) / Dot1Q(vlan=vlan) / message)


def row_of(address: str) -> tuple[int, int]:
    return int.from_bytes(MAPPED + ip_address(address).packed), 128


def next_hops(plane: FakeDataPlane) -> dict[tuple[int, ...], tuple[int, int]]:
    """By port, prefix and its length: source and destination MAC."""
    return {key: (said["src_mac"], said["dst_mac"]) for key, said in shown(plane, "fib").items()}


def egress(packet: p4r.PacketOut) -> tuple[int, int]:
    """Ports of a packet-out: through the pipeline as if from, straight out by."""
    values = {item.metadata_id: int.from_bytes(item.value) for item in packet.metadata}
    return values[1], values[2]


def straight(plane: FakeDataPlane) -> list[tuple[int, Packet]]:
    return [(egress(packet)[1], Ether(packet.payload)) for packet in plane.packet_outs]


async def adopted(site: SwitchSite, folder: Path) -> FakeDataPlane:
    """A switch that was programmed and has asked for its gateway; behind it, the service of a plain host."""
    plane = await site.start_switch(folder)
    await site.add_switch()
    await site.programmed()
    address = ip_address("198.19.200.9").packed
    await site.naming.RegisterService(
        pb.RegisterServiceRequest(name="printer.demo", node="sw", addresses=[address])
    )
    await plane.until(lambda: any(asked(frame, "10.0.1.1") for _, frame in straight(plane)))
    return plane


def asked(frame: Packet, address: str) -> bool:
    return ARP in frame and frame[ARP].op == 1 and frame[ARP].pdst == address


# ---- next hops ---------------------------------------------------------------------------------------------


async def test_a_gateway_is_found_and_all_beyond_goes_there(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        port, question = next(one for one in straight(plane) if asked(one[1], "10.0.1.1"))
        assert (port, question.src, question[Dot1Q].vlan) == (1, OURS, 7)
        assert not plane.tables["fib"]
        await plane.packet_in(1, reply(ROUTER, "10.0.1.1"), Event.PASS)
        way = number(OURS), number(ROUTER)
        await plane.until(lambda: next_hops(plane) == {(1, *row_of("10.0.1.1")): way, (1, *BEYOND): way})


async def test_a_device_at_an_edge_port_is_found_when_the_directory_names_it(tmp_path: Path) -> None:
    edge = pb.SwitchPort(number=2, role="edge", addresses=["10.30.1.1/24"], prefixes=["10.30.1.0/24"])
    device = DeviceSpec(name="tv", addresses=("10.30.1.10",), node="sw", port="2")
    async with SwitchSite(tmp_path) as site:
        plane = await site.start_switch(tmp_path)
        await site.add_switch(UNDERLAY, edge)
        await site.programmed()
        await site.controller.subscribers.apply([CustomerSpec(name="a", devices=(device,))])
        await plane.until(lambda: any(asked(frame, "10.30.1.10") for _, frame in straight(plane)))
        told = ARP(op=2, hwsrc=HOST, psrc="10.30.1.10", hwdst=OURS_BEHIND, pdst="10.30.1.1")
        await plane.packet_in(2, bytes(Ether(dst=OURS_BEHIND, src=HOST) / told), Event.PASS)
        way = number(OURS_BEHIND), number(HOST)
        await plane.until(lambda: next_hops(plane).get((2, *row_of("10.30.1.10"))) == way)


async def test_a_gateway_that_has_another_address_now_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.neighbours.table.LOCK", 0.0)
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        await plane.packet_in(1, reply(ROUTER, "10.0.1.1"), Event.PASS)
        await plane.until(lambda: len(plane.tables["fib"]) == 2)
        await plane.packet_in(1, reply(HOST, "10.0.1.1"), Event.PASS)
        await plane.until(lambda: {mac for _, mac in next_hops(plane).values()} == {number(HOST)})


async def test_a_restarted_controller_goes_on_with_what_the_switch_has(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        await plane.packet_in(1, reply(ROUTER, "10.0.1.1"), Event.PASS)
        await plane.until(lambda: len(plane.tables["fib"]) == 2)
        await site.stop()
        plane.writes.clear()
        plane.packet_outs.clear()
        await site.start()
        await site.programmed()
        # It is asked whether it is still there, and still so while it has not answered.
        await plane.until(lambda: any(frame.dst == ROUTER for _, frame in straight(plane)))
        assert len(plane.tables["fib"]) == 2
        assert not plane.writes


async def test_rows_of_nobody_are_taken_out(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        await plane.packet_in(1, reply(ROUTER, "10.0.1.1"), Event.PASS)
        await plane.until(lambda: len(plane.tables["fib"]) == 2)
        key, entry = next((key, entry) for key, entry in plane.tables["fib"].items() if key[2] == b"\x80")
        stray = p4r.TableEntry()
        stray.CopyFrom(entry)
        stray.match[1].lpm.value = b"\xff\xff\x0a\x00\x01\x63"
        await site.stop()
        plane.tables["fib"][key[0], stray.match[1].lpm.value, key[2]] = stray
        await site.start()
        await plane.until(lambda: len(plane.tables["fib"]) == 2)
        assert key in plane.tables["fib"]


async def test_a_peer_on_the_link_is_found_and_forgotten_with_the_last_connection(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        one = await site.add_node("one")
        await one.report([one.addresses[0], "10.0.1.50"])
        await site.register("laptop.demo", "one")
        connection = await site.lookup("laptop.demo", "printer.demo")
        await plane.until(lambda: any(asked(frame, "10.0.1.50") for _, frame in straight(plane)))
        await plane.packet_in(1, reply(HOST, "10.0.1.50"), Event.PASS)
        await plane.until(
            lambda: next_hops(plane) == {(1, *row_of("10.0.1.50")): (number(OURS), number(HOST))}
        )
        await one.report([one.addresses[0], "10.0.1.51"])
        await plane.until(lambda: any(asked(frame, "10.0.1.51") for _, frame in straight(plane)))
        await plane.until(lambda: not plane.tables["fib"])
        await plane.packet_in(1, reply(HOST, "10.0.1.51"), Event.PASS)
        await plane.until(lambda: len(plane.tables["fib"]) == 1)
        await site.connections.CloseConnection(pb.CloseConnectionRequest(scid=connection.scid))
        await plane.until(lambda: not plane.tables["fib"])


async def test_a_connection_waits_until_its_neighbours_are_found(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        one = await site.add_node("one")
        await one.report(["10.0.1.50", one.addresses[0]])
        await site.until(lambda: len(site.controller.state.nodes["one"].locators) == 2)
        await site.register("laptop.demo", "one")
        lookup = asyncio.create_task(site.lookup("laptop.demo", "printer.demo"))
        await plane.until(lambda: any(asked(frame, "10.0.1.50") for _, frame in straight(plane)))
        await site.until(lambda: bool(plane.tables["scid"]))
        assert not lookup.done()
        await plane.packet_in(1, reply(HOST, "10.0.1.50"), Event.PASS)
        await lookup
        assert (1, *row_of("10.0.1.50")) in next_hops(plane)


async def test_a_connection_waits_for_a_silent_neighbour_a_while_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.speakers.PATIENCE", 0.1)
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        one = await site.add_node("one")
        await one.report(["10.0.1.50", one.addresses[0]])
        await site.until(lambda: len(site.controller.state.nodes["one"].locators) == 2)
        await site.register("laptop.demo", "one")
        await site.lookup("laptop.demo", "printer.demo")
        assert plane.tables["scid"]
        assert not plane.tables["fib"]


def test_whom_a_switch_has_to_know() -> None:
    ports = [
        {
            "number": 1,
            "role": "underlay",
            "addresses": ["10.0.1.2/24", "2001:db8::2/64"],
            "gateways": ["10.0.1.1", "2001:db8::1"],
        },
        {"number": 2, "role": "gateway", "addresses": ["10.77.1.1/24"]},
        {"number": 3, "role": "gateway", "addresses": ["10.77.2.1/24", "fd00:77::1/64"]},
    ]
    facts = SwitchFacts("sw:9559", 1, SwitchConfig.model_validate({"ports": ports}))
    node = Node("sw", 1, switch=facts)
    state = State()
    state.add_node(node)
    for name, ipv4, ipv6, port in (("a", "10.77.2.9", "fd00:77::9", 3), ("b", "10.77.3.9", "fd00:99::9", 0)):
        addresses = (ip_address(ipv4).packed, ip_address(ipv6).packed)
        state.add_service(Service(name, node, 0, *addresses, 0, 0, 0, port))
    assert [(port, str(ip_address(address))) for port, address in wanted_by(node, state)] == [
        (1, "10.0.1.1"),
        (1, "2001:db8::1"),
        (3, "10.77.2.9"),
        (3, "fd00:77::9"),
    ]
    assert [*wanted_by(Node("host", 2), state)] == []


def test_whom_a_switch_has_to_know_at_its_edge() -> None:
    prefixes = ["10.30.1.9/32", "10.30.2.0/24", "203.0.113.9/32"]
    edge = {"number": 1, "role": "edge", "addresses": ["10.30.1.1/24", "fd30:1::1/64"], "prefixes": prefixes}
    underlay = {"number": 2, "role": "underlay", "addresses": ["10.0.1.2/24"]}
    config = SwitchConfig.model_validate({"ports": [edge, underlay]})
    node = Node("sw", 1, switch=SwitchFacts("sw:9559", 1, config))
    node.ports = [Port(1, "", "edge", "", True, 1500), Port(2, "", "underlay", "", True, 1500)]
    known = tuple(map(ip_network, ("10.30.1.10", "fd30:1::10", "10.30.1.64/28", "10.30.9.9")))
    tunnel = UserTunnel(kind="vxlan", remote=ip_address("10.0.1.77"))
    devices = [
        Device("a", "tv", 0, known, node="sw", port="1"),
        Device("a", "elsewhere", 0, (ip_network("10.30.1.11"),), node="host", port="1"),
        Device("a", "no edge", 0, (ip_network("10.0.1.11"),), node="sw", port="2"),
        Device("a", "tunnelled", 0, (ip_network("10.30.1.12"),), node="sw", tunnel=tunnel),
    ]
    assert [(port, str(ip_address(address))) for port, address in wanted_by(node, State(), devices)] == [
        (1, "10.30.1.9"),
        (1, "10.30.1.10"),
        (1, "fd30:1::10"),
    ]


def test_what_is_beyond_the_link_goes_to_the_gateway_of_its_family() -> None:
    port = {
        "number": 1,
        "role": "underlay",
        "addresses": ["10.0.1.2/24", "2001:db8::2/64"],
        "gateways": ["10.0.1.1", "2001:db8::1"],
    }
    node = Node("sw", 1, switch=SwitchFacts("sw:9559", 1, SwitchConfig.model_validate({"ports": [port]})))
    rows = NextHopRows(Contract.load(ControllerConfig().p4info))
    neighbours = Neighbours()
    neighbours.configure(links_of(node), wanted_by(node, State()), 0.0)
    assert [*rows.rows(node, neighbours)] == []
    router = bytes.fromhex("0200000000aa")
    assert neighbours.adopt(1, ip_address("2001:db8::1").packed, router, 0.0)
    found = [*rows.rows(node, neighbours)]
    networks = {ip_network((row.match[1].rjust(16, b"\0"), row.match[2][0])) for row in found}
    assert networks == {ip_network(text) for text in ("2001:db8::1/128", "2000::/3", "fc00::/7")}
    own = [row for row in found if row.match[2][0] == 128]
    assert [rows.neighbour_in(row) for row in own] == [(1, ip_address("2001:db8::1").packed, router)]
    assert all(rows.neighbour_in(row) is None for row in found if row not in own)


# ---- answers to neighbours ---------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", [Event.PASS, Event.PUNT_CONNECTION_MISS])
async def test_a_host_behind_the_switch_is_answered(tmp_path: Path, reason: Event) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        question = Ether(dst="ff:ff:ff:ff:ff:ff", src=HOST) / ARP(
            op=1, hwsrc=HOST, psrc="198.19.200.9", pdst="198.19.200.1"
        )
        await plane.packet_in(2, bytes(question), reason)
        await plane.until(lambda: any(port == 2 and frame.dst == HOST for port, frame in straight(plane)))
        (answer,) = [frame for port, frame in straight(plane) if port == 2 and frame.dst == HOST]
        assert (answer[ARP].op, answer[ARP].hwsrc, answer[ARP].psrc) == (2, OURS_BEHIND, "198.19.200.1")


def test_which_packets_are_messages_of_neighbours() -> None:
    address = bytes(15) + b"\1"
    soliciting = Solicitation(address, address, address, None).encode()
    advertising = Advertisement(address, address, address, None, False, False, False).encode()
    frame = bytes(12) + b"\x86\xdd"
    assert is_resolution(frame + soliciting)
    assert is_resolution(bytes(12) + b"\x81\x00\x00\x07\x86\xdd" + advertising)
    assert is_resolution(bytes(12) + b"\x08\x06")
    assert not is_resolution(frame + soliciting[:40] + b"\x80" + soliciting[41:])
    assert not is_resolution(frame + soliciting[:40])
    assert not is_resolution(bytes(Ether(type=0x0800) / IP() / ICMP(type=135)))
    assert not is_resolution(bytes(13))


async def test_what_is_for_the_switch_itself_keeps_nobody_from_asking_for_it(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        for destination in ("198.19.200.1", "198.19.200.77"):
            packet = IP(src="198.19.200.9", dst=destination) / ICMP()
            await plane.packet_in(2, bytes(Ether(dst=OURS_BEHIND, src=HOST) / packet))
        await plane.until(lambda: len(plane.tables["connection"]) == 2)
        actions = {
            key[2][-1]: entry.action.action.action_id for key, entry in plane.tables["connection"].items()
        }
        assert actions == {1: plane.actions["local"], 77: plane.actions["reject"]}
        assert all(entry.idle_timeout_ns for entry in plane.tables["connection"].values())


# ---- answers to senders ------------------------------------------------------------------------------------


async def test_a_packet_of_a_plain_host_that_is_too_big_is_answered_where_it_came_from(
    tmp_path: Path,
) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        big = Ether(dst=OURS_BEHIND, src=HOST) / IP(src="198.19.200.9", dst="198.18.0.7", flags="DF") / UDP()
        await plane.packet_in(2, bytes(big / bytes(1400)), Event.PUNT_TOO_BIG, mtu=1400)
        await plane.until(lambda: any(ICMP in frame for _, frame in straight(plane)))
        (answer,) = [frame for port, frame in straight(plane) if port == 2 and ICMP in frame]
        assert (answer.dst, answer.src) == (HOST, OURS_BEHIND)
        assert (answer[IP].src, answer[IP].dst) == ("198.18.0.7", "198.19.200.9")
        assert (answer[ICMP].type, answer[ICMP].code, answer[ICMP].nexthopmtu) == (3, 4, 1400)


def tunnelled(outer: Packet, protocol: int, inner: Packet) -> bytes:
    option = GeneveOptions(classid=OPTION_CLASS, type=OPTION_TYPE, length=3, data=bytes(12))
    data = UDP(sport=50000, dport=GENEVE_PORT, chksum=0) / GENEVE(
        proto=protocol, critical=1, options=[option]
    )
    return bytes(Ether(dst=OURS, src=ROUTER) / outer / data / inner) + b"padding"


@pytest.mark.parametrize(
    "outer", [IP(src="10.0.9.9", dst="10.0.1.2"), IPv6(src="2001:db8::9", dst="2001:db8::2")]
)
async def test_a_packet_whose_hops_end_at_the_switch_is_answered_through_the_tunnel(
    tmp_path: Path, outer: Packet
) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        inner = IP(src="198.18.0.7", dst="198.19.200.9", ttl=1) / UDP(sport=1, dport=2) / b"data"
        await plane.packet_in(1, tunnelled(outer, 0x0800, inner), Event.PUNT_TTL_EXPIRED)
        await plane.until(lambda: any(egress(packet)[0] for packet in plane.packet_outs))
        (packet,) = [packet for packet in plane.packet_outs if egress(packet)[0]]
        assert egress(packet) == (2, 0)
        answer = Ether(packet.payload)
        assert (answer[IP].src, answer[IP].dst) == ("198.19.200.9", "198.18.0.7")
        assert (answer[ICMP].type, answer[ICMP].code) == (11, 0)
        assert bytes(answer[ICMP].payload) == bytes(inner)


async def test_what_no_host_behind_the_switch_was_to_get_is_not_answered(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        outer = IP(src="10.0.9.9", dst="10.0.1.2")
        stray = tunnelled(outer, 0x0800, IP(src="198.18.0.7", dst="10.99.0.9", ttl=1) / UDP())
        v6 = IPv6(src="fd00::7", dst="fd00::9", hlim=1) / UDP()
        for frame in (stray, stray[:60], b"", bytes(20), tunnelled(outer, 0x86DD, v6), stray[:14]):
            await plane.packet_in(1, frame, Event.PUNT_TTL_EXPIRED)
            await plane.packet_in(9, frame, Event.PUNT_TTL_EXPIRED)
        inner = IP(src="198.18.0.7", dst="198.19.200.9", ttl=1) / UDP()
        await plane.packet_in(1, tunnelled(outer, 0x0800, inner), Event.PUNT_TTL_EXPIRED)
        await plane.until(lambda: any(egress(packet)[0] for packet in plane.packet_outs))
        assert sum(egress(packet)[0] > 0 for packet in plane.packet_outs) == 1


async def test_an_ipv6_packet_whose_hops_end_at_the_switch_is_answered(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        inner = IPv6(src="fd00::7", dst="fd00::9", hlim=1) / UDP()
        await plane.packet_in(2, bytes(Ether(dst=OURS_BEHIND, src=HOST) / inner), Event.PUNT_TTL_EXPIRED)
        await plane.until(lambda: any(ICMPv6TimeExceeded in frame for _, frame in straight(plane)))


async def test_answers_to_senders_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        now = asyncio.get_running_loop().time()
        monkeypatch.setattr("control.speakers._now", lambda: now)
        expired = Ether(dst=OURS_BEHIND, src=HOST) / IP(src="198.19.200.9", dst="198.18.0.7", ttl=1) / UDP()
        for _ in range(2 * int(ANSWERS_BURST)):
            await plane.packet_in(2, bytes(expired), Event.PUNT_TTL_EXPIRED)
        last = Ether(dst="ff:ff:ff:ff:ff:ff", src=HOST) / ARP(
            op=1, hwsrc=HOST, psrc="0.0.0.0", pdst="198.19.200.1"
        )
        await plane.packet_in(2, bytes(last), Event.PASS)
        await plane.until(
            lambda: any(port == 2 and ARP in frame and frame.dst == HOST for port, frame in straight(plane))
        )
        assert sum(ICMP in frame for _, frame in straight(plane)) == ANSWERS_BURST


# ---- digests -----------------------------------------------------------------------------------------------


async def test_unknown_scids_are_counted_and_told(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        assert len(plane.digests) == 2
        reads = plane.reads
        await plane.digest(11, 1, 2, 3)
        await plane.digest(12, 4)
        await plane.until(lambda: plane.acknowledged == [11, 12])
        assert (await site.node()).unknown_scids == 4
        assert plane.reads == reads


async def test_packets_of_a_connection_that_should_be_there_bring_it_back(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        _, two = await site.pair()
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        two.plane.tables["scid"].clear()
        await two.plane.digest(1, scid)
        await two.plane.until(lambda: two.plane.entry("scid", scid) is not None)
        await site.until(lambda: site.plane("two")._doubted.is_set() is False)
        two.plane.tables["scid"].clear()
        reads = two.plane.reads
        for number_of_list in range(2, 50):  # not again at once, though
            await two.plane.digest(number_of_list, scid)
        await two.plane.until(lambda: two.plane.acknowledged[-1:] == [49])
        assert two.plane.reads == reads
        assert site.plane("two").unknown_scids == 0


async def test_a_restarted_controller_asks_for_digests_where_that_is_not_so(tmp_path: Path) -> None:
    async with SwitchSite(tmp_path) as site:
        plane = await adopted(site, tmp_path)
        before = dict(plane.digests)
        for found in (before, {number: p4r.DigestEntry.Config() for number in before}):
            await site.stop()
            plane.digests, plane.digest_writes = dict(found), 0
            await site.start()
            await site.programmed()
            assert plane.digests == before
            assert plane.digest_writes == (0 if found == before else len(before))
        await plane.digest(1, 99)
        await plane.until(lambda: plane.acknowledged == [1])
