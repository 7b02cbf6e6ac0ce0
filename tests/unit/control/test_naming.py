# SPDX-License-Identifier: Apache-2.0
"""Names, leases, addresses."""

from __future__ import annotations

import asyncio
import time
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import grpc
import pytest

from control.errors import ExhaustedError, StoreError
from control.store.base import Transaction
from control.virtual import AddressPool
from moorline.api.v1 import moorline_pb2 as pb
from tests.unit.control.held import held
from tests.unit.control.refusal import refused
from tests.unit.control.site import Site

INVALID = grpc.StatusCode.INVALID_ARGUMENT


async def names(site: Site) -> list[str]:
    return [s.name for s in (await site.naming.ListServices(pb.ListServicesRequest())).services]


async def test_names_are_taken_in_one_form_and_once(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.add_node("one", attach=False)
        service = await site.register("http://Files.Demo:80/x", "ONE")
        assert (service.name, service.node) == ("files.demo", "one")
        with refused(grpc.StatusCode.ALREADY_EXISTS, "files.demo is registered already on node one"):
            await site.register("files.demo", "one")
        assert await names(site) == ["files.demo"]


@pytest.mark.parametrize("name", ["", "a..b", "-a.demo", "a_b", "10.0.0.1", "\u00e9.demo", "x" * 64, "a b"])
async def test_what_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.add_node("one", attach=False)
        with refused(INVALID, "service name"):
            await site.register(name, "one")
        with refused(INVALID, "node name"):
            await site.register("files.demo", name or "-")
        with refused(INVALID, "service name"):
            await site.lookup(name, "files.demo")
        assert await names(site) == []


async def test_unknown_nodes_services_and_leases_are_refused(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.add_node("one", attach=False)
        with refused(grpc.StatusCode.NOT_FOUND, "node 'two' is not known"):
            await site.register("files.demo", "two")
        with refused(INVALID, "is to be on no node"):
            await site.register("files.demo", "")
        with refused(INVALID, "a lease of .* is too long"):
            await site.register("files.demo", "one", ttl_seconds=1 << 31)
        for call, request in (
            (site.naming.GetService, pb.GetServiceRequest(name="nobody.demo")),
            (site.naming.RenewService, pb.RenewServiceRequest(name="nobody.demo")),
            (site.naming.UnregisterService, pb.UnregisterServiceRequest(name="nobody.demo")),
        ):
            with refused(grpc.StatusCode.NOT_FOUND, r"'nobody.demo'.* is not registered"):
                await call(request)


async def test_of_many_who_register_a_name_at_once_one_gets_it(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.add_node("one", attach=False)
        outcomes = await asyncio.gather(
            *(site.register("files.demo", "one") for _ in range(10)), return_exceptions=True
        )
        assert sum(isinstance(outcome, pb.Service) for outcome in outcomes) == 1
        assert await names(site) == ["files.demo"]


async def test_a_lease_ends_and_takes_connections_with_it(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, two = await site.pair()
        leased = await site.register("brief.demo", "one", ttl_seconds=1)
        answer = await site.lookup("brief.demo", "files.demo")
        assert one.plane.entry("scid", answer.scid) is not None
        await one.plane.until(lambda: one.plane.entry("scid", answer.scid) is None)
        await two.told(lambda: any(update.HasField("translation_removed") for update in two.updates))
        await one.told(lambda: len(one.updates[-1].endpoints.endpoints) == 1)
        with refused(grpc.StatusCode.NOT_FOUND, "is not registered"):
            await site.lookup("brief.demo", "files.demo")
        again = await site.register("brief.demo", "two")
        assert (again.ipv4, again.ipv6) == (leased.ipv4, leased.ipv6)  # where programs remember it


async def test_a_renewed_lease_goes_on(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.add_node("one", attach=False)
        await site.register("other.demo", "one", ttl_seconds=1)
        service = await site.register("kept.demo", "one", ttl_seconds=1)
        while "other.demo" in await names(site):
            renewed = await site.naming.RenewService(pb.RenewServiceRequest(name="kept.demo"))
            await asyncio.sleep(0.05)
        assert renewed.expires_ns > service.expires_ns
        assert await names(site) == ["kept.demo"]


async def test_leases_begin_anew_with_the_controller(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.add_node("one", attach=False)
        await site.register("brief.demo", "one", ttl_seconds=3600)
        entry = await site.controller.store.get("service/brief.demo")
        assert entry is not None
        before = site.controller.state.services["brief.demo"].expires_ns
        past = entry.value.replace(str(before).encode(), b"1")
        await site.controller.store.commit(Transaction(puts={"service/brief.demo": past}))
        await site.stop()
        await site.start()  # the lease ran out while nobody could renew it
        (service,) = (await site.naming.ListServices(pb.ListServicesRequest())).services
        assert service.expires_ns > time.time_ns() + 3590 * 10**9


async def test_a_service_is_taken_back_only_when_no_connection_can_come_meanwhile(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        one, _ = await site.pair()
        async with held(site.controller.store, "service/") as reached:
            request = pb.UnregisterServiceRequest(name="files.demo")
            removal = site.naming.UnregisterService(request)
            await reached.wait()
            with refused(grpc.StatusCode.NOT_FOUND, "files.demo has just been taken back"):
                await site.lookup("laptop.demo", "files.demo")
            with refused(grpc.StatusCode.NOT_FOUND, "files.demo is just being taken back"):
                await site.naming.RenewService(pb.RenewServiceRequest(name="files.demo"))
        await removal
        assert not one.plane.tables["scid"]
        assert await names(site) == ["laptop.demo"]


async def test_a_service_taken_back_while_its_connection_is_stored_leaves_none(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.pair()
        async with held(site.controller.store, "connection/") as reached:
            lookup = asyncio.create_task(site.lookup("laptop.demo", "files.demo"))
            await reached.wait()
            await site.naming.UnregisterService(pb.UnregisterServiceRequest(name="files.demo"))
        with refused(grpc.StatusCode.NOT_FOUND, "files.demo has just been taken back"):
            await lookup
        assert (await site.controller.store.scan("connection/")).entries == ()
        assert not any(slots.used for slots in site.controller.state.slots.values())


async def test_services_outlive_the_controller(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.add_node("one", attach=False)
        before = await site.register("files.demo", "one")
        await site.stop()
        await site.start()
        assert await site.naming.GetService(pb.GetServiceRequest(name="files.demo")) == before
        assert (await site.register("other.demo", "one")).ipv4 != before.ipv4


async def test_a_service_that_cannot_be_stored_is_not_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Site(tmp_path) as site:
        await site.pair()
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        with monkeypatch.context() as patch:
            patch.setattr(site.controller.store, "commit", _fail)
            with refused(grpc.StatusCode.INTERNAL, "disk full"):
                await site.register("other.demo", "one")
            with refused(grpc.StatusCode.INTERNAL, "disk full"):
                await site.naming.UnregisterService(pb.UnregisterServiceRequest(name="files.demo"))
        assert await names(site) == ["files.demo", "laptop.demo"]
        assert (await site.lookup("laptop.demo", "files.demo")).scid == scid
        await site.register("other.demo", "one")
        await site.naming.UnregisterService(pb.UnregisterServiceRequest(name="files.demo"))
        assert await names(site) == ["laptop.demo", "other.demo"]


async def _fail(transaction: Transaction) -> int:
    raise StoreError("disk full")


# ---- the pool ----------------------------------------------------------------------------------------------


def test_a_pool_gives_each_address_once_and_says_when_none_is_left() -> None:
    pool = AddressPool(IPv4Network("10.0.0.0/29"), IPv6Network("fd00::/64"))
    taken = [pool.take(f"s{n}") for n in range(6)]
    assert {ipv4[-1] for ipv4, _ in taken} == {1, 2, 3, 4, 5, 6}
    assert all(ipv4[-1] == ipv6[-1] for ipv4, ipv6 in taken)
    with pytest.raises(ExhaustedError, match="larger ipv4_prefix"):
        pool.take("one.more")
    pool.release(*taken[3])
    assert pool.take("one.more") == taken[3]


def test_addresses_from_another_prefix_are_not_given_to_others_in_one_family() -> None:
    earlier = AddressPool(IPv4Network("10.0.0.0/29"), IPv6Network("fd00::/64"))
    kept = earlier.take("kept")
    pool = AddressPool(IPv4Network("10.9.0.0/29"), IPv6Network("fd00::/64"))
    pool.restore(*kept)
    assert kept[1] not in [pool.take(f"s{n}")[1] for n in range(5)]
    with pytest.raises(ExhaustedError):
        pool.take("one.more")
