# SPDX-License-Identifier: Apache-2.0
"""The kernel's BPF objects through libbpf: pins, maps, test runs, ring buffers. No compiler is loaded.

All functions raise ``OSError`` with the kernel's error number.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_lib: Final = ctypes.CDLL("libbpf.so.1", use_errno=True)

_POSSIBLE_CPUS: Final = Path("/sys/devices/system/cpu/possible")


_NAME_OCTETS: Final = 15
"""What the kernel keeps of the name of a map or program."""

_LOG_OCTETS: Final = 1 << 24
"""Room for what the verifier says; of more, it keeps the end."""


class _MapInfo(ctypes.Structure):
    """``struct bpf_map_info`` as far as the map's name."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("key_size", ctypes.c_uint32),
        ("value_size", ctypes.c_uint32),
        ("max_entries", ctypes.c_uint32),
        ("map_flags", ctypes.c_uint32),
        ("name", ctypes.c_char * 16),
    )


class _ProgramOptions(ctypes.Structure):
    """``struct bpf_prog_load_opts`` of libbpf."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("attempts", ctypes.c_int),
        ("expected_attach_type", ctypes.c_int),
        ("before", ctypes.c_uint32 * 7),
        ("fd_array", ctypes.c_void_p),
        ("func_info", ctypes.c_void_p),
        ("func_info_size", ctypes.c_uint32 * 2),
        ("line_info", ctypes.c_void_p),
        ("line_info_size", ctypes.c_uint32 * 2),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_void_p),
    )


class _MapOptions(ctypes.Structure):
    """``struct bpf_map_create_opts`` of libbpf as far as the flags."""

    _fields_ = (("sz", ctypes.c_size_t), ("before", ctypes.c_uint32 * 5), ("map_flags", ctypes.c_uint32))


class _XdpContext(ctypes.Structure):
    """``struct xdp_md``."""

    _fields_ = tuple(
        (name, ctypes.c_uint32)
        for name in ("data", "data_end", "data_meta", "ingress_ifindex", "rx_queue_index", "egress_ifindex")
    )


class _RunOptions(ctypes.Structure):
    """``struct bpf_test_run_opts`` of libbpf."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("data_in", ctypes.c_char_p),
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


_LIVE_FRAMES: Final = 1 << 1
"""BPF_F_TEST_XDP_LIVE_FRAMES: what the program says of the frame is done."""

_RING_CALLBACK: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)

_lib.bpf_prog_load.argtypes = [ctypes.c_int, *[ctypes.c_char_p] * 3, ctypes.c_size_t, ctypes.c_void_p]
_lib.ring_buffer__new.restype = ctypes.c_void_p
_lib.ring_buffer__new.argtypes = [ctypes.c_int, _RING_CALLBACK, ctypes.c_void_p, ctypes.c_void_p]
_lib.ring_buffer__consume.argtypes = [ctypes.c_void_p]
_lib.ring_buffer__epoll_fd.argtypes = [ctypes.c_void_p]
_lib.ring_buffer__free.argtypes = [ctypes.c_void_p]
_lib.ring_buffer__free.restype = None


@dataclass(frozen=True, slots=True)
class MapInfo:
    """What the kernel says of a map: sizes in octets."""

    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int


class ProgramRefusedError(OSError):
    """A program that the kernel did not take; ``log`` is what the verifier says of it."""

    def __init__(self, number: int, name: str, log: str) -> None:
        super().__init__(number, os.strerror(number), name)
        self.log = log


def _checked(result: int, doing: str) -> int:
    if result < 0:
        number = ctypes.get_errno() or -result
        raise OSError(number, os.strerror(number), doing)
    return result


def object_get(path: Path) -> int:
    """A file descriptor of the map or program pinned at ``path``; the caller closes it."""
    return _checked(_lib.bpf_obj_get(os.fsencode(path)), str(path))


def object_pin(fd: int, path: Path) -> None:
    """Pins a map or program. A pin that is there already is replaced in one step."""
    fresh = path.with_name(f"{path.name}_{os.getpid()}")  # a BPF file system takes no dots
    _checked(_lib.bpf_obj_pin(fd, os.fsencode(fresh)), str(fresh))
    fresh.rename(path)


def create_map(name: str, info: MapInfo) -> int:
    """A new map; the caller closes it."""
    options = _MapOptions(sz=ctypes.sizeof(_MapOptions), map_flags=info.flags)
    sizes = (info.key_size, info.value_size, info.max_entries)
    kernel_name = name.encode()[:_NAME_OCTETS]
    return _checked(_lib.bpf_map_create(info.type, kernel_name, *sizes, ctypes.byref(options)), f"map {name}")


