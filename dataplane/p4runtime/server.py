# SPDX-License-Identifier: Apache-2.0
"""The P4Runtime service of one device."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Final

import grpc
import structlog
from finsy.proto import p4r, p4r_grpc

from dataplane.bpf.table_map import TableError, TableMap
from dataplane.contract.binding import BoundTable
from dataplane.contract.errors import EntryError
from dataplane.p4runtime.arbitration import Arbitration, check_device, check_role
from dataplane.p4runtime.backend import Backend
from dataplane.p4runtime.config import PipelineConfig
from dataplane.p4runtime.counters import IndirectCounter
from dataplane.p4runtime.entries import EntryTable
from dataplane.p4runtime.errors import Refused, abort, abort_batch
from dataplane.p4runtime.idle import IdleTimers
from dataplane.p4runtime.learning import Learning
from dataplane.p4runtime.reads import Fill, Reader
from dataplane.p4runtime.stream import Streams
from dataplane.p4runtime.writes import YIELD_EVERY, Writer
from moorline.errors import MoorlineError

log = structlog.get_logger(__name__)

API_VERSION: Final = "1.4.0"
"""The version of the P4Runtime specification that is served."""

ENTITIES_PER_MESSAGE: Final = 100
"""Entities in one ``ReadResponse``: some 10 KiB, a millisecond or two of work."""

READ_PAUSE: Final = 3
"""While there are writes, a read pauses after each message for so many times what that took to make."""

WRITES_LAST_NS: Final = 100_000_000
"""For so long after a write more are expected."""

IDLE_STEP: Final = 256
"""Entries looked at in one turn of the event loop."""

IDLE_PAUSE: Final = 0.02
"""Seconds between two rounds of looking at entries with idle time-outs, at least."""

GRPC_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_metadata_size", 4 << 20),
    ("grpc.absolute_max_metadata_size", 4 << 20),
)
"""For the gRPC server: writes of 100,000 entries, and the errors of as many."""


class P4RuntimeServer(p4r_grpc.P4RuntimeServicer):
    """Serves P4Runtime for the tables of ``backend``.

    Args:
        backend: the data plane.
        device_id: the number of this device, not 0.
        clock: nanoseconds of a steady clock, for idle time-outs.
    """

    def __init__(
        self, backend: Backend, device_id: int = 1, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        p4info = backend.binding.p4info
        self._backend = backend
        self._device_id = device_id
        self._clock = clock
        self._writing = asyncio.Lock()
        self._writes_expected_ns = 0
        """Until then, on ``clock``."""
        self._arbitration = Arbitration(device_id)
        self._streams = Streams(backend, self._arbitration, self._writing, self._acknowledge)
        self._learning = Learning(
            p4info.digests, lambda: self._arbitration.primary, self._streams.to_primary, clock
        )
        self._config = PipelineConfig(backend)
        self._idle: dict[int, IdleTimers] = {}
        self._idle_sooner = asyncio.Event()
        self._tables = {
            number: self._entry_table(bound, backend.tables[bound.table.name])
            for number, bound in backend.binding.tables.items()
        }
        counters = {
            number: IndirectCounter(counter, backend.counters[counter.name])
            for number, counter in p4info.counters.items()
        }
        self._writer = Writer(self._tables, counters, self._learning, p4info.switch_only)
        self._reader = Reader(self._tables, counters, self._learning, p4info.switch_only)

    def packet_in(self, port: int, reason: int, mtu: int, payload: bytes, source: bytes = b"") -> None:
        """Hands a packet of the data plane to the primary, or keeps it until there is one.

        ``source`` is any name for its sender: each has its share of the room for those that wait.
        """
        self._streams.packet_in({"ingress_port": port, "reason": reason, "mtu": mtu}, payload, source)

    def digest(self, digest_id: int, message: bytes) -> None:
        """Hands a digest of the data plane to the primary, if it wants it; each member is in whole octets."""
        self._learning.take(digest_id, message)

    async def watch_idle(self) -> None:
        """Tells the primary of idle entries, until cancelled."""
        while True:
            self._idle_sooner.clear()
            for number, timers in self._idle.items():
                while (due := timers.next_due_ns()) is not None and due <= self._clock():
                    self._tell_idle(self._tables[number], timers.expired(IDLE_STEP))
                    await asyncio.sleep(0)
            await asyncio.sleep(IDLE_PAUSE)
            await _heard(self._idle_sooner, self._until_due())

    def _until_due(self) -> float | None:
        """Seconds until an entry is to be looked at; none if there is no such entry."""
        due = [at for timers in self._idle.values() if (at := timers.next_due_ns()) is not None]
        return (min(due) - self._clock()) / 1e9 if due else None

    async def Capabilities(  # noqa: N802
        self, request: p4r.CapabilitiesRequest, context: grpc.aio.ServicerContext
    ) -> p4r.CapabilitiesResponse:
        """Which version of P4Runtime this is."""
        try:
            if request.device_id:
                check_device(request.device_id, self._device_id)
        except Refused as error:
            await abort(context, error)
        return p4r.CapabilitiesResponse(p4runtime_api_version=API_VERSION)

    async def GetForwardingPipelineConfig(  # noqa: N802
        self, request: p4r.GetForwardingPipelineConfigRequest, context: grpc.aio.ServicerContext
    ) -> p4r.GetForwardingPipelineConfigResponse:
        """The P4Info, and what a controller gave with it."""
        try:
            check_device(request.device_id, self._device_id)
            config = self._config.get(request.response_type)
        except Refused as error:
            await abort(context, error)
        return p4r.GetForwardingPipelineConfigResponse(config=config)

    async def SetForwardingPipelineConfig(  # noqa: N802
        self, request: p4r.SetForwardingPipelineConfigRequest, context: grpc.aio.ServicerContext
    ) -> p4r.SetForwardingPipelineConfigResponse:
        """Accepts the pipeline that is there, with any cookie."""
        try:
            self._check_primary(request)
            async with self._writing:
                self._check_primary(request)
                if self._config.set(request):
                    await self._clear()
        except Refused as error:
            await abort(context, error)
        return p4r.SetForwardingPipelineConfigResponse()

    async def Write(self, request: p4r.WriteRequest, context: grpc.aio.ServicerContext) -> p4r.WriteResponse:  # noqa: N802
        """Applies a batch of updates."""
        try:
            self._check_primary(request)
            async with self._writing:
                self._check_primary(request)  # another may have become it while this one waited
                errors = await self._writer.write(request.updates, request.atomicity)
                self._writes_expected_ns = self._clock() + WRITES_LAST_NS
        except Refused as error:
            await abort(context, error)
        if any(errors):
            await abort_batch(context, errors)
        return p4r.WriteResponse()

    async def Read(  # noqa: N802
        self, request: p4r.ReadRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[p4r.ReadResponse]:
        """Streams the entities that were asked for, all as of one moment between two writes.

        Packets wait for writes, nobody for counters: while there are writes, most of the time is theirs.
        """
        try:
            check_device(request.device_id, self._device_id)
            check_role(request.role)
        except Refused as error:
            await abort(context, error)
        found: list[Iterator[Fill]] = []
        errors: list[MoorlineError | None] = []
        async with self._writing:
            for entity in request.entities:
                try:
                    found.append(self._reader.find(entity))
                    errors.append(None)
                except (EntryError, TableError, Refused) as error:
                    errors.append(error)
        response = p4r.ReadResponse()
        begun_ns = self._clock()
        for number, fill in enumerate(chain.from_iterable(found), 1):
            fill(response.entities.add())
            if number % ENTITIES_PER_MESSAGE == 0:
                took_ns = self._clock() - begun_ns
                yield response
                if self._clock() < self._writes_expected_ns:
                    await asyncio.sleep(READ_PAUSE * took_ns / 1e9)
                response = p4r.ReadResponse()
                begun_ns = self._clock()
        if response.entities:
            yield response
        if any(errors):
            await abort_batch(context, errors)

    async def StreamChannel(  # type: ignore[override]  # noqa: N802
        self, request_iterator: AsyncIterator[p4r.StreamMessageRequest], context: grpc.aio.ServicerContext
    ) -> None:
        """Serves one client's stream."""
        await self._streams.serve(request_iterator, context)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Adds the service to a gRPC server."""
        p4r_grpc.add_P4RuntimeServicer_to_server(self, server)

    def _entry_table(self, bound: BoundTable, rows: TableMap) -> EntryTable:
        if not bound.table.idle_timeout:
            return EntryTable(bound, rows, None)

        def packets(key: bytes) -> int | None:
            raw = rows.get(key)
            return None if raw is None else raw.packets

        timers = self._idle[bound.table.id] = IdleTimers(packets, self._clock, self._idle_sooner.set)
        return EntryTable(bound, rows, timers)

    def _check_primary(self, request: p4r.WriteRequest | p4r.SetForwardingPipelineConfigRequest) -> None:
        check_device(request.device_id, self._device_id)
        check_role(request.role, request.role_id)
        self._arbitration.check_primary(request.election_id if request.HasField("election_id") else None)

    def _acknowledge(self, ack: p4r.DigestListAck) -> None:
        self._learning.acknowledge(ack)

    async def _clear(self) -> None:
        number = 0
        for table in self._tables.values():
            for _ in table.clear():
                number += 1
                if number % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        self._learning.clear()
        log.info("forwarding_cleared", entries=number)
        self._backend.forwarding_cleared()

    def _tell_idle(self, table: EntryTable, keys: list[bytes]) -> None:
        if not keys:
            return
        message = p4r.StreamMessageResponse()
        notification = message.idle_timeout_notification
        notification.timestamp = time.time_ns()
        for key in keys:
            entry = notification.table_entry.add()
            table.bound.decode_key(key, entry)
            table.add_extras(entry, key)
        self._streams.to_primary(message)


async def _heard(event: asyncio.Event, seconds: float | None) -> None:
    """Waits for an event, so many seconds at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
