# SPDX-License-Identifier: Apache-2.0
"""Packets between controller and data planes: where their metadata stand, by the P4Info."""

from __future__ import annotations

from typing import NamedTuple

from finsy.proto import p4i, p4r

from control.errors import StartError
from control.southbound.contract import canonical


class Received(NamedTuple):
    """A packet-in: the frame as it arrived, where, and why the controller gets it.

    ``reason`` is a :class:`moorline.wire.Event`; ``mtu`` the longest IP packet that would have gone through,
    where that is the reason.
    """

    frame: bytes
    port: int
    reason: int
    mtu: int


class PacketFormat:
    """Reads packet-ins and makes packet-outs; :class:`StartError` when the contract lacks their metadata."""

    def __init__(self, p4info: p4i.P4Info) -> None:
        headers = {
            header.preamble.alias: {field.name: field.id for field in header.metadata}
            for header in p4info.controller_packet_metadata
        }
        try:
            self._in = [headers["packet_in"][name] for name in ("ingress_port", "reason", "mtu")]
            self._out = headers["packet_out"]
            self._through, self._straight = (self._out[name] for name in ("ingress_port", "egress_port"))
        except KeyError as error:
            raise StartError(f"the contract's packet headers lack {error}: set another p4info") from error

    def read(self, packet: p4r.PacketIn) -> Received:
        """What a packet-in says; numbers that it lacks are 0."""
        values = {item.metadata_id: int.from_bytes(item.value, "big") for item in packet.metadata}
        return Received(packet.payload, *(values.get(metadata_id, 0) for metadata_id in self._in))

    def through(self, port: int, frame: bytes) -> p4r.StreamMessageRequest:
        """A packet-out that passes the pipeline as if it had come in at ``port``."""
        return self._message({self._through: port}, frame)

    def straight(self, port: int, frame: bytes) -> p4r.StreamMessageRequest:
        """A packet-out that leaves by ``port`` as it is."""
        return self._message({self._straight: port}, frame)

    def _message(self, values: dict[int, int], frame: bytes) -> p4r.StreamMessageRequest:
        message = p4r.StreamMessageRequest()
        message.packet.payload = frame
        for metadata_id in self._out.values():
            value = canonical(values.get(metadata_id, 0))
            message.packet.metadata.add(metadata_id=metadata_id, value=value)
        return message
