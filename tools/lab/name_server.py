# SPDX-License-Identifier: Apache-2.0
"""A small DNS server over UDP: it knows the names that it is given, and says that there are no others."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from dnslib import QTYPE, RCODE, RR, DNSRecord

PORT: Final = 53
_LARGEST: Final = 1500


@contextmanager
def name_server(
    handle: socket.socket, address: str, names: Mapping[str, Sequence[str]]
) -> Iterator[list[str]]:
    """Answer for ``names``, with the addresses of each, by a UDP socket; the names that were asked for."""
    handle.bind((address, PORT))
    asked: list[str] = []
    thread = threading.Thread(target=_serve, args=(handle, names, asked), daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        with contextlib.suppress(OSError):  # it has no peer, which is said once the reader was woken
            handle.shutdown(socket.SHUT_RDWR)
        thread.join()
        handle.close()


def _serve(handle: socket.socket, names: Mapping[str, Sequence[str]], asked: list[str]) -> None:
    while True:
        try:
            packet, client = handle.recvfrom(_LARGEST)
        except OSError:
            return
        if not packet:  # the socket was shut down
            return
        handle.sendto(_answer(packet, names, asked), client)


def _answer(packet: bytes, names: Mapping[str, Sequence[str]], asked: list[str]) -> bytes:
    reply = DNSRecord.parse(packet).reply()
    name, kind = str(reply.q.qname).rstrip("."), QTYPE[reply.q.qtype]
    asked.append(name)
    if name not in names:
        reply.header.rcode = RCODE.NXDOMAIN
    for address in names.get(name, ()):
        if kind == ("AAAA" if ":" in address else "A"):
            reply.add_answer(*RR.fromZone(f"{name}. 60 {kind} {address}"))
    return bytes(reply.pack())
