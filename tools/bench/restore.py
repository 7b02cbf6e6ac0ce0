# SPDX-License-Identifier: Apache-2.0
"""Nanoseconds a packet of an XDP program, by test runs that restore the packet before each repetition."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Any

REPETITIONS = 50_000
"""Test runs cost milliseconds by themselves: what one call repeats must outweigh that."""

BATCHES = 8

_libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)


class _TestRunOptions(ctypes.Structure):
    """``struct bpf_test_run_opts`` (libbpf, bpf.h)."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("data_in", ctypes.c_void_p),
        ("data_out", ctypes.c_void_p),
        ("data_size_in", ctypes.c_uint32),
        ("data_size_out", ctypes.c_uint32),
        ("ctx_in", ctypes.c_void_p),
        ("ctx_out", ctypes.c_void_p),
        ("ctx_size_in", ctypes.c_uint32),
        ("ctx_size_out", ctypes.c_uint32),
        ("retval", ctypes.c_uint32),
        ("repeat", ctypes.c_int),
        ("duration", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("cpu", ctypes.c_uint32),
        ("batch_size", ctypes.c_uint32),
    )


def nanoseconds(program_fd: int, frame: bytes, ifindex: int | None = None, batches: int = BATCHES) -> float:
    """Smallest mean of some batches: what the program takes when nothing disturbs it."""
    data = ctypes.create_string_buffer(frame, len(frame))
    options = _TestRunOptions(
        sz=ctypes.sizeof(_TestRunOptions),
        data_in=ctypes.addressof(data),
        data_size_in=len(frame),
        repeat=REPETITIONS,
    )
    context = ctypes.create_string_buffer(struct.pack("=6I", 0, len(frame), 0, ifindex or 0, 0, 0))
    if ifindex is not None:
        options.ctx_in = ctypes.addressof(context)
        options.ctx_size_in = 24
    durations = []
    for _ in range(batches):
        if _libbpf.bpf_prog_test_run_opts(program_fd, ctypes.byref(options)):
            code = ctypes.get_errno()
            raise OSError(code, f"test run of a BPF program: {os.strerror(code)}")
        durations.append(options.duration)
    return float(min(durations))


def return_code(program_fd: int, frame: bytes, ifindex: int | None = None) -> int:
    """What the program returns for this frame, once."""
    data = ctypes.create_string_buffer(frame, len(frame))
    context = ctypes.create_string_buffer(struct.pack("=6I", 0, len(frame), 0, ifindex or 0, 0, 0))
    options = _TestRunOptions(
        sz=ctypes.sizeof(_TestRunOptions),
        data_in=ctypes.addressof(data),
        data_size_in=len(frame),
        repeat=1,
    )
    if ifindex is not None:
        options.ctx_in = ctypes.addressof(context)
        options.ctx_size_in = 24
    _libbpf.bpf_prog_test_run_opts(program_fd, ctypes.byref(options))
    return int(options.retval)


def ipv4_sum(header: bytes) -> int:
    """Sum of an IPv4 header's words without checksum and addresses (octets 10 to 19)."""
    return sum(struct.unpack("!5H", header[:10]))


class Restorer:
    """The programs of ``restore_xdp.c``, loaded."""

    def __init__(self) -> None:
        # BCC comes with the distribution and is needed by nothing else here.
        from bcc import BPF  # noqa: PLC0415

        source = Path(__file__).with_name("restore_xdp.c")
        self._module: Any = BPF(src_file=str(source), cflags=["-w"])
        self.floor_xdp: int = self._module.load_func("floor_xdp", BPF.XDP).fd
        self.floor_tc: int = self._module.load_func("floor_tc", BPF.SCHED_CLS).fd
        self._programs = {
            name: self._module.load_func(name, BPF.XDP).fd for name in ("restore_moorline", "restore_client")
        }

    def net(
        self,
        program: str,
        target_fd: int,
        frame: bytes,
        header_sum: int,
        flows: int,
        ifindex: int | None = None,
    ) -> float:
        """Nanoseconds a packet of ``target_fd``, ``flows`` flows in random order, less the wrapper."""
        self._plan(frame, header_sum, flows)
        fd = self._programs[program]
        self._module["target"][0] = ctypes.c_int(target_fd)
        with_target = nanoseconds(fd, frame, ifindex)
        del self._module["target"][0]
        return with_target - nanoseconds(fd, frame, ifindex)

    def code(
        self,
        program: str,
        target_fd: int,
        frame: bytes,
        header_sum: int,
        flows: int,
        ifindex: int | None = None,
    ) -> int:
        """What the target returns for one restored packet: whether it is measured doing its work."""
        self._plan(frame, header_sum, flows)
        self._module["target"][0] = ctypes.c_int(target_fd)
        code = return_code(self._programs[program], frame, ifindex)
        del self._module["target"][0]
        return code

    def _plan(self, frame: bytes, header_sum: int, flows: int) -> None:
        plan = self._module["plan"]
        leaf = plan.Leaf()
        leaf.words[:] = struct.unpack("=16Q", frame)
        leaf.random, leaf.flows, leaf.header_sum = 1, flows, header_sum
        plan[0] = leaf
