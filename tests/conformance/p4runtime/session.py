# SPDX-License-Identifier: Apache-2.0
"""A client of a P4Runtime server, made for telling in short texts what the server answers."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final

import grpc
from finsy.proto import U128, p4i, p4r, p4r_grpc, rpc_code, rpc_status
from google.protobuf import text_format

from tests.conformance.p4runtime.traffic import Wires
from tools.contract import P4, P4INFO, SWITCH

DEVICE: Final = 1
PATIENCE: Final = 10.0
"""Seconds that an answer may take before the server is taken to give none."""

OPTIONS: Final = (("grpc.max_receive_message_length", -1), ("grpc.max_metadata_size", 4 << 20))
ELECTIONS: Final = 1000
"""Election ids from one session's to the next one's."""

OWN_TABLES: Final = ("scid", "connection", "locator", "classifier", "route")
"""Tables that nobody else writes: an agent keeps its host's rows in the others."""

Update = p4r.Update


class SilenceError(Exception):
    """A server that should have said something."""


@cache
def contract() -> p4i.P4Info:
    """The P4Info that all servers are given."""
    return text_format.Parse((P4 / P4INFO).read_text(), p4i.P4Info())


@cache
def ids() -> dict[str, int]:
    """Numbers of tables, actions, counters, digests by their aliases."""
    info = contract()
    kinds: tuple[Iterable[Any], ...] = (info.tables, info.actions, info.counters, info.digests)
    return {thing.preamble.alias: thing.preamble.id for kind in kinds for thing in kind}


def outcome(call: Callable[[], object]) -> str:
    """What a request comes to: OK, a code, or, when a batch failed, the code of each of its items."""
    try:
        call()
    except grpc.RpcError as error:
        return _told(error)
    return "OK"


def _told(error: Any) -> str:
    packed = dict(error.trailing_metadata()).get("grpc-status-details-bin")
    if packed is None or error.code() is not grpc.StatusCode.UNKNOWN:
        return str(error.code().name)
    codes = []
    for detail in rpc_status.Status.FromString(packed).details:
        item = p4r.Error()
        assert detail.Unpack(item), "a detail of a failed batch is no p4.v1.Error"
        codes.append(rpc_code.Code.Name(item.canonical_code))
    return ", ".join(codes) or "UNKNOWN"


class Stream:
    """A stream channel."""

    def __init__(self, stub: Any) -> None:
        self._requests: queue.Queue[p4r.StreamMessageRequest | None] = queue.Queue()
        self._answers: queue.Queue[p4r.StreamMessageResponse | None] = queue.Queue()
        self._call = stub.StreamChannel(iter(self._requests.get, None))
        self._ended = ""
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, **update: Any) -> None:
        """Sends a message."""
        self._requests.put(p4r.StreamMessageRequest(**update))

    def next(self, kind: str, patience: float = PATIENCE) -> Any:
        """The next message of a kind; others before it are passed over. SilenceError when none comes."""
        while True:
            try:
                message = self._answers.get(timeout=patience)
            except queue.Empty:
                raise SilenceError(f"no {kind} within {patience} s") from None
            if message is None:
                self._answers.put(None)
                raise SilenceError(f"the stream ended with {self._ended}")
            if message.HasField(kind):
                return getattr(message, kind)

    def announce(self, election: int | None, device: int = DEVICE, role: p4r.Role | None = None) -> None:
        """Sends an election id without waiting."""
        update = p4r.MasterArbitrationUpdate(device_id=device, role=role)
        if election is not None:
            update.election_id.CopyFrom(U128.encode(election))
        self.send(arbitration=update)

    def arbitrate(self, election: int | None, device: int = DEVICE, role: p4r.Role | None = None) -> str:
        """The status told on an election id, or the code that the stream ends with."""
        self.announce(election, device, role)
        return self.status()

    def status(self) -> str:
        """The next status told, or the code that the stream ends with."""
        try:
            return str(rpc_code.Code.Name(self.next("arbitration").status.code))
        except SilenceError:
            return self._ended or "silence"

    def error(self) -> str:
        """The code of the next stream error."""
        try:
            return str(rpc_code.Code.Name(self.next("error", 1.0).canonical_code))
        except SilenceError:
            return self._ended or "silence"

    def close(self) -> None:
        """Ends it, and waits until the server has."""
        self._requests.put(None)
        while self._answers.get(timeout=PATIENCE) is not None:
            pass
        self._answers.put(None)

    def _read(self) -> None:
        try:
            for message in self._call:
                self._answers.put(message)
        except grpc.RpcError as error:
            self._ended = str(error.code().name)
        self._answers.put(None)


