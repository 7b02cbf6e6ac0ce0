# SPDX-License-Identifier: Apache-2.0
"""A BMv2 switch whose underlay port is in a VLAN, octet by octet at the other end of its wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from finsy.proto import p4r
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from moorline.api.v1 import moorline_pb2 as pb
from moorline.wire import GENEVE_PORT, OPTION_CLASS, OPTION_TYPE
from tests.unit.control.site import Site
from tools.lab import cleanup
from tools.lab.namespace import Namespace
from tools.lab.switch import DEVICE, Switch
from tools.vectors.wires import Wire, lay

pytestmark = pytest.mark.bmv2

VLAN = 7
OURS, ROUTER = "02:6d:6c:00:00:01", "02:00:00:00:00:aa"
PORT = pb.SwitchPort(
    number=1,
    role="underlay",
    addresses=["192.0.2.1/24", "2001:db8::1/64"],
    gateways=["192.0.2.254", "2001:db8::fe"],
    vlan=VLAN,
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Namespace]:
    namespace = Namespace(cleanup.unique_name(), tmp_path)
    try:
        namespace.call(lambda: lay([1]))
        yield namespace
    finally:
        namespace.close()


@asynccontextmanager
async def programmed(place: Namespace, folder: Path) -> AsyncIterator[tuple[Site, Wire]]:
    """A controller with this one switch, and the other end of its wire."""
    with Switch("sw", place.path, {1: "port1"}, folder) as switch:
        wire = place.call(lambda: Wire(1))
        try:
            async with Site(folder) as site:
                await site.admin.AddSwitch(
                    pb.AddSwitchRequest(name="sw", p4runtime=switch.address, device_id=DEVICE, ports=[PORT])
                )
                await site.until(lambda: site.plane("sw").converged)
                yield site, wire
        finally:
            wire.close()


async def heard(wire: Wire, wanted: Callable[[Packet], bool]) -> Packet:
    """The next frame that leaves the switch and is ``wanted``."""
    async with asyncio.timeout(10):
        while True:
            frame = wire.receive()
            if frame is None:
                await asyncio.sleep(0.01)
            elif wanted(packet := Ether(frame)):
                return packet


def tagged(packet: Packet, vlan: int = VLAN) -> bytes:
    return bytes(Ether(dst=OURS, src=ROUTER) / Dot1Q(vlan=vlan) / packet)


async def next_hops(site: Site) -> set[tuple[int, int]]:
    """Prefix length and link-layer address of each row of ``fib``."""
    plane = site.plane("sw")
    entity = p4r.Entity(table_entry=p4r.TableEntry(table_id=plane._contract.tables["fib"].id))
    return {
        (
            one.table_entry.match[1].lpm.prefix_len,
            int.from_bytes(one.table_entry.action.action.params[1].value),
        )
        async for entities in plane.read(entity)
        for one in entities
    }


async def test_gateways_of_a_vlan_are_found_in_it(place: Namespace, tmp_path: Path) -> None:
    async with programmed(place, tmp_path) as (site, wire):
        question = await heard(wire, lambda frame: ARP in frame and frame[ARP].pdst == "192.0.2.254")
        assert (question.src, question[Dot1Q].vlan, question[ARP].psrc) == (OURS, VLAN, "192.0.2.1")
        answer = ARP(op=2, hwsrc=ROUTER, psrc="192.0.2.254", hwdst=OURS, pdst="192.0.2.1")
        wire.send(tagged(answer, vlan=8))
        wire.send(tagged(answer))
        asked = await heard(
            wire, lambda frame: ICMPv6ND_NS in frame and frame[ICMPv6ND_NS].tgt == "2001:db8::fe"
        )
        assert (asked[Dot1Q].vlan, asked[IPv6].hlim, asked[IPv6].src) == (VLAN, 255, "2001:db8::1")
        advertised = ICMPv6ND_NA(tgt="2001:db8::fe", R=1, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=ROUTER)
        wire.send(tagged(IPv6(src="2001:db8::fe", dst="2001:db8::1", hlim=255) / advertised))
        router = int(ROUTER.replace(":", ""), 16)
        async with asyncio.timeout(10):
            while await next_hops(site) != {(length, router) for length in (128, 96, 7, 3)}:
                await asyncio.sleep(0.02)


async def test_questions_in_the_vlan_are_answered_in_it_and_others_not(
    place: Namespace, tmp_path: Path
) -> None:
    async with programmed(place, tmp_path) as (_, wire):
        for vlan in (8, VLAN):
            question = ARP(op=1, hwsrc=ROUTER, psrc=f"192.0.2.{vlan}", pdst="192.0.2.1")
            wire.send(tagged(question, vlan))
        answer = await heard(wire, lambda frame: ARP in frame and frame[ARP].op == 2)
        assert (answer.dst, answer[Dot1Q].vlan, answer[ARP].hwsrc) == (ROUTER, VLAN, OURS)
        assert answer[ARP].pdst == f"192.0.2.{VLAN}"  # the other one came first, and got none
        solicited = ICMPv6ND_NS(tgt="2001:db8::1") / ICMPv6NDOptSrcLLAddr(lladdr=ROUTER)
        wire.send(tagged(IPv6(src="2001:db8::fe", dst="2001:db8::1", hlim=255) / solicited))
        advertised = await heard(wire, lambda frame: ICMPv6ND_NA in frame and frame[ICMPv6ND_NA].S == 1)
        assert (advertised.dst, advertised[Dot1Q].vlan) == (ROUTER, VLAN)
        assert advertised[ICMPv6NDOptDstLLAddr].lladdr == OURS


async def test_packets_with_an_scid_of_nobody_are_told_by_digest(place: Namespace, tmp_path: Path) -> None:
    async with programmed(place, tmp_path) as (site, wire):
        for scid in range(1, 51):
            data = scid.to_bytes(8, "big") + bytes(4)
            option = GeneveOptions(classid=OPTION_CLASS, type=OPTION_TYPE, length=3, data=data)
            packet = IP(src="192.0.2.9", dst="192.0.2.1") / UDP(sport=50000, dport=GENEVE_PORT, chksum=0)
            inner = IP(src="198.18.0.1", dst="198.18.0.2") / UDP()
            wire.send(tagged(packet / GENEVE(proto=0x0800, critical=1, options=[option]) / inner))
        await site.until(lambda: site.plane("sw").unknown_scids == 50)
        node = await site.admin.GetNode(pb.GetNodeRequest(name="sw"))
        assert node.unknown_scids == 50
        assert node.converged
