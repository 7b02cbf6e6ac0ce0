# SPDX-License-Identifier: Apache-2.0
"""Runs a program on frames without any network (BPF_PROG_TEST_RUN), with buffers that are used again.

A call costs about 3 microseconds, so that a fuzzer can afford a fresh frame for each.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

from dataplane.bpf.hook import Hook
from moorline.errors import MoorlineError

BPF_PROG_TEST_RUN: Final = 10
LONGEST_FRAME: Final = 3520
"""What the kernel takes for XDP: a page less headroom and tail room."""

ROOM: Final = 256
"""Octets that a program may add."""

SYS_BPF: Final = {"x86_64": 321, "aarch64": 280}

_libc = ctypes.CDLL(None, use_errno=True)


class TestRunError(MoorlineError):
    """The kernel refused a test run."""

    __test__ = False


class _Attributes(ctypes.Structure):
    """``union bpf_attr``, the part of BPF_PROG_TEST_RUN."""

    _fields_ = (
        ("prog_fd", ctypes.c_uint32),
        ("retval", ctypes.c_uint32),
        ("data_size_in", ctypes.c_uint32),
        ("data_size_out", ctypes.c_uint32),
        ("data_in", ctypes.c_uint64),
        ("data_out", ctypes.c_uint64),
        ("repeat", ctypes.c_uint32),
        ("duration", ctypes.c_uint32),
        ("ctx_size_in", ctypes.c_uint32),
        ("ctx_size_out", ctypes.c_uint32),
        ("ctx_in", ctypes.c_uint64),
        ("ctx_out", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("cpu", ctypes.c_uint32),
        ("batch_size", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    )


class _XdpContext(ctypes.Structure):
    """``struct xdp_md``."""

    _fields_ = tuple(
        (name, ctypes.c_uint32)
        for name in ("data", "data_end", "data_meta", "ingress_ifindex", "rx_queue_index", "egress_ifindex")
    )


class _SkbContext(ctypes.Structure):
    """``struct __sk_buff`` as far as the fields that a test run may set here."""

    _fields_ = (
        ("before", ctypes.c_uint32 * 10),
        ("ifindex", ctypes.c_uint32),
        ("between", ctypes.c_uint32 * 33),
        ("gso_size", ctypes.c_uint32),
        ("after", ctypes.c_uint32),
    )


class TestProgram:
    """A loaded program and its buffers. Not for several threads.

    Args:
        fd: the program's file descriptor, which stays the caller's.
        hook: what kind of program it is.
    """

    __test__ = False

    def __init__(self, fd: int, hook: Hook) -> None:
        self.hook = hook
        self.fd = fd
        self._in = ctypes.create_string_buffer(LONGEST_FRAME)
        self._out = ctypes.create_string_buffer(LONGEST_FRAME + ROOM)
        self._context: _XdpContext | _SkbContext = _XdpContext() if hook is Hook.XDP else _SkbContext()
        self._attributes = _Attributes(
            prog_fd=self.fd,
            data_in=ctypes.addressof(self._in),
            data_out=ctypes.addressof(self._out),
            repeat=1,
            ctx_size_in=ctypes.sizeof(self._context),
            ctx_in=ctypes.addressof(self._context),
        )
        self._call = (
            SYS_BPF[os.uname().machine],
            BPF_PROG_TEST_RUN,
            ctypes.byref(self._attributes),
            ctypes.sizeof(self._attributes),
        )

    def run(self, frame: bytes, ifindex: int, metadata: int = 0, segment: int = 0) -> tuple[int, bytes]:
        """The hook's verdict, and the frame as the program left it.

        ``ifindex``: where it arrives, in the caller's network namespace. ``metadata``: octets that a driver
        put before the packet, at the cost of headroom (XDP only). ``segment``: payload octets of the
        segments that the kernel will cut it into, 0 = it is whole (TC only).

        Raises:
            TestRunError: the kernel refuses; on TC, for instance, a frame that ends inside its IP header.
        """
        self._prepare(bytes(metadata) + frame if metadata else frame, ifindex, metadata, segment)
        self._attributes.repeat = 1
        self._test(frame, ifindex)
        return self._attributes.retval, ctypes.string_at(self._out, self._attributes.data_size_out)

    def nanoseconds(self, frame: bytes, ifindex: int, repetitions: int) -> int:
        """Mean time of a run, of many in one call; each meets what the one before made of the frame.

        Raises:
            TestRunError: the kernel refuses.
        """
        self._prepare(frame, ifindex)
        self._attributes.repeat = repetitions
        self._test(frame, ifindex)
        return int(self._attributes.duration)

    def _prepare(self, octets: bytes, ifindex: int, metadata: int = 0, segment: int = 0) -> None:
        ctypes.memmove(self._in, octets, len(octets))
        self._attributes.data_size_in = len(octets)
        self._attributes.data_size_out = LONGEST_FRAME + ROOM
        context = self._context
        if isinstance(context, _XdpContext):
            context.data, context.data_end, context.ingress_ifindex = metadata, len(octets), ifindex
        else:
            context.ifindex, context.gso_size = ifindex, segment

    def _test(self, frame: bytes, ifindex: int) -> None:
        if _libc.syscall(*self._call):
            reason = os.strerror(ctypes.get_errno())
            raise TestRunError(
                f"the kernel refuses a test run of {len(frame)} octets at interface {ifindex}: {reason}"
            )