class Session:
    """The primary of a server, with helpers for requests; a context manager that leaves its tables empty.

    ``election`` is its election id, higher than any before it. The ``ELECTIONS`` from it on are its own.
    """

    def __init__(self, address: str, election: int, wires: Wires, own: Iterable[p4r.TableEntry]) -> None:
        self.election = election
        self._last = election + ELECTIONS - 1
        self.wires = wires
        self._own = tuple(own)
        self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self.stub = p4r_grpc.P4RuntimeStub(self._channel)
        self.streams: list[Stream] = []

    def __enter__(self) -> Session:
        self.primary = self.stream()
        assert self.primary.arbitrate(self.election) == "OK"
        return self

    def __exit__(self, *_: object) -> None:
        self.election = self._last
        assert self.stream().arbitrate(self.election) == "OK"
        self.clear()
        for stream in self.streams:
            stream.close()
        self._channel.close()

    def prepare(self) -> None:
        """Writes the rows that frames over the wires need, if they are not there."""
        self.write(*(change(Update.INSERT, own) for own in self._own))

    def clear(self) -> None:
        """Takes away what is in the tables that are the suite's own, and the digests."""
        for table in OWN_TABLES:
            updates = [change(Update.DELETE, key_of(entry)) for entry in self.entries(table_id=ids()[table])]
            if updates:
                self.write_all(updates)
        for name in ("scid_unknown", "path_trace"):
            self.write(digest(Update.DELETE, ids()[name]))

    def stream(self) -> Stream:
        """Opens another stream."""
        self.streams.append(Stream(self.stub))
        return self.streams[-1]

    # ---- writing -------------------------------------------------------------------------------------------

    def request(
        self, *updates: p4r.Update, election: int | None = -1, atomicity: int = 0, **fields: Any
    ) -> p4r.WriteRequest:
        """A write request, by default of the primary."""
        request = p4r.WriteRequest(updates=updates, **{"device_id": DEVICE, **fields})
        request.atomicity = p4r.WriteRequest.Atomicity.ValueType(atomicity)
        if election is not None:
            request.election_id.CopyFrom(U128.encode(self.election if election < 0 else election))
        return request

    def write(self, *updates: p4r.Update, **fields: Any) -> str:
        """Writes; what that comes to."""
        request = self.request(*updates, **fields)
        return outcome(lambda: self.stub.Write(request, timeout=PATIENCE))

    def write_all(self, updates: Iterable[p4r.Update]) -> None:
        """Writes what must go well."""
        told = self.write(*updates)
        assert told == "OK", told

    def insert(self, entry: p4r.TableEntry) -> str:
        """Inserts an entry."""
        return self.write(change(Update.INSERT, entry))

    def modify(self, entry: p4r.TableEntry) -> str:
        """Modifies an entry."""
        return self.write(change(Update.MODIFY, entry))

    def delete(self, entry: p4r.TableEntry) -> str:
        """Deletes an entry."""
        return self.write(change(Update.DELETE, entry))

    # ---- reading -------------------------------------------------------------------------------------------

    def read(self, *entities: p4r.Entity, **fields: Any) -> list[p4r.Entity]:
        """Reads entities."""
        request = p4r.ReadRequest(entities=entities, **{"device_id": DEVICE, **fields})
        return [e for answer in self.stub.Read(request, timeout=PATIENCE) for e in answer.entities]

    def reading(self, *entities: p4r.Entity, **fields: Any) -> str:
        """What a read comes to: how many entities, or the codes."""
        found: list[p4r.Entity] = []
        told = outcome(lambda: found.extend(self.read(*entities, **fields)))
        return str(len(found)) if told == "OK" else told

    def entries(self, **asked: Any) -> list[p4r.TableEntry]:
        """Reads table entries."""
        entity = p4r.Entity(table_entry=p4r.TableEntry(**asked))
        return [found.table_entry for found in self.read(entity)]

    def reading_entries(self, **asked: Any) -> str:
        """What a read of table entries comes to."""
        return self.reading(p4r.Entity(table_entry=p4r.TableEntry(**asked)))

    def is_there(self, entry: p4r.TableEntry) -> bool:
        """Whether an entry with this key is there."""
        return bool(self.entries(table_id=entry.table_id, match=entry.match))

    # ---- the pipeline --------------------------------------------------------------------------------------

    def set_config(
        self,
        action: str,
        info: p4i.P4Info | None = None,
        cookie: int | None = None,
        election: int | None = -1,
        given: bool = True,
        device: int = DEVICE,
    ) -> str:
        """Sets the pipeline's configuration; what that comes to."""
        request = p4r.SetForwardingPipelineConfigRequest(device_id=device)
        request.action = p4r.SetForwardingPipelineConfigRequest.Action.Value(action)
        if election is not None:
            request.election_id.CopyFrom(U128.encode(self.election if election < 0 else election))
        if given:
            request.config.p4info.CopyFrom(info or contract())
            request.config.p4_device_config = (P4 / SWITCH).read_bytes()
        if cookie is not None:
            request.config.cookie.cookie = cookie
        return outcome(lambda: self.stub.SetForwardingPipelineConfig(request, timeout=PATIENCE))

    def config(self, kind: int = 0, device: int = DEVICE) -> p4r.ForwardingPipelineConfig:
        """The pipeline's configuration."""
        request = p4r.GetForwardingPipelineConfigRequest(device_id=device)
        request.response_type = p4r.GetForwardingPipelineConfigRequest.ResponseType.ValueType(kind)
        return self.stub.GetForwardingPipelineConfig(request, timeout=PATIENCE).config


