# SPDX-License-Identifier: Apache-2.0
"""A P4Runtime client for one target: stream, arbitration, write, read (P4Runtime 1.4, sections 5, 12 and 16).

It stands on finsy's stubs and error decoding, not on finsy's ``Switch`` or ``P4Client``: those go on with a
foreign P4Info after a warning, drop packet-ins beyond fifty, fix each read's deadline at ten seconds, wait
ten seconds before they dial again, and may log keys of entries.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

import grpc
from finsy.p4client import P4RpcStatus
from finsy.proto import U128, p4r, p4r_grpc, rpc_code

from control.errors import NodeAwayError

HOST_DEVICE_ID: Final = 1
"""Of every agent; a switch has the one that its operator gave it."""

DIAL_TIMEOUT: Final = 3.0
PING_TIMEOUT: Final = 5.0
PIPELINE_TIMEOUT: Final = 30.0
WRITE_TIMEOUT: Final = 30.0
READ_TIMEOUT: Final = 300.0
"""Seconds. A write of a full batch and a read of a million entries take less on a target that is alive."""

_OPTIONS: Final = [
    # The errors of a whole batch come back in one trailer.
    ("grpc.max_metadata_size", 4 << 20),
    ("grpc.absolute_max_metadata_size", 4 << 20),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.use_local_subchannel_pool", 1),
]


class P4RuntimeClient:
    """One channel and stream to a target; used as an async context manager, once.

    Every method raises :class:`NodeAwayError` when the target does not answer.

    Args:
        name: of the node, for errors.
        address: as gRPC names a target.
        credentials: None: without TLS.
        options: of the channel.
        device_id: of the data plane at the target.
        mend: what to do when it does not answer.
        log: where it says more of what it refused.
    """

    def __init__(
        self,
        name: str,
        address: str,
        credentials: grpc.ChannelCredentials | None,
        options: Sequence[tuple[str, Any]],
        device_id: int = HOST_DEVICE_ID,
        mend: str = "check its agent",
        log: str = "the agent's log",
    ) -> None:
        self.name = name
        self.address = address
        self.mend = mend
        self.log = log
        self._device_id = device_id
        options = [*_OPTIONS, *options]
        self._channel = (
            grpc.aio.insecure_channel(address, options=options)
            if credentials is None
            else grpc.aio.secure_channel(address, credentials, options=options)
        )
        self._stub: Any = p4r_grpc.P4RuntimeStub(self._channel)
        self._stream: Any = None
        self._sending = asyncio.Lock()
        self._election = 0

    async def __aenter__(self) -> Self:
        self._stream = self._stub.StreamChannel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.cancel()
        await self._channel.close()

    async def bid(self, election: int) -> None:
        """Ask to be primary with this election id."""
        self._election = election
        await self.send(
            p4r.StreamMessageRequest(
                arbitration=p4r.MasterArbitrationUpdate(
                    device_id=self._device_id, election_id=U128.encode(election)
                )
            )
        )

    async def send(self, message: p4r.StreamMessageRequest) -> None:
        """Put a message on the stream."""
        try:
            async with self._sending:  # gRPC fails the stream when a message comes while another is sent
                await self._stream.write(message)
        except (grpc.RpcError, asyncio.InvalidStateError) as error:
            raise self._away(error) from None

    async def receive(self) -> p4r.StreamMessageResponse:
        """The next message of the stream."""
        try:
            message: p4r.StreamMessageResponse = await self._stream.read()
        except grpc.RpcError as error:
            raise self._away(error) from None
        if message is grpc.aio.EOF:
            raise NodeAwayError(f"node {self.name} ended its P4Runtime stream: {self.mend}")
        return message

    async def pipeline(self) -> p4r.ForwardingPipelineConfig | None:
        """P4Info and cookie of the target's pipeline; None when it has none."""
        request = p4r.GetForwardingPipelineConfigRequest(
            device_id=self._device_id,
            response_type=p4r.GetForwardingPipelineConfigRequest.P4INFO_AND_COOKIE,
        )
        try:
            answer = await self._stub.GetForwardingPipelineConfig(request, timeout=DIAL_TIMEOUT)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
                return None
            raise self._away(error) from None
        config: p4r.ForwardingPipelineConfig = answer.config
        # BMv2 answers so after a pipeline that it did not take.
        return config if config.p4info.tables else None

    async def set_pipeline(self, config: p4r.ForwardingPipelineConfig) -> None:
        """Give the target a pipeline; its tables are empty then."""
        request = p4r.SetForwardingPipelineConfigRequest(
            device_id=self._device_id,
            election_id=U128.encode(self._election),
            action=p4r.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT,
            config=config,
        )
        try:
            await self._stub.SetForwardingPipelineConfig(request, timeout=PIPELINE_TIMEOUT)
        except grpc.RpcError as error:
            raise self._away(error) from None

    async def ping(self) -> None:
        """Find out whether the target is alive."""
        try:
            await self._stub.Capabilities(p4r.CapabilitiesRequest(), timeout=PING_TIMEOUT)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNIMPLEMENTED:
                raise self._away(error) from None

    def request(self) -> p4r.WriteRequest:
        """An empty write request in the name of this client."""
        return p4r.WriteRequest(device_id=self._device_id, election_id=U128.encode(self._election))

    async def write(self, request: p4r.WriteRequest) -> dict[int, tuple[int, str]]:
        """Write a batch; returns the code (``google.rpc.Code``) and message of each update that failed."""
        try:
            await self._stub.Write(request, timeout=WRITE_TIMEOUT)
        except grpc.RpcError as error:
            status = P4RpcStatus.from_rpc_error(error)
            if not status.details:
                raise self._away(error) from None
            return {
                index: (int(detail.canonical_code), detail.message)
                for index, detail in status.details.items()
                if int(detail.canonical_code) != rpc_code.OK
            }
        return {}

    async def read(self, *entities: p4r.Entity) -> AsyncIterator[Sequence[p4r.Entity]]:
        """Read what matches, as it comes."""
        request = p4r.ReadRequest(device_id=self._device_id, entities=entities)
        try:
            async for response in self._stub.Read(request, timeout=READ_TIMEOUT):
                yield response.entities
        except grpc.RpcError as error:
            raise self._away(error) from None
        except asyncio.CancelledError as error:
            # Closing the channel, as after a move, cancels its calls; their callers were not cancelled.
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise self._away(error) from None

    def _away(self, error: BaseException) -> NodeAwayError:
        why = (error.details() if isinstance(error, grpc.aio.AioRpcError) else None) or "no answer"
        if "failed to connect" in why:  # gRPC tells the whole way to it, with all addresses
            why = why.rpartition("error: ")[2]
        return NodeAwayError(f"data plane of node {self.name} at {self.address} fails ({why}): {self.mend}")
