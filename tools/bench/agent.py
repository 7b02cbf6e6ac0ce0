# SPDX-License-Identifier: Apache-2.0
"""The agent: how fast it is programmed, how soon it serves again, and what a million connections weigh."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from finsy.proto import p4r

from tools.bench.p4runtime import Primary, Tables, batches, deletion
from tools.bench.report import Row
from tools.bench.rounds import interleave
from tools.lab.lab import HostPlan, Lab
from tools.lab.programs import Host

RESTARTS = 5
PROGRAMMING_ROUNDS = 5
CONNECTIONS = 50_000
"""Each is an entry of ``scid`` and one of ``connection``."""

MILLION = 1_000_000
_MAPPED = 0xFFFF << 32


def restart() -> list[Row]:
    """``agent.restart_ms``: from the start of the process to an answer over P4Runtime."""
    with Lab([HostPlan("server")]) as lab:
        lab.start()
        host = lab["server"]
        lab.controller.stop()
        _fill(host, CONNECTIONS)
        times = [_restart_ms(host) for _ in range(RESTARTS)]
    return [Row("agent.restart_ms", median(times), "ms", "100,000 entries", median(times))]


def _restart_ms(host: Host) -> float:
    host.kill()
    begin = time.perf_counter()
    host.launch()
    host.wait_serving()
    with Primary(host.socket) as primary:
        next(iter(primary.read(Tables().table_id("port_role"))))
    return (time.perf_counter() - begin) * 1000


def programming() -> list[Row]:
    """``p4runtime.write_entries_per_s`` and ``p4runtime.read_entries_per_s``, with 100,000 entries."""
    with Lab([HostPlan("server")]) as lab:
        lab.start()
        lab.controller.stop()
        with Primary(lab["server"].socket) as primary:
            tables = _FilledTables(primary)
            rates = interleave({"write": tables.write, "read": tables.read}, PROGRAMMING_ROUNDS)
    return [
        Row(f"p4runtime.{name}_entries_per_s", rate.median, "1/s", "", rate.median)
        for name, rate in rates.items()
    ]


class _FilledTables:
    """Fills two tables and reads them, round by round; what a round needs is encoded before it begins."""

    def __init__(self, primary: Primary) -> None:
        insertions = [*_updates(CONNECTIONS)]
        self._primary = primary
        self._insertions = [*batches(insertions)]
        self._deletions = [*batches(map(deletion, insertions))]
        self._filled = False

    def write(self) -> float:
        """Insertions a second."""
        if self._filled:
            self._primary.send(self._deletions)
        self._filled = True
        begin = time.perf_counter()
        written = self._primary.send(self._insertions)
        return written / (time.perf_counter() - begin)

    def read(self) -> float:
        """Entries read a second, without counters."""
        tables = Tables()
        begin = time.perf_counter()
        entries = sum(1 for name in ("scid", "connection") for _ in self._primary.read(tables.table_id(name)))
        return entries / (time.perf_counter() - begin)


def memory() -> list[Row]:
    """``memory.mib_1m_connections``: the maps and the agent's own memory."""
    sizes = {"table_sizes": {"scid": 1 << 20, "connection": MILLION + 1}}
    with Lab([HostPlan("server", settings=sizes)]) as lab:
        lab.start()
        host = lab["server"]
        lab.controller.stop()
        _fill(host, MILLION)
        mib = (_anonymous_octets(host.process.pid) + _map_octets(host.process.pid)) / (1 << 20)
    return [Row("memory.mib_1m_connections", mib, "MiB", "", mib)]


def _fill(host: Host, connections: int) -> None:
    """Entries of ``connections`` connections, written as the controller writes them."""
    with Primary(host.socket) as primary:
        primary.write(_updates(connections))


def _updates(connections: int) -> Iterator[p4r.Update]:
    tables = Tables()
    for slot in range(connections):
        scid = (slot * 0x9E3779B97F4A7C15 % (1 << 40)) << 24 | slot or 1 << 24
        local, peer = 0x0A000000 + slot, 0x0B000000 + slot
        ends = {"local4": local, "peer4": peer, "local6": 0, "peer6": 0}
        deliver = {"port": 1, "tenant": 0, "node": 7, **ends, "hops": 0}
        yield tables.insert("scid", {"scid": scid}, "deliver", deliver)
        pair = {"tenant": 0, "src": _MAPPED | local, "dst": _MAPPED | peer}
        yield tables.insert("connection", pair, "encapsulate", {"scid": scid, "node": 7, "spi": 0, "si": 0})


def _anonymous_octets(pid: int) -> int:
    """The process's own memory; the tables that it maps are counted as maps."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(re.search(r"^RssAnon:\s+(\d+) kB", status, re.M)[1])  # type: ignore[index]


def _map_octets(pid: int) -> int:
    """Memory of the BPF maps that the process holds, each once, as the kernel accounts for it."""
    sizes: dict[str, int] = {}
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = entry.read_text()
        except FileNotFoundError:  # closed since the folder was read
            continue
        if (found := re.search(r"^memlock:\s+(\d+)", text, re.M)) and (
            name := re.search(r"^map_id:\s+(\d+)", text, re.M)
        ):
            sizes[name[1]] = int(found[1])
    return sum(sizes.values())
