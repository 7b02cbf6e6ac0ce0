# SPDX-License-Identifier: Apache-2.0
"""The kernel's own clock around BPF programs: nanoseconds a run, in all runs while it is switched on."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
_BPF_STATS_RUN_TIME = 0


class _ProgramInfo(ctypes.Structure):
    """The head of ``struct bpf_prog_info`` as far as the run statistics (linux/bpf.h)."""

    _fields_ = (
        ("before", ctypes.c_ubyte * 192),
        ("run_time_ns", ctypes.c_uint64),
        ("run_cnt", ctypes.c_uint64),
    )


@dataclass(frozen=True, slots=True)
class RunTime:
    """Runs of one program so far and the time that they took."""

    nanoseconds: int
    runs: int

    def per_run_since(self, earlier: RunTime) -> float:
        """Mean nanoseconds a run between two readings."""
        return (self.nanoseconds - earlier.nanoseconds) / max(1, self.runs - earlier.runs)


def run_time(program_fd: int) -> RunTime:
    """Read the statistics of a loaded program."""
    info = _ProgramInfo()
    length = ctypes.c_uint32(ctypes.sizeof(info))
    if _libbpf.bpf_obj_get_info_by_fd(program_fd, ctypes.byref(info), ctypes.byref(length)):
        raise OSError(ctypes.get_errno(), "reading the statistics of a BPF program")
    return RunTime(info.run_time_ns, info.run_cnt)


@contextmanager
def enabled() -> Iterator[None]:
    """Switch the clock on; it costs each run of each program some ten nanoseconds."""
    fd = _libbpf.bpf_enable_stats(_BPF_STATS_RUN_TIME)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "switching BPF statistics on")
    try:
        yield
    finally:
        os.close(fd)
