# SPDX-License-Identifier: Apache-2.0
"""A node in one object: a P4Runtime server over dictionaries, and an agent's session with the controller."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from finsy.proto import U128, p4i, p4r, p4r_grpc, rpc_code, rpc_status
from google.protobuf import any_pb2

from moorline.api.v1 import moorline_pb2 as pb
from moorline.api.v1 import moorline_pb2_grpc as pb_grpc
from moorline.api.v1 import peers_pb2 as peers_pb
from moorline.tls import CONTROLLER, Credentials, channel_options, joining_channel_credentials
from moorline.wire import Event

Key = tuple[bytes, ...]


def key_of(entry: p4r.TableEntry) -> Key:
    fields = sorted(entry.match, key=lambda field: field.field_id)
    parts = tuple(part for field in fields for part in parts_of(field))
    return (*parts, canonical(entry.priority)) if entry.priority else parts


def parts_of(field: p4r.FieldMatch) -> Key:
    if field.HasField("lpm"):
        return field.lpm.value, bytes([field.lpm.prefix_len])
    if field.HasField("ternary"):
        return bytes([field.field_id]), field.ternary.value, field.ternary.mask
    return (field.exact.value,)


class FakeDataPlane(p4r_grpc.P4RuntimeServicer):
    """Entries, counters and streams; survives :meth:`stop` and :meth:`start` as pinned maps do."""

    def __init__(self, p4info: p4i.P4Info) -> None:
        self.p4info: p4i.P4Info | None = p4info
        self.cookie = 0
        self.pushed: list[p4r.ForwardingPipelineConfig] = []
        self.tables: dict[str, dict[Key, p4r.TableEntry]] = {t.preamble.alias: {} for t in p4info.tables}
        self.names = {t.preamble.id: t.preamble.alias for t in p4info.tables}
        self.ids = {alias: number for number, alias in self.names.items()}
        self.actions = {a.preamble.alias: a.preamble.id for a in p4info.actions}
        self.counters: dict[tuple[str, Key], tuple[int, int]] = {}
        self.port_events: dict[int, tuple[int, int]] = {}
        self.elapsed_ns = 0
        self.packet_outs: list[p4r.PacketOut] = []
        self.early: list[bytes] = []
        """Packets of unknown pairs that wait for a primary."""
        self.digests: dict[int, p4r.DigestEntry.Config] = {}
        self.digest_writes = 0
        self.acknowledged: list[int] = []
        self.writes: list[list[p4r.Update]] = []
        self.reads = 0
        self.refuse: Callable[[p4r.Update], int] = lambda update: rpc_code.OK
        self.cut_after: int | None = None
        """After so many updates of the next batch the server dies, and comes back with what it has."""
        self.gate = asyncio.Event()
        self.gate.set()
        self.primary = 0
        self.bids: list[int] = []
        self._lists = itertools.count(1000)
        self._streams: dict[int, Any] = {}
        self._changed = asyncio.Condition()
        self._server: Any = None
        self._p4info = p4info

    # ---- life ----

    async def start(self, port: int, credentials: Credentials) -> int:
        return await self._start(
            lambda server: server.add_secure_port(f"[::]:{port}", credentials.for_server())
        )

    async def start_plain(self, address: str) -> int:
        """As a switch serves: without TLS."""
        return await self._start(lambda server: server.add_insecure_port(address))

    async def _start(self, listen: Callable[[Any], int]) -> int:
        self._listen = listen
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        p4r_grpc.add_P4RuntimeServicer_to_server(self, self._server)
        bound = listen(self._server)
        await self._server.start()
        return bound

    def empty(self) -> None:
        """As a switch is after its restart: without pipeline and entries."""
        self.p4info = None
        self.digests.clear()
        for table in self.tables.values():
            table.clear()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
        self._server = None
        self._streams.clear()
        self.primary = 0

    # ---- for tests ----

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(holds)

    def entry(self, table: str, *key: int | bytes) -> p4r.TableEntry | None:
        return self.tables[table].get(tuple(canonical(part) for part in key))

    def params(self, entry: p4r.TableEntry) -> dict[str, bytes]:
        action = next(a for a in self._p4info.actions if a.preamble.id == entry.action.action.action_id)
        names = {param.id: param.name for param in action.params}
        return {names[param.param_id]: param.value for param in entry.action.action.params}

    async def packet_in(
        self, port: int, payload: bytes, reason: int = Event.PUNT_CONNECTION_MISS, mtu: int = 0
    ) -> None:
        packet = p4r.PacketIn(payload=payload)
        for number, value in ((1, port), (2, 0), (3, reason), (4, mtu)):
            packet.metadata.add(metadata_id=number, value=canonical(value))
        await self._streams[self.primary].write(p4r.StreamMessageResponse(packet=packet))

    async def idle(self, entry: p4r.TableEntry) -> None:
        notification = p4r.IdleTimeoutNotification(table_entry=[entry], timestamp=1)
        await self._streams[self.primary].write(
            p4r.StreamMessageResponse(idle_timeout_notification=notification)
        )

    async def digest(self, list_id: int, *scids: int) -> None:
        """Packets with unknown SCIDs, told to the primary."""
        (digest,) = (one for one in self._p4info.digests if one.preamble.alias == "scid_unknown")
        told = p4r.DigestList(digest_id=digest.preamble.id, list_id=list_id)
        for scid in scids:
            members = told.data.add().struct.members
            for value in (1, scid, 0):
                members.add(bitstring=canonical(value))
        await self._streams[self.primary].write(p4r.StreamMessageResponse(digest=told))

    async def sighting(self, spi: int, si: int, instance: int, probe: int) -> None:
        """A probe at a place of a path, told to the primary."""
        (digest,) = (one for one in self._p4info.digests if one.preamble.alias == "path_trace")
        told = p4r.DigestList(digest_id=digest.preamble.id, list_id=next(self._lists))
        members = told.data.add().struct.members
        for value in (1, spi, si, instance, probe):
            members.add(bitstring=canonical(value))
        await self._streams[self.primary].write(p4r.StreamMessageResponse(digest=told))

    # ---- P4Runtime ----

    async def StreamChannel(self, requests: Any, context: Any) -> None:
        mine = 0
        try:
            async for request in requests:
                if request.HasField("arbitration"):
                    mine = U128.decode(request.arbitration.election_id)
                    self.bids.append(mine)
                    self._streams[mine] = context
                    self.primary = max(self._streams)
                    await self._arbitrate()
                    while self.early:
                        await self.packet_in(1, self.early.pop(0))
                elif request.HasField("packet"):
                    self.packet_outs.append(request.packet)
                    await self._tell()
                elif request.HasField("digest_ack"):
                    self.acknowledged.append(request.digest_ack.list_id)
                    await self._tell()
        finally:
            if self._streams.pop(mine, None) is not None:
                self.primary = max(self._streams, default=0)

    async def _arbitrate(self) -> None:
        for election, stream in list(self._streams.items()):
            code = rpc_code.OK if election == self.primary else rpc_code.ALREADY_EXISTS
            update = p4r.MasterArbitrationUpdate(
                device_id=1, election_id=U128.encode(self.primary), status=rpc_status.Status(code=code)
            )
            await stream.write(p4r.StreamMessageResponse(arbitration=update))

    async def GetForwardingPipelineConfig(self, request: Any, context: Any) -> Any:
        if self.p4info is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no forwarding pipeline config")
        cookie = p4r.ForwardingPipelineConfig.Cookie(cookie=self.cookie)
        config = p4r.ForwardingPipelineConfig(p4info=self.p4info, cookie=cookie)
        return p4r.GetForwardingPipelineConfigResponse(config=config)

    async def SetForwardingPipelineConfig(self, request: Any, context: Any) -> Any:
        if U128.decode(request.election_id) != self.primary:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not primary")
        self.empty()
        self.p4info, self.cookie = request.config.p4info, request.config.cookie.cookie
        self.pushed.append(request.config)
        return p4r.SetForwardingPipelineConfigResponse()

    async def Capabilities(self, request: Any, context: Any) -> Any:
        return p4r.CapabilitiesResponse(p4runtime_api_version="1.4.0")

    async def Write(self, request: Any, context: Any) -> Any:
        await self.gate.wait()
        if U128.decode(request.election_id) != self.primary:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not primary")
        if self.cut_after is not None:
            await self._cut(request.updates)
        if rows := [one for one in request.updates if one.entity.HasField("table_entry")]:
            self.writes.append(rows)
        codes = [self._apply(update) for update in request.updates]
        await self._tell()
        if any(codes):
            errors = [p4r.Error(canonical_code=code, message=f"code {code}") for code in codes]
            status = rpc_status.Status(code=rpc_code.UNKNOWN, message="failed updates")
            for error in errors:
                detail = any_pb2.Any()
                detail.Pack(error)
                status.details.add().CopyFrom(detail)
            trailer = (("grpc-status-details-bin", status.SerializeToString()),)
            await context.abort(grpc.StatusCode.UNKNOWN, "failed updates", trailer)
        return p4r.WriteResponse()

    async def _cut(self, updates: Sequence[p4r.Update]) -> None:
        for update in updates[: self.cut_after]:
            self._apply(update)
        self.cut_after = None
        asyncio.create_task(self._restart())  # noqa: RUF006 - it ends this call
        await asyncio.Event().wait()

    async def _restart(self) -> None:
        await self.stop()
        await self._start(self._listen)

    def _apply(self, update: p4r.Update) -> int:
        if update.entity.HasField("digest_entry"):
            return self._apply_digest(update.type, update.entity.digest_entry)
        entry = update.entity.table_entry
        table, key = self.tables[self.names[entry.table_id]], key_of(entry)
        if code := self.refuse(update):
            return code
        if update.type == p4r.Update.INSERT and key in table:
            return rpc_code.ALREADY_EXISTS
        if update.type != p4r.Update.INSERT and key not in table:
            return rpc_code.NOT_FOUND
        if update.type == p4r.Update.DELETE:
            del table[key]
            self.counters.pop((self.names[entry.table_id], key), None)
        else:
            table[key] = entry
        return rpc_code.OK

    def _apply_digest(self, kind: int, entry: p4r.DigestEntry) -> int:
        if (kind == p4r.Update.INSERT) == (entry.digest_id in self.digests):
            return rpc_code.ALREADY_EXISTS if kind == p4r.Update.INSERT else rpc_code.NOT_FOUND
        self.digests[entry.digest_id] = entry.config
        self.digest_writes += 1
        return rpc_code.OK

    async def Read(self, request: Any, context: Any) -> Any:
        for wanted in request.entities:
            if wanted.HasField("counter_entry"):
                yield self._read_port_events(wanted.counter_entry)
                continue
            if wanted.HasField("digest_entry"):
                yield self._read_digest(wanted.digest_entry.digest_id)
                continue
            asked = wanted.table_entry
            name = self.names[asked.table_id]
            entries = self.tables[name]
            keys = [key_of(asked)] if asked.match else list(entries)
            found = [entries[key] for key in keys if key in entries]
            for part in itertools.batched(found, 500) if hasattr(itertools, "batched") else _batched(found):
                yield p4r.ReadResponse(entities=[self._show(name, asked, entry) for entry in part])
        self.reads += 1
        await self._tell()

    def _show(self, name: str, asked: p4r.TableEntry, entry: p4r.TableEntry) -> p4r.Entity:
        shown = p4r.TableEntry()
        shown.CopyFrom(entry)
        if asked.HasField("counter_data"):
            packets, octets = self.counters.get((name, key_of(entry)), (0, 0))
            shown.counter_data.packet_count, shown.counter_data.byte_count = packets, octets
        if asked.HasField("time_since_last_hit"):
            shown.time_since_last_hit.elapsed_ns = self.elapsed_ns
        return p4r.Entity(table_entry=shown)

    def _read_digest(self, digest_id: int) -> p4r.ReadResponse:
        entry = p4r.DigestEntry(digest_id=digest_id, config=self.digests[digest_id])
        return p4r.ReadResponse(entities=[p4r.Entity(digest_entry=entry)])

    def _read_port_events(self, asked: p4r.CounterEntry) -> p4r.ReadResponse:
        response = p4r.ReadResponse()
        for index, (packets, octets) in self.port_events.items():
            entry = response.entities.add().counter_entry
            entry.counter_id = asked.counter_id
            entry.index.index = index
            entry.data.packet_count, entry.data.byte_count = packets, octets
        return response

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class FakeNode:
    """A joined node: certificate, data plane, session."""

    def __init__(self, name: str, p4info: p4i.P4Info) -> None:
        self.name = name
        self.stubs = pb_grpc
        self.plane = FakeDataPlane(p4info)
        self.updates: list[pb.NodeUpdate] = []
        self.capacity = 65536
        self.access_port = 1
        self.ports: list[pb.Port] = []
        self.feature_peers: list[peers_pb.FeaturePeer] = []
        self.addresses: list[str] = []
        self.mtu = 1500
        self.port = 0
        self._generations = itertools.count(1)
        self.generation = 0
        self._changed = asyncio.Condition()
        self._session: Any = None
        self._task: asyncio.Task[None] | None = None
        self.channel: Any = None
        self.credentials: Credentials

    async def join(self, join_target: str, secret: bytes, authority: bytes) -> None:
        """Redeem a token's secret; ``authority`` is PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        request = (
            x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        )
        async with grpc.aio.secure_channel(
            join_target, joining_channel_credentials(authority), channel_options(CONTROLLER)
        ) as channel:
            answer = await pb_grpc.JoiningStub(channel).Join(
                pb.JoinRequest(
                    node=self.name,
                    token_secret=secret,
                    certificate_request=request.public_bytes(serialization.Encoding.DER),
                )
            )
        certificate = x509.load_der_x509_certificate(answer.certificate)
        self.credentials = Credentials(
            authority,
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    async def start(self, address: str) -> None:
        """Serve at every address of this machine: where the node is, is what it says."""
        self.addresses = [address]
        self.port = await self.plane.start(self.port, self.credentials)

    async def attach(self, target: str) -> None:
        """Open a session and wait until it is synchronized."""
        options = [*channel_options(CONTROLLER), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.aio.secure_channel(target, self.credentials.for_channel(), options=options)
        self._session = pb_grpc.NodeSessionStub(self.channel).Attach()
        self.updates = []
        self._task = asyncio.create_task(self._listen(self._session))
        await self._session.write(pb.NodeReport(hello=self.hello()))
        await self.told(lambda: any(update.HasField("synchronized") for update in self.updates))

    async def detach(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self.channel is not None:
            await self.channel.close()
            self.channel = None

    async def stop(self) -> None:
        await self.detach()
        await self.plane.stop()

    def hello(self) -> pb.NodeHello:
        return pb.NodeHello(
            version="test",
            p4runtime_port=self.port,
            connection_capacity=self.capacity,
            access_port=self.access_port,
            ports=self.ports,
            feature_peers=self.feature_peers,
            locators=self.locators(),
        )

    def locators(self) -> pb.LocatorsChanged:
        self.generation = next(self._generations)
        return pb.LocatorsChanged(
            generation=self.generation,
            locators=[
                pb.Locator(address=ip_address(a).packed, port=2 + n, interface=f"eth{n}", mtu=self.mtu)
                for n, a in enumerate(self.addresses)
            ],
        )

    async def report(self, addresses: Sequence[str]) -> None:
        self.addresses = list(addresses)
        await self.send(pb.NodeReport(locators=self.locators()))

    async def send(self, report: pb.NodeReport) -> None:
        await self._session.write(report)

    async def ended(self) -> None:
        """Wait until the controller ends the session; raises what it ends with."""
        assert self._task is not None
        async with asyncio.timeout(10):
            await self._task

    async def told(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(holds)

    async def _listen(self, session: Any) -> None:
        async for update in session:
            self.updates += update.several.updates if update.HasField("several") else [update]
            async with self._changed:
                self._changed.notify_all()


def canonical(value: int | bytes) -> bytes:
    if isinstance(value, int):
        return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return value.lstrip(b"\0") or b"\0"


def _batched(items: list[Any]) -> Any:
    for start in range(0, len(items), 500):
        yield items[start : start + 500]
