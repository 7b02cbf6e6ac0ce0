# SPDX-License-Identifier: Apache-2.0
"""As many small datagrams as a processor sends, several with each system call."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from contextlib import closing
from typing import Final

from tools.lab.namespace import Namespace

BATCH: Final = 64
PAYLOAD: Final = bytes(18)
"""With its headers the shortest Ethernet frame."""

_UNDER_WAY_OCTETS: Final = 64 << 10
"""Of the sender's socket: less than the queue of a veth pair (256 packets): it waits, and loses none."""

_libc = ctypes.CDLL(None, use_errno=True)


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """``struct mmsghdr``."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint32),
    )


def send(place: Namespace, source: str, target: tuple[str, int], seconds: float) -> int:
    """Send from ``source`` for so long, on one processor; returns how many datagrams went out.

    What the kernel does for them on its way through a lab is done by that processor too.
    """
    vector = _Vector(PAYLOAD, len(PAYLOAD))
    one = _Message(vectors=ctypes.pointer(vector), vector_count=1)
    messages = (_Message * BATCH)(*[one] * BATCH)
    sent = 0
    with closing(place.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNDER_WAY_OCTETS)
        sender.bind((source, 0))
        sender.connect(target)
        processors = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(processors)})
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                sent += _send(sender, messages)
        finally:
            os.sched_setaffinity(0, processors)
    return sent


def _send(sender: socket.socket, messages: ctypes.Array[_Message]) -> int:
    done = int(_libc.sendmmsg(sender.fileno(), messages, BATCH, 0))
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done
