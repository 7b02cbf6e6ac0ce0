# SPDX-License-Identifier: Apache-2.0
"""How fast entries are written to and read from an agent, and BMv2 where it is installed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from tools.bench.p4runtime import Primary, Tables, batches, deletion, entries_of
from tools.bench.report import Row
from tools.bench.rounds import interleave
from tools.lab import cleanup
from tools.lab.errors import LabError
from tools.lab.lab import HostPlan, Lab
from tools.lab.namespace import Namespace
from tools.lab.switch import PROGRAM, Switch, find_switch

log = structlog.get_logger(__name__)

ROUNDS: Final = 5
CONNECTIONS: Final = 50_000
"""Each is an entry of ``scid`` and one of ``connection``."""


def agent() -> list[Row]:
    """``p4runtime.write_entries_per_s`` and ``p4runtime.read_entries_per_s``, with 100,000 entries."""
    with Lab([HostPlan("server")]) as lab:
        lab.start()
        lab.controller.stop()
        with Primary(f"unix:{lab['server'].socket}") as primary:
            deletions = [*batches(map(deletion, entries_of(CONNECTIONS)))]
            return _rates(primary, lambda: primary.send(deletions), "")


def bmv2() -> list[Row]:
    """The same of a BMv2 switch (``_bmv2``)."""
    if find_switch() is None:
        log.warning("benchmark_skipped", why=f"{PROGRAM} is not on the PATH")
        return []
    with tempfile.TemporaryDirectory(prefix="moorline-bench-") as folder:
        place = Namespace(cleanup.unique_name(), Path(folder))
        try:
            with Switch("bmv2", place.path, {}, Path(folder)) as switch, Primary(switch.address) as primary:
                primary.begin()
                return _rates(primary, primary.begin, "_bmv2")
        finally:
            place.close()


def _rates(primary: Primary, empty: Callable[[], object], suffix: str) -> list[Row]:
    tables = _FilledTables(primary, empty)
    rates = interleave({"write": tables.write, "read": tables.read}, ROUNDS)
    return [
        Row(f"p4runtime.{name}_entries_per_s{suffix}", rate.median, "1/s", "", rate.median)
        for name, rate in rates.items()
    ]


class _FilledTables:
    """Fills two tables and reads them, round by round; what a round needs is encoded before it begins."""

    def __init__(self, primary: Primary, empty: Callable[[], object]) -> None:
        self._primary = primary
        self._empty = empty
        self._insertions = [*batches(entries_of(CONNECTIONS))]
        self._filled = False

    def write(self) -> float:
        """Insertions a second."""
        if self._filled:
            self._empty()
        self._filled = True
        begin = time.perf_counter()
        written = self._primary.send(self._insertions)
        return written / (time.perf_counter() - begin)

    def read(self) -> float:
        """Entries read a second, without counters."""
        tables = Tables()
        begin = time.perf_counter()
        entries = sum(1 for name in ("scid", "connection") for _ in self._primary.read(tables.table_id(name)))
        seconds = time.perf_counter() - begin
        if entries != 2 * CONNECTIONS:
            raise LabError(f"{entries} entries are there, not the {2 * CONNECTIONS} that were written")
        return entries / seconds
