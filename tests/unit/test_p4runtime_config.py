# SPDX-License-Identifier: Apache-2.0
"""Forwarding pipeline configuration and capabilities."""

import copy
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from finsy.proto import U128, p4i, p4r
from grpc import StatusCode

from dataplane.p4runtime.config import first_difference
from tests.unit.p4runtime_fixtures import DEVICE, FakeBackend, Peer, insert, serving

Set = p4r.SetForwardingPipelineConfigRequest
Get = p4r.GetForwardingPipelineConfigRequest


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    async with serving(tmp_path) as peer:
        await peer.become_primary()
        await peer.write(insert(peer.entry("terminate", [b"\1", b"\1"], "open")))
        yield peer


def config(peer: Peer, cookie: int | None = None, blob: bytes = b"") -> p4r.ForwardingPipelineConfig:
    given = p4r.ForwardingPipelineConfig(p4info=peer.backend.binding.p4info.message, p4_device_config=blob)
    if cookie is not None:
        given.cookie.cookie = cookie
    return given


async def set_config(
    peer: Peer, action: int, given: p4r.ForwardingPipelineConfig | None, election: int = 1
) -> None:
    await peer.stub.SetForwardingPipelineConfig(
        Set(
            device_id=DEVICE,
            election_id=U128.encode(election),
            action=Set.Action.ValueType(action),
            config=given,
        )
    )


