# SPDX-License-Identifier: Apache-2.0
"""How the data planes of hosts and of switches are dialled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import grpc

from control.records import Node
from control.southbound.client import P4RuntimeClient
from moorline.tls import Credentials, channel_options
from moorline.tls import node as node_identity

Dial = Callable[[Node, str], P4RuntimeClient]
"""Makes a client for a node at an address."""


def dialer(credentials: Credentials) -> Dial:
    """Clients of hosts with TLS both ways, that insist on the node's own certificate; plain ones of switches,
    whose P4Runtime servers know none of our certificates.
    """
    channel: grpc.ChannelCredentials = credentials.for_channel()

    def dial(node: Node, address: str) -> P4RuntimeClient:
        if node.switch is not None:
            return P4RuntimeClient(node.name, address, None, [], node.switch.device_id, *_MENDS)
        options: list[tuple[str, Any]] = channel_options(node_identity(node.name))
        return P4RuntimeClient(node.name, address, channel, options)

    return dial


def target_of(address: bytes, port: int) -> str:
    """An address of a node, 4 or 16 octets, as gRPC writes it."""
    if len(address) == 4:
        return f"ipv4:{'.'.join(map(str, address))}:{port}"
    groups = ":".join(address[at : at + 2].hex() for at in range(0, 16, 2))
    return f"ipv6:[{groups}]:{port}"


_MENDS: Final = (
    "see that the switch runs, has this device id, and can be reached from here",
    "the switch's log; a table may be full",
)
