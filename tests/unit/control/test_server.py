# SPDX-License-Identifier: Apache-2.0
"""The controller's start, its end, and what it says of itself."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from control.config import ControllerConfig
from control.errors import StartError, StoreError
from control.server import Controller
from control.store.base import Transaction
from moorline.api.v1 import moorline_pb2 as pb
from moorline.errors import MoorlineError
from moorline.local_socket import SocketPathError
from tests.unit.control.held import held
from tests.unit.control.refusal import refused
from tests.unit.control.site import Site

SERVING = health_pb2.HealthCheckResponse.SERVING


async def start_fails(config: ControllerConfig, kind: type[MoorlineError], why: str) -> None:
    with pytest.raises(kind, match=why) as caught:
        async with Controller(config):
            pass
    assert "\n" not in str(caught.value)


async def test_health_is_told_for_each_service_and_ends_with_the_controller(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        channel = grpc.aio.insecure_channel(f"unix:{site.config.socket}")
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "moorline.v1.Naming", "moorline.v1.NodeSession"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == SERVING
        with refused(grpc.StatusCode.NOT_FOUND, ""):
            await stub.Check(health_pb2.HealthCheckRequest(service="moorline.v1.Nothing"))
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        stopping = asyncio.create_task(site.stop())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await stopping
        await channel.close()
        await site.start()


async def test_reflection_lists_the_services(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        call = reflection_pb2_grpc.ServerReflectionStub(site.channel).ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        answer = await call.read()
        names = {service.name for service in answer.list_services_response.service}
        assert {"moorline.v1.Naming", "moorline.v1.Connections", "grpc.health.v1.Health"} <= names
        call.cancel()


async def test_a_second_controller_on_the_same_state_is_refused_and_does_no_harm(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await start_fails(
            site.config.model_copy(update={"port": 0, "join_port": 0}),
            StoreError,
            "in use by another process: stop that controller first",
        )
        await site.naming.ListServices(pb.ListServicesRequest())
        assert site.config.socket.exists()


async def test_a_socket_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        other = {"port": 0, "join_port": 0, "state_dir": tmp_path / "other"}
        await start_fails(site.config.model_copy(update=other), SocketPathError, "is in use: stop what")
        assert site.config.socket.exists()


async def test_a_socket_left_behind_is_taken(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "c.sock"))
    async with Site(tmp_path) as site:
        await site.naming.ListServices(pb.ListServicesRequest())
        assert site.config.socket.stat().st_mode & 0o777 == 0o600
    assert not site.config.socket.exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("precious", "is no socket, and stays as it is: set controller.socket"),
        ("precious/c.sock", "cannot be made"),
        ("x" * 108, "more than 107 octets"),
    ],
)
async def test_a_path_that_no_socket_can_have(name: str, why: str, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("of somebody else")
    config = ControllerConfig(state_dir=tmp_path / "state", socket=tmp_path / name, port=0, join_port=0)
    await start_fails(config, SocketPathError, why)
    assert precious.read_text() == "of somebody else"


@pytest.mark.parametrize("which", ["port", "join_port"])
async def test_a_port_in_use_is_named(which: str, tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        other: dict[str, Any] = {"port": 0, "join_port": 0, "state_dir": tmp_path / "other"}
        other |= {"socket": tmp_path / "other.sock", which: site.controller.port}
        await start_fails(
            site.config.model_copy(update=other), StartError, f"{site.target} cannot be listened on: see what"
        )


async def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = ControllerConfig(state_dir=tmp_path / "file" / "state", socket=tmp_path / "c.sock")
    await start_fails(config, StartError, "state_dir .* cannot be made")


async def test_a_folder_with_other_things_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "of-somebody-else").touch()
    config = ControllerConfig(state_dir=tmp_path, socket=tmp_path / "c.sock", port=0, join_port=0)
    async with Controller(config):
        assert tmp_path.stat().st_mode & 0o777 == 0o755
        assert not (tmp_path / "store.sqlite").stat().st_mode & 0o077
    for mode in ((tmp_path / name).stat().st_mode for name in ("ca.key", "credentials", "operators/admin")):
        assert not mode & 0o077


@pytest.mark.parametrize("entry", [b"rubbish", b"{}", b"[]", b"\xff"])
async def test_a_store_with_an_entry_that_is_none(entry: bytes, tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.add_node("one")
        config = site.config.model_copy(update={"port": 0, "join_port": 0})
    with closing(sqlite3.connect(config.store_path)) as store, store:
        store.execute("UPDATE entry SET value = ?", (entry,))
    await start_fails(config, StoreError, "holds an entry that cannot be read .*: restore a backup")


async def test_a_contract_that_lacks_what_is_written_is_refused(tmp_path: Path) -> None:
    text = ControllerConfig().p4info.read_text()
    for content, why in (
        (text.replace('"scid"', '"skid"'), "the contract's table .* has not the key"),
        ("rubbish", "is no P4Info"),
    ):
        (tmp_path / "p4info.txtpb").write_text(content)
        config = ControllerConfig(
            state_dir=tmp_path / "state",
            socket=tmp_path / "c.sock",
            port=0,
            join_port=0,
            p4info=tmp_path / "p4info.txtpb",
        )
        await start_fails(config, StartError, why)
    await start_fails(config.model_copy(update={"p4info": tmp_path / "none"}), StartError, "cannot be read")


async def test_status_counts(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.pair()
        await site.add_node("three", attach=False)
        await site.lookup("laptop.demo", "files.demo")
        status = await site.admin.GetControllerStatus(pb.GetControllerStatusRequest())
        assert (status.services, status.connections, status.nodes) == (2, 1, 3)
        assert (status.nodes_connected, status.nodes_converged) == (2, 2)
        assert status.store == f"sqlite:{site.config.store_path}"


async def test_a_defect_is_told_in_one_sentence_without_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Site(tmp_path) as site:
        await site.pair()
        monkeypatch.setattr(site.controller.connections, "_permit", lambda *_: 1 / 0)
        failed = "^the controller failed at this request: look into its log$"
        with refused(grpc.StatusCode.INTERNAL, failed):
            await site.lookup("laptop.demo", "files.demo")
        stream = site.naming.LookupStream()
        await stream.write(pb.LookupRequest(request_id=7, client="laptop.demo", server="files.demo"))
        answer = await stream.read()
        assert (answer.request_id, answer.failure.code) == (7, grpc.StatusCode.INTERNAL.value[0])
        stream.cancel()


async def test_what_cannot_be_stored_at_the_end_does_not_keep_the_controller_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Site(tmp_path) as site:
        await site.pair()
        scid = (await site.lookup("laptop.demo", "files.demo")).scid
        site.controller.accounting._changed.add(site.controller.state.connections[scid])
        monkeypatch.setattr(site.controller.store, "commit", _fail)
        await site.stop()
        await site.start()
        assert (await site.connection(scid)).scid == scid


async def _fail(transaction: Transaction) -> int:
    raise StoreError("disk full")


async def test_what_lost_its_footing_in_a_crash_is_cleared_away_at_the_start(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.pair()
        await site.lookup("laptop.demo", "files.demo")
        await site.controller.store.commit(Transaction(deletes=frozenset(["node/two"])))
        await site.stop()
        await site.start()
        status = await site.admin.GetControllerStatus(pb.GetControllerStatusRequest())
        assert (status.nodes, status.services, status.connections) == (1, 1, 0)
        left = [entry.key for entry in (await site.controller.store.scan("")).entries]
        assert left == ["node/one", "secret/pairs", "service/laptop.demo"]


async def test_a_node_with_services_is_not_removed_nor_while_one_comes(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.pair()
        remove = pb.RemoveNodeRequest(name="one")
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "still hosts 1 services: unregister them first"):
            await site.admin.RemoveNode(remove)
        await site.naming.UnregisterService(pb.UnregisterServiceRequest(name="laptop.demo"))
        async with held(site.controller.store, "service/") as reached:
            registration = asyncio.create_task(site.register("new.demo", "one"))
            await reached.wait()
            with refused(grpc.StatusCode.FAILED_PRECONDITION, "still hosts 1 services"):
                await site.admin.RemoveNode(remove)
        await registration
        await site.naming.UnregisterService(pb.UnregisterServiceRequest(name="new.demo"))
        async with held(site.controller.store, "node/") as reached:
            removal = site.admin.RemoveNode(remove)
            await reached.wait()
            with refused(grpc.StatusCode.NOT_FOUND, "node 'one' is not known"):
                await site.register("new.demo", "one")
        await removal
        assert [node.name for node in (await site.admin.ListNodes(pb.ListNodesRequest())).nodes] == ["two"]
        with refused(grpc.StatusCode.NOT_FOUND, "node 'nobody' is not known"):
            await site.admin.RemoveNode(pb.RemoveNodeRequest(name="nobody"))
