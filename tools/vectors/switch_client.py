# SPDX-License-Identifier: Apache-2.0
"""A plain P4Runtime client that is primary of a switch: its program, its entries, its counters."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Final

import grpc
from finsy.proto import p4r, p4r_grpc

from control.southbound.contract import DELETE, INSERT, Contract, Row
from moorline.errors import MoorlineError
from moorline.wire import EVENTS_PER_PORT, Event

from .model import PacketIn
from .target import Count, PortEvents

DEVICE: Final = 1
PATIENCE_SECONDS: Final = 20.0
_ELECTION: Final = p4r.Uint128(high=0, low=1)


class SwitchClientError(MoorlineError):
    """A switch that does not do what it is asked over P4Runtime."""


class SwitchClient:
    """Primary of the switch at ``address`` until :meth:`close`.

    Args:
        address: as gRPC writes it.
        contract: of the program that it runs or gets.
        on_packet: called with each packet-in and its frame, by a thread of the client's.
        on_digest: called with each message of the digests asked for (:meth:`subscribe`), by the same thread.
    """

    def __init__(
        self,
        address: str,
        contract: Contract,
        on_packet: Callable[[PacketIn, bytes], None],
        on_digest: Callable[[tuple[int, ...]], None] = lambda _message: None,
    ) -> None:
        self.contract = contract
        self._on_packet = on_packet
        self._on_digest = on_digest
        self._channel = grpc.insecure_channel(address)
        self._stub = p4r_grpc.P4RuntimeStub(self._channel)
        self._requests: queue.Queue[p4r.StreamMessageRequest | None] = queue.Queue()
        self._stream = self._stub.StreamChannel(iter(self._requests.get, None), wait_for_ready=True)
        arbitration = p4r.MasterArbitrationUpdate(device_id=DEVICE, election_id=_ELECTION)
        self._requests.put(p4r.StreamMessageRequest(arbitration=arbitration))
        answer = next(self._stream)
        if answer.arbitration.status.code:
            raise SwitchClientError(f"the switch at {address} has another primary; end that first")
        self._listener = Thread(target=self._listen, name=f"p4runtime {address}", daemon=True)
        self._listener.start()

    def close(self) -> None:
        """Hang up."""
        self._requests.put(None)
        self._stream.cancel()
        self._listener.join()
        self._channel.close()

    def push(self, program: Path) -> None:
        """Have the switch run a compiled program of the contract; its entries are gone.

        Args:
            program: what p4c made for BMv2.
        """
        request = p4r.SetForwardingPipelineConfigRequest(
            device_id=DEVICE,
            election_id=_ELECTION,
            action=p4r.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT,
            config=p4r.ForwardingPipelineConfig(
                p4info=self.contract.p4info, p4_device_config=program.read_bytes()
            ),
        )
        self._stub.SetForwardingPipelineConfig(request, timeout=PATIENCE_SECONDS)

    def insert(self, rows: Iterable[Row]) -> None:
        """Insert entries, in one request."""
        self._write(INSERT, rows)

    def delete(self, rows: Iterable[Row]) -> None:
        """Delete entries, in one request."""
        self._write(DELETE, rows)

    def subscribe(self, digest: str) -> None:
        """Ask for all messages of a digest, each as soon as it is told."""
        (number,) = (one.preamble.id for one in self.contract.p4info.digests if one.preamble.alias == digest)
        request = p4r.WriteRequest(device_id=DEVICE, election_id=_ELECTION)
        entry = request.updates.add(type=p4r.Update.INSERT).entity.digest_entry
        entry.digest_id, entry.config.max_list_size = number, 1
        self._stub.Write(request, timeout=PATIENCE_SECONDS)

    def port_events(self, ports: Iterable[int]) -> PortEvents:
        """What the counter holds for these ports, but for zeros."""
        request = _question(self.contract.counters["port_events"], tuple(ports))
        counts = {}
        for entity in self._read(request):
            entry = entity.counter_entry
            if entry.data.packet_count:
                port, cell = divmod(entry.index.index, EVENTS_PER_PORT)
                counts[port, Event(cell)] = Count(entry.data.packet_count, entry.data.byte_count)
        return counts

    def direct_counter(self, row: Row) -> Count:
        """The direct counter of an entry.

        Raises:
            SwitchClientError: it is not there.
        """
        request = p4r.ReadRequest(device_id=DEVICE)
        deletion = p4r.Update()
        self.contract.fill(deletion, DELETE, row)  # which names the key alone, as reading does
        entry = request.entities.add().table_entry
        entry.CopyFrom(deletion.entity.table_entry)
        entry.counter_data.SetInParent()
        found = self._read(request)
        if len(found) != 1:
            raise SwitchClientError(f"the switch has no entry {row}; load the vector's entries")
        data = found[0].table_entry.counter_data
        return Count(data.packet_count, data.byte_count)

    def _listen(self) -> None:
        try:
            for message in self._stream:
                if message.HasField("packet"):
                    packet = message.packet
                    said = {item.metadata_id: int.from_bytes(item.value, "big") for item in packet.metadata}
                    self._on_packet(PacketIn(said[1], Event(said[3]), said[4]), packet.payload)
                elif message.HasField("digest"):
                    for told in message.digest.data:
                        members = (int.from_bytes(one.bitstring, "big") for one in told.struct.members)
                        self._on_digest(tuple(members))
        except grpc.RpcError:
            pass  # the stream's end

    def _write(self, kind: int, rows: Iterable[Row]) -> None:
        request = p4r.WriteRequest(device_id=DEVICE, election_id=_ELECTION)
        for row in rows:
            self.contract.fill(request.updates.add(), kind, row)
        if request.updates:
            self._stub.Write(request, timeout=PATIENCE_SECONDS)

    def _read(self, request: p4r.ReadRequest) -> list[p4r.Entity]:
        return [
            entity for part in self._stub.Read(request, timeout=PATIENCE_SECONDS) for entity in part.entities
        ]


@cache
def _question(counter: int, ports: tuple[int, ...]) -> p4r.ReadRequest:
    """The request for all events of these ports; it is asked before and after every frame."""
    request = p4r.ReadRequest(device_id=DEVICE)
    for port in ports:
        for event in Event:
            entry = request.entities.add().counter_entry
            entry.counter_id = counter
            entry.index.index = port * EVENTS_PER_PORT + event
    return request