async def refused(
    peer: Peer, action: int, given: p4r.ForwardingPipelineConfig | None, election: int = 1
) -> tuple[StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await set_config(peer, action, given, election)
    return caught.value.code(), caught.value.details()


async def get_config(peer: Peer, kind: int = Get.ALL) -> p4r.ForwardingPipelineConfig:
    request = Get(device_id=DEVICE, response_type=Get.ResponseType.ValueType(kind))
    return (await peer.stub.GetForwardingPipelineConfig(request)).config


async def test_a_stranger_gets_the_p4info_at_once(peer: Peer) -> None:
    given = await get_config(peer)
    assert given.p4info == peer.backend.binding.p4info.message
    assert not given.HasField("cookie")


async def test_parts_of_the_configuration(peer: Peer) -> None:
    whole = config(peer, 77, b"blob")
    await set_config(peer, Set.RECONCILE_AND_COMMIT, whole)
    assert await get_config(peer) == whole
    cookie = p4r.ForwardingPipelineConfig.Cookie(cookie=77)
    assert await get_config(peer, Get.COOKIE_ONLY) == p4r.ForwardingPipelineConfig(cookie=cookie)
    assert await get_config(peer, Get.P4INFO_AND_COOKIE) == config(peer, 77)
    assert await get_config(peer, Get.DEVICE_CONFIG_AND_COOKIE) == p4r.ForwardingPipelineConfig(
        cookie=cookie, p4_device_config=b"blob"
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await get_config(peer, 9)
    assert caught.value.code() == StatusCode.INVALID_ARGUMENT


async def test_reconcile_keeps_entries_and_commit_clears_them(peer: Peer) -> None:
    await set_config(peer, Set.RECONCILE_AND_COMMIT, config(peer, 1))
    assert len(await peer.read_table()) == 1
    await set_config(peer, Set.VERIFY, config(peer, 2))
    assert len(await peer.read_table()) == 1
    assert (await get_config(peer)).cookie.cookie == 1
    assert peer.backend.cleared == 0
    await set_config(peer, Set.VERIFY_AND_COMMIT, config(peer, 3))
    assert await peer.read_table() == []
    assert (await get_config(peer)).cookie.cookie == 3
    assert peer.backend.cleared == 1


async def test_saved_then_committed(peer: Peer) -> None:
    assert await refused(peer, Set.COMMIT, None) == (
        StatusCode.NOT_FOUND,
        "there is no saved configuration; send VERIFY_AND_SAVE first",
    )
    await set_config(peer, Set.VERIFY_AND_SAVE, config(peer, 5))
    assert not (await get_config(peer)).HasField("cookie")
    assert (await refused(peer, Set.COMMIT, config(peer, 5)))[0] == StatusCode.INVALID_ARGUMENT
    await set_config(peer, Set.COMMIT, None)
    assert (await get_config(peer)).cookie.cookie == 5
    assert (await refused(peer, Set.COMMIT, None))[0] == StatusCode.NOT_FOUND


async def test_another_pipeline_is_refused_by_name(peer: Peer) -> None:
    other = config(peer)
    scid = next(table for table in other.p4info.tables if table.preamble.alias == "scid")
    scid.match_fields[0].bitwidth = 32
    for action in (Set.VERIFY, Set.VERIFY_AND_SAVE, Set.VERIFY_AND_COMMIT, Set.RECONCILE_AND_COMMIT):
        code, told = await refused(peer, action, other)
        assert code == StatusCode.INVALID_ARGUMENT
        assert told == (
            "this data plane is compiled for another P4 program: scid among its tables is another; "
            "give the P4Info that GetForwardingPipelineConfig returns"
        )
    assert len(await peer.read_table()) == 1


async def test_bad_requests(peer: Peer) -> None:
    for action in (Set.VERIFY, Set.VERIFY_AND_SAVE, Set.VERIFY_AND_COMMIT, Set.RECONCILE_AND_COMMIT):
        assert (await refused(peer, action, None))[0] == StatusCode.INVALID_ARGUMENT
    assert (await refused(peer, Set.UNSPECIFIED, config(peer)))[0] == StatusCode.INVALID_ARGUMENT
    assert (await refused(peer, Set.VERIFY, config(peer), 9))[0] == StatusCode.PERMISSION_DENIED


async def test_the_cookie_outlives_the_agent(tmp_path: Path) -> None:
    backend = FakeBackend()
    async with serving(tmp_path, backend) as peer:
        await peer.become_primary()
        await set_config(peer, Set.RECONCILE_AND_COMMIT, config(peer, 42))
    async with serving(tmp_path, backend) as peer:
        assert (await get_config(peer, Get.COOKIE_ONLY)).cookie.cookie == 42
    backend.config = b"\xff\xff torn"
    async with serving(tmp_path, backend) as peer:
        assert not (await get_config(peer)).HasField("cookie")


async def test_other_devices_are_unknown(peer: Peer) -> None:
    for call, request in (
        (peer.stub.GetForwardingPipelineConfig, Get(device_id=2)),
        (peer.stub.SetForwardingPipelineConfig, Set(device_id=2)),
        (peer.stub.Capabilities, p4r.CapabilitiesRequest(device_id=2)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(request)  # type: ignore[operator]
        assert caught.value.code() == StatusCode.NOT_FOUND


async def test_capabilities(peer: Peer) -> None:
    for device in (0, DEVICE):
        told = await peer.stub.Capabilities(p4r.CapabilitiesRequest(device_id=device))
        assert told.p4runtime_api_version == "1.4.0"


def test_differences_are_named() -> None:
    ours = FakeBackend().binding.p4info.message

    def changed(change: str) -> p4i.P4Info:
        other = copy.deepcopy(ours)
        match change:
            case "smaller":
                other.tables[0].size = 1
            case "larger":
                other.tables[0].size = 1 << 20
            case "package":
                other.pkg_info.version = "99"
            case "more":
                other.tables.add().preamble.alias = "shadow"
            case "fewer":
                other.tables.remove(next(t for t in other.tables if t.preamble.alias == "uplink"))
            case "action":
                other.actions[2].params[0].bitwidth = 8
        return other

    assert first_difference(changed("smaller"), ours) == ""
    assert first_difference(changed("package"), ours) == ""
    assert first_difference(changed("larger"), ours) == "table port_role has 512 entries, not 1048576"
    assert first_difference(changed("more"), ours) == "it has no shadow among its tables"
    assert first_difference(changed("fewer"), ours) == "its tables also hold uplink"
    assert first_difference(changed("action"), ours) == "access among its actions is another"
