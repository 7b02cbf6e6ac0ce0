# SPDX-License-Identifier: Apache-2.0
"""A bare P4Runtime client that fills and reads the tables of a server as fast as it takes them."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Self

import grpc
from finsy.proto import p4i, p4r, p4r_grpc
from google.protobuf import text_format

from tools import contract
from tools.contract import P4, SWITCH

DEVICE = 1
BATCH = 500
_MAPPED = 0xFFFF << 32
_ELECTION = p4r.Uint128(high=1, low=0)
P4INFO = P4 / contract.P4INFO


class Tables:
    """Encodes entries by the names of the contract."""

    def __init__(self) -> None:
        info = text_format.Parse(P4INFO.read_text(), p4i.P4Info())
        self._tables = {table.preamble.alias: table for table in info.tables}
        self._actions = {action.preamble.alias: action for action in info.actions}

    def table_id(self, table: str) -> int:
        """Identifier of a table."""
        return int(self._tables[table].preamble.id)

    def insert(self, table: str, keys: dict[str, int], action: str, params: dict[str, int]) -> p4r.Update:
        """An INSERT of one entry."""
        update = p4r.Update(type=p4r.Update.INSERT)
        entry = update.entity.table_entry
        entry.table_id = self.table_id(table)
        for field in self._tables[table].match_fields:
            match = entry.match.add(field_id=field.id)
            match.exact.value = canonical(keys[field.name])
        entry.action.action.action_id = self._actions[action].preamble.id
        for param in self._actions[action].params:
            entry.action.action.params.add(param_id=param.id, value=canonical(params[param.name]))
        return update


def deletion(insertion: p4r.Update) -> p4r.Update:
    """A DELETE of the entry that an INSERT makes."""
    update = p4r.Update(type=p4r.Update.DELETE)
    entry = update.entity.table_entry
    entry.table_id = insertion.entity.table_entry.table_id
    entry.match.extend(insertion.entity.table_entry.match)
    return update


def canonical(value: int) -> bytes:
    """The canonical byte string of P4Runtime: no leading zeros, at least one octet."""
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


class Reader:
    """Reads the tables of the server at a gRPC address; anybody may."""

    def __init__(self, address: str) -> None:
        options = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
        self._channel = grpc.insecure_channel(address, options=options)
        self._stub = p4r_grpc.P4RuntimeStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def read(self, table_id: int) -> Iterator[p4r.TableEntry]:
        """All entries of a table, without counters."""
        request = p4r.ReadRequest(device_id=DEVICE)
        request.entities.add().table_entry.table_id = table_id
        for response in self._stub.Read(request, wait_for_ready=True):
            for entity in response.entities:
                yield entity.table_entry


class Primary(Reader):
    """Primary of a server, whoever was it before."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._requests: queue.Queue[p4r.StreamMessageRequest | None] = queue.Queue()
        self._stream = self._stub.StreamChannel(iter(self._requests.get, None), wait_for_ready=True)

    def __enter__(self) -> Self:
        arbitration = p4r.MasterArbitrationUpdate(device_id=DEVICE, election_id=_ELECTION)
        self._requests.put(p4r.StreamMessageRequest(arbitration=arbitration))
        next(iter(self._stream))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._requests.put(None)
        self._stream.cancel()
        super().__exit__(kind, error, trace)

    def begin(self) -> None:
        """Give a switch the pipeline, with empty tables."""
        request = p4r.SetForwardingPipelineConfigRequest(device_id=DEVICE, election_id=_ELECTION)
        request.action = p4r.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT
        request.config.p4info.CopyFrom(text_format.Parse(P4INFO.read_text(), p4i.P4Info()))
        request.config.p4_device_config = (P4 / SWITCH).read_bytes()
        self._stub.SetForwardingPipelineConfig(request, timeout=60)

    def write(self, updates: Iterable[p4r.Update]) -> int:
        """Write in batches; returns how many entries."""
        return self.send(batches(updates))

    def send(self, requests: Iterable[p4r.WriteRequest]) -> int:
        """Send one request after another; returns how many entries they hold."""
        written = 0
        for request in requests:
            self._stub.Write(request, timeout=60)
            written += len(request.updates)
        return written


def batches(updates: Iterable[p4r.Update]) -> Iterator[p4r.WriteRequest]:
    """Requests of ``BATCH`` updates each."""
    remaining = iter(updates)
    while some := [*islice(remaining, BATCH)]:
        yield p4r.WriteRequest(device_id=DEVICE, election_id=_ELECTION, updates=some)


def entries_of(connections: int) -> Iterator[p4r.Update]:
    """INSERTs of so many connections, an entry of ``scid`` and one of ``connection`` each."""
    tables = Tables()
    for slot in range(connections):
        scid = (slot * 0x9E3779B97F4A7C15 % (1 << 40)) << 24 | slot or 1 << 24
        local, peer = 0x0A000000 + slot, 0x0B000000 + slot
        ends = {"local4": local, "peer4": peer, "local6": 0, "peer6": 0}
        deliver = {"port": 1, "tenant": 0, "node": 7, **ends, "hops": 0}
        yield tables.insert("scid", {"scid": scid}, "deliver", deliver)
        pair = {"tenant": 0, "src": _MAPPED | local, "dst": _MAPPED | peer}
        params = {"scid": scid, "node": 7, "spi": 0, "si": 0, "mtu": 1428}
        yield tables.insert("connection", pair, "encapsulate", params)
