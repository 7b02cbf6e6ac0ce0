# SPDX-License-Identifier: Apache-2.0
"""When data arrived at an interface, by the kernel's own time stamps, and how long none did."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from types import TracebackType
from typing import Final, Self

from tools.lab.namespace import Namespace

_ETH_P_ALL: Final = 3
_SO_TIMESTAMPNS: Final = 35
SO_RCVBUFFORCE: Final = 33
_BUFFER: Final = 64 << 20
"""Octets that may wait for the reader: the kernel counts whole packets, however little is copied."""
_PACKET_OUTGOING: Final = 4


class Arrivals:
    """Records the arrival of every packet of at least ``smallest`` octets at an interface; a context manager.

    Times are seconds since the epoch, as of ``time.time()``.
    """

    def __init__(self, place: Namespace, interface: str, smallest: int) -> None:
        self._smallest = smallest
        self._times: list[float] = []
        self._socket = place.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
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
    def times(self) -> Sequence[float]:
        """When packets arrived, in order."""
        return self._times

    def longest_gap(self, begin: float, end: float) -> float:
        """The longest time without data that began or ended between ``begin`` and ``end``, in seconds."""
        times = [*self._times, time.time()]
        return max((b - a for a, b in pairwise(times) if b > begin and a < end), default=0.0)

    def _read(self) -> None:
        start = bytearray(1)  # only the length and the time of a packet matter
        while self._running:
            try:
                length, ancillary, _, sender = self._socket.recvmsg_into([start], 64, socket.MSG_TRUNC)
            except TimeoutError:
                continue
            if length >= self._smallest and sender[2] != _PACKET_OUTGOING:
                self._times.append(_stamp(ancillary))


def _stamp(ancillary: Sequence[tuple[int, int, bytes]]) -> float:
    data = next(d for level, kind, d in ancillary if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS))
    seconds, nanoseconds = struct.unpack("qq", data[:16])
    return float(seconds + nanoseconds / 1e9)