def change(kind: int, entry: p4r.TableEntry) -> p4r.Update:
    """An update of a table entry."""
    return p4r.Update(type=p4r.Update.Type.ValueType(kind), entity=p4r.Entity(table_entry=entry))


def digest(kind: int, digest_id: int | None = None, **config: int) -> p4r.Update:
    """An update of a digest, by default of the contract's own."""
    entry = p4r.DigestEntry(digest_id=ids()["scid_unknown"] if digest_id is None else digest_id)
    if kind != Update.DELETE:
        entry.config.CopyFrom(p4r.DigestEntry.Config(**config))
    return p4r.Update(type=p4r.Update.Type.ValueType(kind), entity=p4r.Entity(digest_entry=entry))


def entry(
    table: str, keys: Iterable[bytes], action: str = "", params: Iterable[bytes] = (), **fields: Any
) -> p4r.TableEntry:
    """A table entry; fields and parameters are numbered from 1."""
    made = p4r.TableEntry(table_id=ids()[table], **fields)
    for number, value in enumerate(keys, 1):
        made.match.add(field_id=number).exact.value = value
    if action:
        made.action.action.action_id = ids()[action]
        for number, value in enumerate(params, 1):
            made.action.action.params.add(param_id=number, value=value)
    return made


def refusal(number: int, **fields: Any) -> p4r.TableEntry:
    """An entry of ``connection`` (1 to 255), a table with idle time-outs, its action without parameters."""
    return entry("connection", [b"\1", b"\2", bytes([number])], "reject", **fields)


def way(scid: int, number: int = 1, **fields: Any) -> p4r.TableEntry:
    """An entry of ``connection`` that has parameters."""
    values = [scid.to_bytes(8).lstrip(b"\0") or b"\0", b"\7", b"\0", b"\0", b"\5\xdc"]
    return entry("connection", [b"\1", b"\2", bytes([number])], "encapsulate", values, **fields)


def paths(node: int, **fields: Any) -> p4r.TableEntry:
    """An entry of ``locator``, which has no idle time-outs."""
    values = [b"\1", b"\2", b"\1", b"\3", b"\0", b"\0"]
    return entry("locator", [node.to_bytes(2).lstrip(b"\0")], "set_paths", values, **fields)


def key_of(whole: p4r.TableEntry) -> p4r.TableEntry:
    """An entry with nothing but its key."""
    return p4r.TableEntry(table_id=whole.table_id, match=whole.match, priority=whole.priority)
