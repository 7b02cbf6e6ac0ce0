# SPDX-License-Identifier: Apache-2.0
"""The ternary tables' lookups by themselves (``tools/bench/classify_xdp.c``), with tables to fill."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from dataplane.bpf import sys as bpf
from dataplane.bpf.compiled import Compiled
from dataplane.bpf.headers import find_headers
from dataplane.bpf.hook import Hook
from dataplane.bpf.loader import constants, describe
from dataplane.bpf.manifest import hits_of, index_of, masks_of, order_of
from dataplane.bpf.source import declared_tables, joined
from dataplane.bpf.table_map import TableMemory, open_table
from dataplane.contract.binding import Binding
from dataplane.contract.layout import Layout, shape_from_json
from dataplane.contract.p4info import load_p4info
from dataplane.contract.rows import Tables
from tools.contract import P4, P4INFO
from tools.testrun import TestProgram

SOURCE: Final = Path(__file__).with_name("bench") / "classify_xdp.c"


class Lookups:
    """The programs of ``classify_xdp.c``, and in ``tables`` the tables that they look into."""

    def __init__(self) -> None:
        # BCC comes with the distribution and is needed by nothing else here; it reads the environment.
        os.environ["BCC_KERNEL_SOURCE"] = str(find_headers())
        from bcc import BPF  # noqa: PLC0415

        from dataplane.bpf.bcc_tables import tables_of  # noqa: PLC0415

        contract = load_p4info(P4 / P4INFO)
        text = joined(SOURCE)
        declared = declared_tables(text)
        self._module: Any = BPF(
            text=text.encode(), cflags=["-w", "-fno-strict-aliasing", *constants(contract, declared)]
        )
        self._kind = BPF.XDP
        found = tables_of(self._module)
        self._fds = {table.name: table.fd for table in found}
        maps = {table.name: bpf.map_info(table.fd) for table in found}
        values = {table.name: table.value for table in found}
        described = describe(Compiled({}, maps, values), contract, declared)
        shapes = {name: shape_from_json(name, table) for name, table in described.items()}
        opened = {
            name: open_table(shape, self._memory_of(name))
            for name, shape in shapes.items()
            if shape.layout is Layout.TERNARY
        }
        self.tables = Tables(Binding(contract, shapes), opened)

    def program(self, name: str) -> TestProgram:
        """One of the programs."""
        return TestProgram(self._module.load_func(name.encode(), self._kind).fd, Hook.XDP)

    def _memory_of(self, table: str) -> TableMemory:
        names = (table, hits_of(table), index_of(table), masks_of(table), order_of(table))
        return TableMemory(*(bpf.map_memory(self._fds[name]) for name in names))
