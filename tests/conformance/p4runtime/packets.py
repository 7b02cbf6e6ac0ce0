# SPDX-License-Identifier: Apache-2.0
"""Packets between the data plane and the primary."""

from __future__ import annotations

from finsy.proto import p4r
from google.protobuf.any_pb2 import Any as AnyMessage

from moorline.wire import Event
from tests.conformance.p4runtime.cases import case
from tests.conformance.p4runtime.session import Session, SilenceError
from tests.conformance.p4runtime.traffic import broadcast


def _metadata(*values: bytes) -> list[p4r.PacketMetadata]:
    return [p4r.PacketMetadata(metadata_id=n, value=v) for n, v in enumerate(values, 1)]


def _out(payload: bytes, *values: bytes) -> p4r.PacketOut:
    return p4r.PacketOut(payload=payload, metadata=_metadata(*values))


def _packet(s: Session, payload: bytes) -> p4r.PacketIn:
    """The packet-in with this payload; a host sends others of its own."""
    while True:
        packet: p4r.PacketIn = s.primary.next("packet")
        if packet.payload == payload:
            return packet


@case("a packet without a connection", "whole, with its port and the reason")
def _(s: Session) -> str:
    s.prepare()
    frame = s.wires.from_a_program(1)
    s.wires.access.send(frame)
    told = [m.value for m in _packet(s, frame).metadata]
    wanted = [bytes([s.wires.access.port]), b"\0", bytes([Event.PUNT_CONNECTION_MISS]), b"\0"]
    return "whole, with its port and the reason" if told == wanted else str(told)


@case("a packet-in to a backup", "not told")
def _(s: Session) -> str:
    s.prepare()
    backup = s.stream()
    backup.arbitrate(s.election - 1)
    frame = s.wires.from_a_program(2)
    s.wires.access.send(frame)
    _packet(s, frame)
    try:
        backup.next("packet", 0.5)
    except SilenceError:
        return "not told"
    return "told"


@case("a packet-out through the pipeline", "comes in at its port")
def _(s: Session) -> str:
    s.prepare()
    frame = s.wires.from_a_program(3)
    s.primary.send(packet=_out(frame, bytes([s.wires.access.port]), b"\0", b"\0"))
    port = _packet(s, frame).metadata[0].value
    return "comes in at its port" if port == bytes([s.wires.access.port]) else "comes in elsewhere"


@case("a packet-out straight by a port", "leaves as it is")
def _(s: Session) -> str:
    frame = broadcast(b"straight out")
    listener = s.wires.underlay.listen()
    s.primary.send(packet=_out(frame, b"\0", bytes([s.wires.underlay.port]), b"\0"))
    return "leaves as it is" if listener.hears(frame) else "does not leave"


@case("a packet-out of a backup", "PERMISSION_DENIED")
def _(s: Session) -> str:
    backup = s.stream()
    backup.arbitrate(s.election - 1)
    backup.send(packet=_out(broadcast(b"x"), b"\0", bytes([s.wires.underlay.port]), b"\0"))
    return backup.error()


@case("a packet-out with metadata missing", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    s.primary.send(packet=_out(broadcast(b"x"), b"\0"))
    return s.primary.error()


@case("a packet-out with unknown metadata", "INVALID_ARGUMENT")
def _(s: Session) -> str:
    s.primary.send(packet=_out(broadcast(b"x"), b"\0", b"\0", b"\0", b"\0"))
    return s.primary.error()


@case("a packet-out with metadata too wide", "OUT_OF_RANGE")
def _(s: Session) -> str:
    s.primary.send(packet=_out(broadcast(b"x"), b"\xff\xff", b"\0", b"\0"))
    return s.primary.error()


@case("a stream message that means nothing", "UNIMPLEMENTED")
def _(s: Session) -> str:
    s.primary.send(other=AnyMessage())
    return s.primary.error()


@case("a packet-out before the first election id", "PERMISSION_DENIED")
def _(s: Session) -> str:
    stream = s.stream()
    stream.send(packet=_out(broadcast(b"x"), b"\0", bytes([s.wires.underlay.port]), b"\0"))
    return stream.error()
