# SPDX-License-Identifier: Apache-2.0
"""The stream channels of all clients: arbitration, packets, notifications, errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import structlog
from finsy.proto import p4r
from grpc import StatusCode

from dataplane.p4runtime.arbitration import Arbitration, Notification
from dataplane.p4runtime.backend import Backend
from dataplane.p4runtime.errors import SPACE, Refused, abort, code_of, number_of
from dataplane.p4runtime.outbox import Outbox
from dataplane.p4runtime.packet_io import EGRESS_PORT, INGRESS_PORT, packet_in, packet_out
from dataplane.p4runtime.waiting import Waiting, WaitingPackets
from moorline.errors import MoorlineError

log = structlog.get_logger(__name__)


class Streams:
    """The open streams. ``writing`` is held while a write runs: a new primary is told only after it.

    ``acknowledge`` takes what the primary says of digests.
    """

    def __init__(
        self,
        backend: Backend,
        arbitration: Arbitration,
        writing: asyncio.Lock,
        acknowledge: Callable[[p4r.DigestListAck], None],
    ) -> None:
        self._backend = backend
        self._p4info = backend.binding.p4info
        self._arbitration = arbitration
        self._writing = writing
        self._acknowledge = acknowledge
        self._outboxes: dict[object, Outbox] = {}
        self._early = WaitingPackets()
        self._unanswered = WaitingPackets()
        self._asked: object | None = None
        """The primary that got the packets which are unanswered."""

    async def serve(
        self, requests: AsyncIterator[p4r.StreamMessageRequest], context: grpc.aio.ServicerContext
    ) -> None:
        """Serves one stream until the client ends it."""
        client = object()
        outbox = self._outboxes[client] = Outbox()
        sending = asyncio.create_task(_send(outbox, context))
        try:
            refusal = await self._take_all(client, outbox, requests)
            # A write that is cut short makes gRPC forget that it has begun to answer: the status would never
            # be sent, and the client would wait for ever.
            outbox.close()
            await asyncio.wait([sending])
        finally:
            sending.cancel()
        if refusal is not None:
            await abort(context, refusal)

    def to_primary(self, message: p4r.StreamMessageResponse) -> bool:
        """Sends to the primary; whether there is one that takes it."""
        primary = self._arbitration.primary
        return primary is not None and self._outboxes[primary].put(message)

    def packet_in(self, values: dict[str, int], payload: bytes, source: bytes) -> None:
        """A packet for the primary; without one it waits for a while."""
        message = packet_in(self._p4info.packet_in, values, payload)
        packet = Waiting(asyncio.get_running_loop().time(), source, payload, message)
        if self._arbitration.primary is None:
            self._early.put(packet)
        elif not self._hand_over(packet):
            log.warning("packet_in_dropped", reason="the controller is too slow")

    def _hand_over(self, packet: Waiting) -> bool:
        """Sends a packet to the primary, on a line that may be dead already; whether there is room for it."""
        sent = self.to_primary(packet.message)
        if sent:
            self._unanswered.put(packet)
        return sent

    async def _take_all(
        self, client: object, outbox: Outbox, requests: AsyncIterator[p4r.StreamMessageRequest]
    ) -> Refused | None:
        """Takes requests until the client sends no more, or one ends the stream: that refusal."""
        try:
            async for request in requests:
                await self._take(client, outbox, request)
        except Refused as error:
            return error
        finally:
            del self._outboxes[client]
            await self._notify(self._arbitration.disconnect(client))
        return None

    def _keep_unanswered(self) -> None:
        """What a former primary has not answered, and perhaps never got, is for the next one."""
        now = asyncio.get_running_loop().time()
        while (packet := self._unanswered.pop(now)) is not None:
            self._early.put(packet)

    async def _take(self, client: object, outbox: Outbox, request: p4r.StreamMessageRequest) -> None:
        kind = request.WhichOneof("update")
        if kind == "arbitration":
            await self._notify(self._arbitration.update(client, request.arbitration))
            return
        try:
            if kind == "packet":
                self._packet_out(client, request.packet)
            elif kind == "digest_ack":
                self._digest_ack(client, request.digest_ack)
            else:
                raise Refused(
                    StatusCode.UNIMPLEMENTED, f"a stream message with {kind or 'nothing'} is not understood"
                )
        except MoorlineError as error:
            outbox.put(_stream_error(error, request))

    def _packet_out(self, client: object, packet: p4r.PacketOut) -> None:
        if self._arbitration.primary != client:
            raise Refused(StatusCode.PERMISSION_DENIED, "only the primary may send packets; become it first")
        self._unanswered.forget(packet.payload)
        values = packet_out(self._p4info.packet_out, packet)
        self._backend.packet_out(values.get(INGRESS_PORT, 0), values.get(EGRESS_PORT, 0), packet.payload)

    def _digest_ack(self, client: object, ack: p4r.DigestListAck) -> None:
        if self._arbitration.primary != client:
            raise Refused(StatusCode.PERMISSION_DENIED, "only the primary gets digests; become it first")
        self._acknowledge(ack)

    async def _notify(self, notifications: list[Notification]) -> None:
        """Tells clients of the present primary; the primary itself after any write that still runs."""
        if self._asked != self._arbitration.primary:
            self._asked = self._arbitration.primary
            self._keep_unanswered()
        for client, message in notifications:
            if client == self._arbitration.primary:
                async with self._writing:
                    pass
            outbox = self._outboxes.get(client)
            if outbox is not None:
                outbox.put(message)
        if notifications and self._arbitration.primary is not None:
            now = asyncio.get_running_loop().time()
            while (packet := self._early.pop(now)) is not None and self._hand_over(packet):
                pass


async def _send(outbox: Outbox, context: grpc.aio.ServicerContext) -> None:
    while (message := await outbox.get()) is not None:
        await context.write(message)


def _stream_error(error: MoorlineError, request: p4r.StreamMessageRequest) -> p4r.StreamMessageResponse:
    """A ``StreamError`` with the message that caused it."""
    response = p4r.StreamMessageResponse()
    told = response.error
    told.canonical_code = number_of(code_of(error))
    told.message = str(error)
    told.space = SPACE
    if request.HasField("packet"):
        told.packet_out.packet_out.CopyFrom(request.packet)
    elif request.HasField("digest_ack"):
        told.digest_list_ack.digest_list_ack.CopyFrom(request.digest_ack)
    else:
        told.other.other.CopyFrom(request.other)
    return response
