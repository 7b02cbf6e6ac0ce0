# SPDX-License-Identifier: Apache-2.0
"""Runs the pinned programs on packets given by hand (BPF_PROG_TEST_RUN): no packet is really sent.

A test run takes a packet as if it came in at an interface and returns what the program made of it. The
interface must exist, in the network namespace of the caller.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from dataplane.bpf import sys as bpf
from dataplane.bpf.hook import Hook

SHORTEST_FRAME: Final = 14
"""The kernel runs no program on less than an Ethernet header."""


class _XdpContext(ctypes.Structure):
    """``struct xdp_md``."""

    _fields_ = tuple(
        (name, ctypes.c_uint32)
        for name in ("data", "data_end", "data_meta", "ingress_ifindex", "rx_queue_index", "egress_ifindex")
    )


class _SkbContext(ctypes.Structure):
    """``struct __sk_buff``, of which a test run may set only some fields."""

    _fields_ = (
        ("before_ifindex", ctypes.c_uint32 * 10),
        ("ifindex", ctypes.c_uint32),
        ("between", ctypes.c_uint32 * 30),
        ("gso_segs", ctypes.c_uint32),
        ("sk", ctypes.c_uint64),
        ("gso_size", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
        ("hwtstamp", ctypes.c_uint64),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a packet: the hook's own verdict, the frame, mean nanoseconds a run."""

    verdict: int
    frame: bytes
    nanoseconds: int


class TestProgram:
    """A pinned program, ready for test runs."""

    __test__ = False

    def __init__(self, path: Path, hook: Hook) -> None:
        self.hook = hook
        self._fd = bpf.object_get(path)

    def run(self, frame: bytes, ifindex: int, *, repeat: int = 1, gso_size: int = 0) -> Outcome:
        """Runs it on ``frame``, as come in at the interface ``ifindex``.

        With ``repeat`` above 1 the program meets what it made of the packet the time before. ``gso_size``:
        payload octets of the segments that a large packet will be cut into (TC only).
        """
        context = _xdp(frame, ifindex) if self.hook is Hook.XDP else skb_context(ifindex, gso_size)
        result = bpf.test_run(self._fd, frame, context, repeat=repeat)
        return Outcome(result.verdict, result.data, result.nanoseconds)

    def close(self) -> None:
        """Lets go of the program."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _xdp(frame: bytes, ifindex: int) -> _XdpContext:
    return _XdpContext(data_end=len(frame), ingress_ifindex=ifindex)


def skb_context(ifindex: int, gso_size: int = 0) -> ctypes.Structure:
    """The context of a TC test run: the interface, and whether the packet will be cut into segments."""
    return _SkbContext(ifindex=ifindex, gso_size=gso_size, gso_segs=2 if gso_size else 0)
