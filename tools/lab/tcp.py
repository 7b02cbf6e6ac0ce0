# SPDX-License-Identifier: Apache-2.0
"""TCP sockets inside a lab, and what the kernel knows of them."""

from __future__ import annotations

import socket
import struct
from typing import Final

from tools.lab.namespace import Namespace

_INFO_OCTETS: Final = 192
_UNACKNOWLEDGED: Final = 24
_TOTAL_RETRANSMITS: Final = 100
"""Offsets of tcpi_unacked and tcpi_total_retrans in struct tcp_info (linux/tcp.h)."""


def family_of(address: str) -> socket.AddressFamily:
    """The family of an address in text form."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def listen(place: Namespace, address: str, port: int) -> socket.socket:
    """A listening socket inside ``place``."""
    listener = place.socket(family_of(address), socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(8)
    listener.settimeout(10)
    return listener


def connect(
    place: Namespace, address: str, port: int, source: str = "", timeout: float = 10.0
) -> socket.socket:
    """A connection from inside ``place``; from the address ``source`` when one is given."""
    client = place.socket(family_of(address), socket.SOCK_STREAM)
    try:
        client.settimeout(timeout)
        if source:
            client.bind((source, 0))
        client.connect((address, port))
    except BaseException:
        client.close()
        raise
    return client


def receive(connected: socket.socket, octets: int) -> bytes:
    """So many octets, or fewer where the stream ends."""
    received = bytearray()
    while len(received) < octets and (part := connected.recv(octets - len(received))):
        received += part
    return bytes(received)


def abort(connected: socket.socket) -> None:
    """Close with a reset: after it neither end sends anything more."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()


def retransmits(connected: socket.socket) -> int:
    """Segments that this end has sent more than once, SYNs included."""
    return _info(connected, _TOTAL_RETRANSMITS)


def unacknowledged(connected: socket.socket) -> int:
    """Segments that this end has sent, and not heard of yet."""
    return _info(connected, _UNACKNOWLEDGED)


def _info(connected: socket.socket, offset: int) -> int:
    info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_OCTETS)
    (number,) = struct.unpack_from("=I", info, offset)
    return int(number)
