# SPDX-License-Identifier: Apache-2.0
"""As many small datagrams as one processor gets through a lab, several with each system call, none lost."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from tools.lab.errors import LabError
from tools.lab.namespace import Namespace

BATCH: Final = 64
"""Under way at a time: the queue of a veth pair holds 256."""

OCTETS: Final = 18
"""Of a datagram; with its headers it fills the shortest Ethernet frame."""

PATIENCE_SECONDS: Final = 5

_libc = ctypes.CDLL(None, use_errno=True)


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """``struct msghdr``."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """``struct mmsghdr``."""

    _fields_ = (("header", _Header), ("length", ctypes.c_uint32))


def packets_per_second(
    source: Namespace, address: str, target: Namespace, where: tuple[str, int], seconds: float
) -> float:
    """Send from ``address`` to ``where``, a batch when the former one has arrived, for so long.

    One processor does all of it, also what the kernel does on the way.

    Raises:
        LabError: some were lost.
    """
    payload = ctypes.create_string_buffer(OCTETS)
    vector = _Vector(ctypes.addressof(payload), OCTETS)
    one = _Message(_Header(vectors=ctypes.pointer(vector), vector_count=1))
    messages = (_Message * BATCH)(*[one] * BATCH)
    with (
        closing(source.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender,
        closing(target.socket(socket.AF_INET, socket.SOCK_DGRAM)) as receiver,
    ):
        patience = struct.pack("ll", PATIENCE_SECONDS, 0)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
        receiver.bind(where)
        sender.bind((address, 0))
        sender.connect(where)
        with _alone():
            return _rate(sender, receiver, messages, seconds)


def _rate(
    sender: socket.socket, receiver: socket.socket, messages: ctypes.Array[_Message], seconds: float
) -> float:
    batches = 0
    begin = now = time.monotonic()
    while now < begin + seconds:
        if _libc.sendmmsg(sender.fileno(), messages, BATCH, 0) != BATCH:
            raise LabError(f"datagrams cannot be sent ({os.strerror(ctypes.get_errno())})")
        # They arrive where they are sent from: all have the same content.
        if _libc.recvmmsg(receiver.fileno(), messages, BATCH, 0, None) != BATCH:
            raise LabError(f"not all of {BATCH} datagrams under way have arrived: they were lost")
        batches += 1
        now = time.monotonic()
    return batches * BATCH / (now - begin)


@contextmanager
def _alone() -> Iterator[None]:
    """This thread stays on one processor, and goes before all other work there."""
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(processors)})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(0, processors)
