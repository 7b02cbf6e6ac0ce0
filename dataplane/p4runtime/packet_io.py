# SPDX-License-Identifier: Apache-2.0
"""Packets between data plane and controller, with the metadata that the P4Info describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from finsy.proto import p4r

from dataplane.contract.codec import canonical, check_value
from dataplane.contract.errors import EntryError
from dataplane.contract.p4info import Value

INGRESS_PORT: Final = "ingress_port"
EGRESS_PORT: Final = "egress_port"


def packet_in(
    fields: Sequence[Value], values: Mapping[str, int], payload: bytes
) -> p4r.StreamMessageResponse:
    """A packet for the controller; metadata that ``values`` does not name is 0."""
    message = p4r.StreamMessageResponse()
    message.packet.payload = payload
    for field in fields:
        message.packet.metadata.add(metadata_id=field.id, value=canonical(values.get(field.name, 0)))
    return message


def packet_out(fields: Sequence[Value], packet: p4r.PacketOut) -> dict[str, int]:
    """The metadata of a packet from the controller, by name.

    Raises:
        EntryError: a field is unknown, missing, given twice or out of range.
    """
    known = {f.id: f for f in fields}
    values: dict[str, int] = {}
    for metadata in packet.metadata:
        field = known.get(metadata.metadata_id)
        if field is None:
            expected = ", ".join(f"{f.id} ({f.name})" for f in fields)
            raise EntryError(f"a packet-out has no metadata {metadata.metadata_id}; it has {expected}")
        if field.name in values:
            raise EntryError(f"the packet-out metadata {field.name} is given twice; give it once")
        values[field.name] = check_value(f"the packet-out metadata {field.name}", field.width, metadata.value)
    for field in fields:
        if field.name not in values:
            raise EntryError(f"the packet-out lacks the metadata {field.name}; give a value")
    return values
