# SPDX-License-Identifier: Apache-2.0
"""A P4Runtime server over tables in bytearrays, and a client on a unix socket, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from finsy.proto import U128, p4r, p4r_grpc, rpc_status
from grpc import StatusCode

from dataplane.p4runtime.server import GRPC_OPTIONS, P4RuntimeServer
from moorline.errors import MoorlineError
from tests.unit.fake_pipeline import FakePipeline

DEVICE = 1


class Cells:
    """A counter of ``size`` cells in memory."""

    def __init__(self, size: int) -> None:
        self.cells = [(0, 0)] * size

    def read(self, index: int) -> tuple[int, int]:
        return self.cells[index]

    def read_all(self) -> list[tuple[int, int]]:
        return self.cells

    def write(self, index: int, packets: int, octets: int) -> None:
        self.cells[index] = (packets, octets)


class FakeBackend(FakePipeline):
    """What the server needs, with what the tests look at."""

    def __init__(self, sizes: dict[str, int] | None = None) -> None:
        super().__init__(sizes)
        self.counters = {c.name: Cells(c.size) for c in self.binding.p4info.counters.values()}
        self.config: bytes | None = None
        self.packets_out: list[tuple[int, int, bytes]] = []
        self.cleared = 0

    def load_config(self) -> bytes | None:
        return self.config

    def save_config(self, config: bytes) -> None:
        self.config = config

    def packet_out(self, ingress_port: int, egress_port: int, payload: bytes) -> None:
        if ingress_port == egress_port == 0:
            raise MoorlineError("there is no port 0; choose an access port")
        self.packets_out.append((ingress_port, egress_port, payload))

    def forwarding_cleared(self) -> None:
        self.cleared += 1


class Clock:
    """Nanoseconds that a test moves; ``step`` pass with each look at it."""

    def __init__(self) -> None:
        self.now = 1_000_000_000
        self.step = 0

    def __call__(self) -> int:
        self.now += self.step
        return self.now


class Stream:
    """One stream channel."""

    def __init__(self, stub: p4r_grpc.P4RuntimeStub) -> None:
        self.call = stub.StreamChannel()

    async def send(self, **update: object) -> None:
        await self.call.write(p4r.StreamMessageRequest(**update))

    async def read(self) -> p4r.StreamMessageResponse:
        message = await self.call.read()
        assert message is not grpc.aio.EOF, "the server ended the stream"
        return message

    async def arbitrate(
        self, election_id: int | None, device: int = DEVICE, role: p4r.Role | None = None
    ) -> p4r.MasterArbitrationUpdate:
        election = None if election_id is None else U128.encode(election_id)
        update = p4r.MasterArbitrationUpdate(device_id=device, election_id=election, role=role)
        await self.send(arbitration=update)
        return (await self.read()).arbitration

    async def close(self) -> None:
        await self.call.done_writing()
        while await self.call.read() is not grpc.aio.EOF:
            pass


class Peer:
    """A client of the server under test, and the server's inside."""

    def __init__(self, backend: FakeBackend, server: P4RuntimeServer, clock: Clock, address: str) -> None:
        self.backend, self.server, self.clock = backend, server, clock
        self.channel = grpc.aio.insecure_channel(address, options=GRPC_OPTIONS)
        self.stub = p4r_grpc.P4RuntimeStub(self.channel)

    def stream(self) -> Stream:
        return Stream(self.stub)

    async def become_primary(self, election_id: int = 1) -> Stream:
        stream = self.stream()
        assert (await stream.arbitrate(election_id)).status.code == 0
        return stream

    async def write(
        self,
        *updates: p4r.Update,
        election_id: int | None = 1,
        atomicity: int = 0,
        device: int = DEVICE,
        role: str = "",
    ) -> None:
        request = p4r.WriteRequest(
            device_id=device,
            role=role,
            updates=updates,
            atomicity=p4r.WriteRequest.Atomicity.ValueType(atomicity),
        )
        if election_id is not None:
            request.election_id.CopyFrom(U128.encode(election_id))
        await self.stub.Write(request)

    async def errors(self, *updates: p4r.Update, atomicity: int = 0) -> list[tuple[int, str]]:
        """Codes and messages for a batch that must fail."""
        try:
            await self.write(*updates, atomicity=atomicity)
        except grpc.aio.AioRpcError as error:
            assert error.code() == StatusCode.UNKNOWN, error
            return details_of(error)
        raise AssertionError("the batch went well")

    async def read(self, *entities: p4r.Entity) -> list[p4r.Entity]:
        request = p4r.ReadRequest(device_id=DEVICE, entities=entities)
        return [entity async for response in self.stub.Read(request) for entity in response.entities]

    async def read_table(self, **asked: object) -> list[p4r.TableEntry]:
        found = await self.read(p4r.Entity(table_entry=p4r.TableEntry(**asked)))
        return [entity.table_entry for entity in found]

    def table_id(self, table: str) -> int:
        return self.backend.binding.p4info.table(table).id

    def entry(
        self,
        table: str,
        match: Iterable[bytes],
        action: str | None = None,
        params: Iterable[bytes] = (),
        **fields: object,
    ) -> p4r.TableEntry:
        """An entry with field and parameter numbers counted from 1."""
        entry = p4r.TableEntry(table_id=self.table_id(table), **fields)
        for number, value in enumerate(match, 1):
            entry.match.add(field_id=number).exact.value = value
        if action is not None:
            entry.action.action.action_id = self.backend.binding.p4info.action(action).id
            for number, value in enumerate(params, 1):
                entry.action.action.params.add(param_id=number, value=value)
        return entry


def details_of(error: grpc.aio.AioRpcError) -> list[tuple[int, str]]:
    metadata = dict(error.trailing_metadata())
    status = rpc_status.Status.FromString(metadata["grpc-status-details-bin"])
    assert status.code == StatusCode.UNKNOWN.value[0]
    assert status.message == error.details()
    unpacked = []
    for detail in status.details:
        told = p4r.Error()
        assert detail.Unpack(told)
        unpacked.append((told.canonical_code, told.message))
    return unpacked


def update(kind: int, entry: p4r.TableEntry) -> p4r.Update:
    return p4r.Update(type=p4r.Update.Type.ValueType(kind), entity=p4r.Entity(table_entry=entry))


def insert(entry: p4r.TableEntry) -> p4r.Update:
    return update(p4r.Update.INSERT, entry)


def modify(entry: p4r.TableEntry) -> p4r.Update:
    return update(p4r.Update.MODIFY, entry)


def delete(entry: p4r.TableEntry) -> p4r.Update:
    return update(p4r.Update.DELETE, entry)


@asynccontextmanager
async def serving(folder: Path, backend: FakeBackend | None = None) -> AsyncIterator[Peer]:
    """A server on a unix socket in ``folder``, with a client."""
    backend = backend or FakeBackend()
    clock = Clock()
    server = P4RuntimeServer(backend, DEVICE, clock)
    listener = grpc.aio.server(options=GRPC_OPTIONS)
    server.add_to(listener)
    address = f"unix:{folder / 'p4.sock'}"
    listener.add_insecure_port(address)
    await listener.start()
    peer = Peer(backend, server, clock, address)
    try:
        yield peer
    finally:
        await peer.channel.close()
        await listener.stop(None)
