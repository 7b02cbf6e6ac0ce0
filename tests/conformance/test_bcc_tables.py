# SPDX-License-Identifier: Apache-2.0
"""What BCC says of a module's tables, wherever in memory it keeps the module."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from dataplane.bpf import sys as bpf
from dataplane.bpf.headers import find_headers

SOURCE = b"""
struct pair { u32 first; u64 second; };
BPF_ARRAY(pairs, struct pair, 7);
BPF_ARRAY(numbers, u16, 3);
"""


def test_tables_of_a_module_above_4_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCC_KERNEL_SOURCE", str(find_headers()))
    from bcc import BPF

    from dataplane.bpf.bcc_tables import tables_of

    with ThreadPoolExecutor(
        1
    ) as elsewhere:  # what a thread allocates lies high, whatever the first one's heap
        module = elsewhere.submit(BPF, text=SOURCE).result()
    assert module.module >= 1 << 32
    tables = {table.name: table for table in tables_of(module)}
    assert {name: bpf.map_info(table.fd).max_entries for name, table in tables.items()} == {
        "pairs": 7,
        "numbers": 3,
    }
    assert tables["numbers"].value == "unsigned short"
    assert [field[0] for field in tables["pairs"].value[1]][::2] == ["first", "second"]
