# SPDX-License-Identifier: Apache-2.0
"""What arrives at a host in tunnels: from which underlay addresses, and with which SCIDs."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from ipaddress import ip_address
from types import TracebackType
from typing import Final, NamedTuple, Self

from moorline.wire import GENEVE_PORT
from tools.lab.gaps import SO_RCVBUFFORCE
from tools.lab.namespace import Namespace

_ETH_P_ALL: Final = 3
_UDP_AND_OPTION: Final = 8 + 8 + 4 + 8
"""Octets from the UDP header to the end of the SCID: UDP, Geneve, the option's header, the SCID."""
_LONGEST: Final = 40 + _UDP_AND_OPTION
_BUFFER: Final = 64 << 20


class Kind(NamedTuple):
    """What packets of a tunnel have in common."""

    source: str
    scid: int


class Tunnels:
    """Counts the tunnel packets that arrive at an interface, by :class:`Kind`; a context manager."""

    def __init__(self, place: Namespace, interface: str) -> None:
        self.seen: Counter[Kind] = Counter()
        self._socket = place.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _BUFFER)
        self._socket.settimeout(0.2)
        self._socket.bind((interface, _ETH_P_ALL))
        self._running = True
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running = False
        self._thread.join()
        self._socket.close()

    @property
    def sources(self) -> Counter[str]:
        """How many packets came from each underlay address."""
        found: Counter[str] = Counter()
        for kind, packets in list(self.seen.items()):
            found[kind.source] += packets
        return found

    @property
    def scids(self) -> set[int]:
        """All SCIDs that came."""
        return {kind.scid for kind in list(self.seen)}

    def _read(self) -> None:
        while self._running:
            try:
                start, (_, _, direction, *_) = self._socket.recvfrom(_LONGEST)
            except TimeoutError:
                continue
            if direction != socket.PACKET_OUTGOING and (kind := _kind(start)):
                self.seen[kind] += 1


def _kind(start: bytes) -> Kind | None:
    """Of a packet that begins like this, from its IP header on; None if it is in no tunnel."""
    if start[:1] == b"\x45":  # as every tunnel packet has it: no options
        protocol, source, rest = start[9:10], start[12:16], start[20:]
    elif start[:1] and start[0] >> 4 == 6:
        protocol, source, rest = start[6:7], start[8:24], start[40:]
    else:
        return None
    if protocol[0] != socket.IPPROTO_UDP or len(rest) < _UDP_AND_OPTION:
        return None
    if int.from_bytes(rest[2:4]) != GENEVE_PORT:
        return None
    return Kind(str(ip_address(source)), int.from_bytes(rest[20:28]))