def load_program(kind: int, name: str, instructions: bytes) -> int:
    """A program that the verifier has passed; the caller closes it.

    ``kind``: BPF_PROG_TYPE_*.

    Raises:
        ProgramRefusedError: the kernel does not take it.
    """
    arguments = (kind, name.encode()[:_NAME_OCTETS], b"GPL", instructions, len(instructions) // 8)
    fd = _lib.bpf_prog_load(*arguments, None)
    if fd >= 0:
        return int(fd)
    number = ctypes.get_errno()
    # Again for the log alone: writing it makes the verifier several times slower.
    log = ctypes.create_string_buffer(_LOG_OCTETS)
    options = _ProgramOptions(
        sz=ctypes.sizeof(_ProgramOptions), log_level=1, log_size=len(log), log_buf=ctypes.addressof(log)
    )
    _lib.bpf_prog_load(*arguments, ctypes.byref(options))
    raise ProgramRefusedError(number, name, log.value.decode(errors="replace"))


def let_in(program: int, ifindex: int, frame: bytes, count: int = 1) -> None:
    """Runs an XDP program on a frame as if it had come in, ``count`` times, at an interface of this network
    namespace.
    """
    context = _XdpContext(data_end=len(frame), ingress_ifindex=ifindex)
    options = _RunOptions(
        sz=ctypes.sizeof(_RunOptions), data_in=frame, data_size_in=len(frame), repeat=count,
        flags=_LIVE_FRAMES, ctx_in=ctypes.addressof(context), ctx_size_in=ctypes.sizeof(context),
    )  # fmt: skip
    _checked(_lib.bpf_prog_test_run_opts(program, ctypes.byref(options)), "frame to an XDP program")


def map_info(fd: int) -> MapInfo:
    """Sizes and type of a map."""
    info = _MapInfo()
    length = ctypes.c_uint32(ctypes.sizeof(info))
    _checked(_lib.bpf_obj_get_info_by_fd(fd, ctypes.byref(info), ctypes.byref(length)), "map information")
    return MapInfo(info.type, info.key_size, info.value_size, info.max_entries, info.map_flags)


def map_memory(fd: int) -> mmap.mmap:
    """The elements of an array that was made with BPF_F_MMAPABLE, as shared memory."""
    info = map_info(fd)
    return mmap.mmap(fd, info.max_entries * _up_to_8(info.value_size))


def possible_cpus() -> int:
    """How many values an element of a per-CPU map has."""
    last = _POSSIBLE_CPUS.read_text().strip().replace(",", "-").split("-")[-1]
    return int(last) + 1


def lookup(fd: int, index: int, octets: int) -> bytes:
    """The value of an array's element; of a per-CPU array, the values of all CPUs one after the other."""
    key = ctypes.c_uint32(index)
    value = ctypes.create_string_buffer(octets)
    _checked(_lib.bpf_map_lookup_elem(fd, ctypes.byref(key), value), f"element {index}")
    return value.raw


def update(fd: int, index: int, value: bytes) -> None:
    """Sets an array's element; for a per-CPU array, ``value`` holds the values of all CPUs."""
    key = ctypes.c_uint32(index)
    _checked(_lib.bpf_map_update_elem(fd, ctypes.byref(key), value, ctypes.c_uint64(0)), f"element {index}")


def lookup_range(fd: int, first: int, count: int, octets: int) -> bytes:
    """The values of ``count`` elements of an array, each of ``octets`` octets, in one system call."""
    keys = (ctypes.c_uint32 * count)()
    values = ctypes.create_string_buffer(count * octets)
    read = ctypes.c_uint32(count)
    # The kernel goes on behind the element that in_batch names.
    start = ctypes.c_uint32(first - 1) if first else None
    end = ctypes.c_uint32()
    result = _lib.bpf_map_lookup_batch(
        fd, ctypes.byref(start) if start else None, ctypes.byref(end), keys, values, ctypes.byref(read), None
    )
    if result < 0 and read.value < count:
        _checked(result, f"elements from {first}")
    return values.raw


_BATCH: Final = 64
"""Records handed out at once, so that whoever fills the ring does not keep its reader from all else."""


class RingBuffer:
    """A BPF ring buffer, read in the process: wait until ``fileno()`` is readable, then ``consume()``.

    It stays readable as long as records are there.
    """

    def __init__(self, map_fd: int, on_record: Callable[[bytes], None]) -> None:
        self._on_record = on_record
        self._left = 0
        self._callback = _RING_CALLBACK(self._record)  # must live as long as the ring
        ring = _lib.ring_buffer__new(map_fd, self._callback, None, None)
        if not ring:
            _checked(-ctypes.get_errno(), "ring buffer")
        self._ring: int | None = ring

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return int(_lib.ring_buffer__epoll_fd(self._ring))

    def consume(self) -> bool:
        """Hands out the records that are there, a batch of them at most; whether more may be left."""
        self._left = _BATCH
        result = _lib.ring_buffer__consume(self._ring)
        if self._left == 0:  # it was the callback that ended it
            return True
        _checked(result, "ring buffer")
        return False

    def close(self) -> None:
        """Gives the memory back."""
        if self._ring is not None:
            _lib.ring_buffer__free(self._ring)
            self._ring = None

    def _record(self, _context: Any, data: int, size: int) -> int:
        self._on_record(ctypes.string_at(data, size))
        self._left -= 1
        # A record that was handed out is consumed, also when the callback says that it is enough.
        return 0 if self._left else -errno.ECANCELED


def _up_to_8(octets: int) -> int:
    return -(-octets // 8) * 8
