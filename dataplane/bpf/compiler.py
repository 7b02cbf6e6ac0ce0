# SPDX-License-Identifier: Apache-2.0
"""Compiles one source: ``python -m dataplane.bpf.compiler SOURCE FLAG...``, in a process of its own.

The compiler is large, slow, and uses one processor. It finds the kernel headers by BCC_KERNEL_SOURCE. The
answer on the standard output is a ``Compiled`` as JSON; what the compiler says goes to the standard error.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Sequence
from typing import Final

from bcc import BPF
from bcc.libbcc import lib

from dataplane.bpf import sys as bpf
from dataplane.bpf.bcc_tables import tables_of
from dataplane.bpf.compiled import Compiled, Program
from dataplane.bpf.source import SOURCES, joined

_INSTRUCTION: Final = struct.Struct("=BBhi")
_LOAD_IMMEDIATE_64: Final = 0x18
_FROM_MAP: Final = 1
"""BPF_LD | BPF_IMM | BPF_DW, with BPF_PSEUDO_MAP_FD as its source register."""


def compile_source(source: str, flags: Sequence[str]) -> Compiled:
    """Compile ``ebpf/moorline_<source>.c``; raises BCC's exceptions."""
    module = BPF(text=joined(SOURCES / f"moorline_{source}.c"), cflags=list(flags))
    tables = tables_of(module)
    names = {table.fd: table.name for table in tables}
    functions = [
        lib.bpf_function_name(module.module, number) for number in range(lib.bpf_num_functions(module.module))
    ]
    return Compiled(
        {name.decode(): _program(module, name, names) for name in functions},
        {table.name: bpf.map_info(table.fd) for table in tables},
        {table.name: table.value for table in tables},
    )


def _program(module: BPF, name: bytes, maps: dict[int, str]) -> Program:
    """The instructions, with numbers of this process's file descriptors taken out, and where they were."""
    instructions = bytearray(module.dump_func(name))
    references = {}
    for at in range(0, len(instructions), _INSTRUCTION.size):
        code, registers, offset, value = _INSTRUCTION.unpack_from(instructions, at)
        if code == _LOAD_IMMEDIATE_64 and registers >> 4 == _FROM_MAP:
            references[at // _INSTRUCTION.size] = maps[value]
            _INSTRUCTION.pack_into(instructions, at, code, registers, offset, 0)
    return Program(bytes(instructions), references)


def main() -> int:
    """Compiles, answers, and returns the exit code."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the compiler prints
    source, *flags = sys.argv[1:]
    json.dump(compile_source(source, flags).to_json(), answer)
    answer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
