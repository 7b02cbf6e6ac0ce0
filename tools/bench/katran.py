# SPDX-License-Identifier: Apache-2.0
"""Katran's balancer program as a peer: its compiled object, with flows that its LRU knows."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

from tools.bench.restore import Restorer, ipv4_sum

_libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
_libbpf.bpf_object__open_file.restype = ctypes.c_void_p
_libbpf.bpf_object__find_map_by_name.restype = ctypes.c_void_p
_libbpf.bpf_object__find_program_by_name.restype = ctypes.c_void_p
_libbpf.bpf_object__close.restype = None

OBJECT_VARIABLE = "KATRAN_OBJECT"
"""Environment variable that names the compiled ``balancer.bpf.o``; without it the row is left out."""

_VIP = bytes((10, 0, 0, 1))
_REAL = bytes((10, 9, 9, 9))
_REAL_INDEX = 1
_PORTS = (40_000, 80)
_TCP = 6
_LRU_HASH = 9


class Katran:
    """A loaded balancer with one virtual address, one real server and ``flows`` TCP flows in its LRU."""

    def __init__(self, path: Path, flows: int) -> None:
        self._object = ctypes.c_void_p(_libbpf.bpf_object__open_file(str(path).encode(), None))
        if not self._object:
            raise OSError(ctypes.get_errno(), f"opening {path}")
        inner_lru = self._new_lru(flows)
        program = ctypes.c_void_p(_libbpf.bpf_object__find_program_by_name(self._object, b"balancer_ingress"))
        # The wrapper's tail call wants the same attach type on both sides, and BCC sets none.
        _libbpf.bpf_program__set_expected_attach_type(program, 0)
        self._check(_libbpf.bpf_object__load(self._object), "loading Katran's balancer")
        self.program_fd: int = _libbpf.bpf_program__fd(program)
        self._configure(inner_lru)
        self._fill(inner_lru, flows)
        self._lru = inner_lru

    def close(self) -> None:
        """Unload it and free its tables."""
        _libbpf.bpf_object__close(self._object)
        os.close(self._lru)

    def net_ns(self, restorer: Restorer, flows: int) -> float:
        """Nanoseconds a packet, LRU hit, IPIP, less the wrapper."""
        frame, header_sum = client_frame()
        return restorer.net("restore_client", self.program_fd, frame, header_sum, flows)

    @staticmethod
    def _check(result: int, what: str) -> None:
        if result:
            raise OSError(ctypes.get_errno(), what)

    def _new_lru(self, flows: int) -> int:
        # Twice the flows: an LRU hash evicts before it is full.
        fd = _libbpf.bpf_map_create(_LRU_HASH, b"bench_lru", 40, 16, max(1000, 2 * flows), None)
        if fd < 0:
            raise OSError(ctypes.get_errno(), "creating an LRU map")
        return int(fd)

    def _map(self, name: bytes) -> int:
        found = ctypes.c_void_p(_libbpf.bpf_object__find_map_by_name(self._object, name))
        return int(_libbpf.bpf_map__fd(found))

    def _update(self, fd: int, key: bytes, value: bytes) -> None:
        self._check(
            _libbpf.bpf_map_update_elem(fd, key, value, ctypes.c_uint64(0)), "filling a map of Katran's"
        )

    def _configure(self, lru: int) -> None:
        vip = _VIP + bytes(12) + struct.pack("!HBx", _PORTS[1], _TCP)
        self._update(self._map(b"vip_map"), vip, struct.pack("=II", 0, 0))
        real = _REAL + bytes(16)
        self._update(self._map(b"reals"), struct.pack("=I", _REAL_INDEX), real)
        self._update(self._map(b"ctl_array"), struct.pack("=I", 0), bytes.fromhex("0200000000020000"))
        for cpu in range(os.cpu_count() or 1):
            self._update(self._map(b"lru_mapping"), struct.pack("=I", cpu), struct.pack("=I", lru))

    def _fill(self, lru: int, flows: int) -> None:
        value = struct.pack("=IxxxxQ", _REAL_INDEX, 0)
        ports = struct.pack("!HH", *_PORTS)
        for flow in range(flows):
            source = struct.pack("!I", 0x0B000000 + flow)
            key = source + bytes(12) + _VIP + bytes(12) + ports + bytes((_TCP, 0, 0, 0))
            self._update(lru, key, value)


def client_frame() -> tuple[bytes, int]:
    """A TCP segment to the virtual address (128 octets), and the sum of its IPv4 header without addresses."""
    header = struct.pack("!BBHHHBBH", 0x45, 0, 114, 0, 0x4000, 64, _TCP, 0) + bytes(8)
    tcp = struct.pack("!HHIIBBHHH", *_PORTS, 1, 1, 0x50, 0x10, 1024, 0, 0)
    frame = bytes.fromhex("020000000001020000000002") + b"\x08\x00" + header + tcp
    return frame.ljust(128, b"\0"), ipv4_sum(header)
