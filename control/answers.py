# SPDX-License-Identifier: Apache-2.0
"""Answers to lookups, serialized once and kept until an end of the connection moves."""

from __future__ import annotations

from control import messages
from control.connection_records import Connection
from moorline.api.v1 import moorline_pb2 as pb

_REQUEST_ID_TAG = b"\x08"


def answer(connection: Connection, client: str, *, with_key: bool, request_id: int) -> bytes:
    """A serialized ``LookupResponse`` for whoever asked as ``client``, an end of ``connection``.

    The request's id is appended: the order of fields in a protobuf message does not matter.
    """
    kept = connection.answers
    generations = connection.client.node.generation, connection.server.node.generation
    if kept is None or kept[0] != generations:
        kept = connection.answers = (generations, {})
    forward = client == connection.client.name
    content = kept[1].get((forward, with_key))
    if content is None:
        content = kept[1][forward, with_key] = _serialize(connection, forward, with_key)
    return content + _REQUEST_ID_TAG + _varint(request_id) if request_id else content


def failure(request: pb.LookupRequest, code: int, message: str) -> bytes:
    """A serialized ``LookupResponse`` that says why there is none."""
    return pb.LookupResponse(
        request_id=request.request_id,
        client=request.client,
        server=request.server,
        failure=pb.LookupFailure(code=code, message=message),
    ).SerializeToString()


def _serialize(connection: Connection, forward: bool, with_key: bool) -> bytes:
    client, server = connection.client, connection.server
    if not forward:
        client, server = server, client
    return pb.LookupResponse(
        client=client.name,
        server=server.name,
        client_ipv4=client.ipv4,
        client_ipv6=client.ipv6,
        server_ipv4=server.ipv4,
        server_ipv6=server.ipv6,
        client_locators=[at.address for at in client.node.locators],
        server_locators=[at.address for at in server.node.locators],
        scid=connection.path.scid_at(client.node),
        key=connection.secret if with_key else b"",
        parameters=messages.parameters(connection),
    ).SerializeToString()


def _varint(value: int) -> bytes:
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)
