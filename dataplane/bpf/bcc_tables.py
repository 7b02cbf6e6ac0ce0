# SPDX-License-Identifier: Apache-2.0
"""The tables of a module that BCC has compiled. Loads the compiler."""

from __future__ import annotations

import ctypes
import json
from dataclasses import dataclass
from typing import Any, Final

from bcc import BPF
from bcc.libbcc import lib

# BCC's Python leaves these out. A handle is a whole pointer, which ctypes would cut to 32 bits.
lib.bpf_num_tables.argtypes, lib.bpf_num_tables.restype = [ctypes.c_void_p], ctypes.c_size_t
_BY_NUMBER: Final = [ctypes.c_void_p, ctypes.c_size_t]
lib.bpf_table_name.argtypes, lib.bpf_table_name.restype = _BY_NUMBER, ctypes.c_char_p
lib.bpf_table_fd_id.argtypes, lib.bpf_table_fd_id.restype = _BY_NUMBER, ctypes.c_int


@dataclass(frozen=True, slots=True)
class BccTable:
    """A map of a module: its file descriptor is the module's; ``value`` says what its elements hold."""

    name: str
    fd: int
    value: Any


def tables_of(module: BPF) -> list[BccTable]:
    """All tables that the source declares."""
    handle = module.module
    return [_table(handle, number) for number in range(lib.bpf_num_tables(handle))]


def _table(handle: int, number: int) -> BccTable:
    name = lib.bpf_table_name(handle, number)
    value = json.loads(lib.bpf_table_leaf_desc(handle, name))
    return BccTable(name.decode(), lib.bpf_table_fd_id(handle, number), value)
