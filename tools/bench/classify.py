# SPDX-License-Identifier: Apache-2.0
"""Nanoseconds that the classifier takes, by rules and masks: test runs of its lookup alone."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from dataplane.contract.rows import Tables
from moorline.matches import Masked
from tools.bench.report import Row
from tools.bench.restore import nanoseconds
from tools.bench.rounds import interleave, ratio
from tools.classes import Lookups

ROUNDS: Final = 9
FEW_RULES, MANY_RULES, MANY_MASKS = 10, 1000, 16
_PORT: Final = 80

_FRAME: Final = bytes(14) + struct.pack("=32xIHH6xHHB5x", 0, 1, 0, 0, _PORT, 6)
"""A packet of the flows that are measured; the program makes the source."""


def warm_and_new() -> list[Row]:
    """``classify.*``: flows that are known, and flows for which the table is looked through."""
    few, many = Lookups(), Lookups()
    _write(few.tables, FEW_RULES, 1)
    _write(many.tables, MANY_RULES, MANY_MASKS)
    subjects = {
        f"{flows} {name}": _net(lookups, f"{flows}_flows")
        for name, lookups in (("few", few), ("many", many))
        for flows in ("warm", "new")
    }
    samples = interleave(subjects, ROUNDS)
    rules = f"{FEW_RULES} rules of one mask"
    rows = []
    for flows, name in (("warm", "classify.ns_ratio_masks"), ("new", "classify.new_flow_ns")):
        median = samples[f"{flows} many"].median
        rows.append(Row(name, median, "ns", rules, ratio(samples, f"{flows} many", f"{flows} few")))
    return rows


def _write(tables: Tables, rules: int, masks: int) -> None:
    """Rules for prefixes of several lengths and a port; only that of the lowest priority is ever met."""
    for number in range(1, rules + 1):
        prefix = ((1 << 2 * (number % masks)) - 1).to_bytes(16, "little")
        port = _PORT if number == 1 else _PORT + number
        match = {"dst": Masked(bytes(16), prefix), "dst_port": Masked(port.to_bytes(2, "big"), b"\xff\xff")}
        tables.write("classifier", match, "set_path", {"spi": 1, "si": 255, "mtu": 1500}, priority=number)


def _net(lookups: Lookups, name: str) -> Callable[[], float]:
    """What a lookup takes, without what the program does besides."""
    program, floor = lookups.program(name), lookups.program("no_lookup")
    if program.run(_FRAME, 1)[0] != 1:
        raise RuntimeError("the measured packets meet no rule")
    return lambda: nanoseconds(program, _FRAME) - nanoseconds(floor, _FRAME)
