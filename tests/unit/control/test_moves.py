# SPDX-License-Identifier: Apache-2.0
"""Address changes, several addresses, loss of an interface."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import grpc
import pytest
from finsy.proto import p4r

from moorline.addresses import mapped
from moorline.api.v1 import moorline_pb2 as pb
from tests.unit.control.fake_node import FakeNode
from tests.unit.control.refusal import refused
from tests.unit.control.site import Site

GRACE = 0.2


def path_to(node: FakeNode, number: int) -> dict[str, bytes]:
    """The parameters of the entry of ``locator`` for a peer; empty without one."""
    entry = node.plane.entry("locator", number)
    return node.plane.params(entry) if entry is not None else {}


def short(address: str) -> bytes:
    """An address as it stands in an entry."""
    return mapped(ip_address(address).packed).lstrip(b"\0")


def number_of(site: Site, node: str) -> int:
    return site.controller.state.nodes[node].id


def generation_told(node: FakeNode, peer: FakeNode) -> bool:
    return any(update.peer.generation == peer.generation for update in node.updates)


async def test_a_move_is_one_entry_at_each_peer_however_many_connections(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=GRACE) as site:
        one, two = await site.pair()
        for number in range(50):
            await site.register(f"s{number}.demo", "two")
            await site.lookup("laptop.demo", f"s{number}.demo")
        former, moved = two.addresses[0], "127.78.0.2"
        one.plane.writes.clear()
        await two.report([moved])
        at = number_of(site, "two")
        await one.plane.until(lambda: path_to(one, at)["previous0"] == short(former))
        assert path_to(one, at)["dst0"] == path_to(one, at)["dst1"] == short(moved)
        await one.told(lambda: generation_told(one, two))
        # Once more when the grace time is over, and packets from the former address are none of the peer's.
        await one.plane.until(lambda: path_to(one, at)["previous0"] == b"\0")
        assert [len(batch) for batch in one.plane.writes] == [1, 1]
        for (update,) in one.plane.writes:
            assert update.type == p4r.Update.MODIFY
            assert update.entity.table_entry.table_id == one.plane.ids["locator"]


async def test_a_second_move_within_the_grace_time_keeps_both_former_addresses(tmp_path: Path) -> None:
    async with Site(tmp_path, grace_seconds=GRACE) as site:
        one, two = await site.pair()
        await site.lookup("laptop.demo", "files.demo")
        first, second, third = two.addresses[0], "127.78.0.2", "127.78.0.3"
        await two.report([second])
        await two.report([third])
        at = number_of(site, "two")
        await one.plane.until(lambda: path_to(one, at)["previous1"] != b"\0")
        assert path_to(one, at)["dst0"] == short(third)
        assert path_to(one, at)["previous0"] == short(second)
        assert path_to(one, at)["previous1"] == short(first)
        await one.plane.until(lambda: path_to(one, at)["previous0"] == b"\0")


async def test_both_ends_move_at_once(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        await site.lookup("laptop.demo", "files.demo")
        await one.report(["127.78.0.1"])
        await two.report(["127.78.0.2"])
        for node, peer, name in ((one, two, "two"), (two, one, "one")):
            at, address = number_of(site, name), short(peer.addresses[0])
            await node.plane.until(lambda n=node, at=at, a=address: path_to(n, at)["dst0"] == a)
            await node.told(lambda node=node, peer=peer: generation_told(node, peer))
        answer = await site.lookup("laptop.demo", "files.demo")
        assert list(answer.client_locators) == [ip_address("127.78.0.1").packed]
        assert list(answer.server_locators) == [ip_address("127.78.0.2").packed]


async def test_a_report_from_before_the_last_one_changes_nothing(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        await site.lookup("laptop.demo", "files.demo")
        await two.report(["127.78.0.2"])
        late = two.locators()
        late.generation -= 1
        late.locators[0].address = bytes([127, 99, 0, 1])
        await two.send(pb.NodeReport(locators=late))
        await two.report(["127.78.0.2", "127.78.0.3"])
        await one.told(lambda: generation_told(one, two))
        told = [update.peer.locators[0].address for update in one.updates if update.HasField("peer")]
        assert told[-1] == ip_address("127.78.0.2").packed
        assert late.locators[0].address not in told


async def test_the_loss_of_one_interface_moves_its_connections_to_the_other(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        await two.report([two.addresses[0], "127.78.0.2"])
        await site.lookup("laptop.demo", "files.demo")
        at = number_of(site, "two")
        both = {short(address) for address in two.addresses}
        assert {path_to(one, at)["dst0"], path_to(one, at)["dst1"]} == both
        await two.report(["127.78.0.2"])
        await one.plane.until(
            lambda: path_to(one, at)["dst0"] == path_to(one, at)["dst1"] == short("127.78.0.2")
        )
        assert (await site.connection((await site.lookup("laptop.demo", "files.demo")).scid)).status == 1


async def test_without_any_interface_there_is_no_path_until_one_comes_back(
    tmp_path: Path,
) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        at = number_of(site, "two")
        await two.report([])
        await one.plane.until(lambda: not path_to(one, at))
        assert one.plane.entry("scid", scid) is not None
        await two.report(["127.78.0.2"])
        await one.plane.until(lambda: path_to(one, at).get("dst0") == short("127.78.0.2"))


async def test_nodes_without_a_family_in_common_are_told_apart_until_they_have_one(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        await two.report(["::1"])
        await site.until(lambda: len(site.controller.state.nodes["two"].locators[0].address) == 16)
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "have no address family in common: give both"):
            await site.lookup("laptop.demo", "files.demo")
        await two.report(["127.78.0.2"])
        await site.until(lambda: len(site.controller.state.nodes["two"].locators[0].address) == 4)
        await site.converged("two")
        await site.lookup("laptop.demo", "files.demo")
        assert path_to(one, number_of(site, "two"))["dst0"] == short("127.78.0.2")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (b"", "has 0 octets"),
        (bytes(5), "has 5 octets"),
        (bytes(4), "0.0.0.0 .* is no host's"),
        (bytes(16), ":: .* is no host's"),
        (bytes([224, 0, 0, 1]), "is no host's"),
        (bytes([255] * 4), "is no host's"),
        (b"\xff\x02" + bytes(13) + b"\x01", "is no host's"),
    ],
)
async def test_addresses_that_lead_nowhere_end_the_session(address: bytes, why: str, tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        two = await site.add_node("two")
        bad = two.locators()
        bad.locators[0].address = address
        before = site.controller.state.nodes["two"].locators
        await two.send(pb.NodeReport(locators=bad))
        with refused(grpc.StatusCode.INVALID_ARGUMENT, why):
            await two.ended()
        assert site.controller.state.nodes["two"].locators == before


async def test_ports_that_no_data_plane_has_end_the_session(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        for report, why in (
            (
                pb.PortsChanged(ports=[pb.Port(number=512, interface="eth0")]),
                "has number 512: report 1 to 511",
            ),
            (pb.PortsChanged(ports=[pb.Port(number=3), pb.Port(number=3)]), "twice with the same number"),
        ):
            node = await site.add_node(f"n{len(site.nodes)}")
            await node.send(pb.NodeReport(ports=report))
            with refused(grpc.StatusCode.INVALID_ARGUMENT, why):
                await node.ended()
