# SPDX-License-Identifier: Apache-2.0
"""The agent: how soon it serves again, and what a million connections weigh."""

from __future__ import annotations

import re
import time
from pathlib import Path
from statistics import median

from tools.bench.p4runtime import Primary, Tables, entries_of
from tools.bench.report import Row
from tools.lab.lab import HostPlan, Lab
from tools.lab.programs import Host

RESTARTS = 5
CONNECTIONS = 50_000
"""Each is an entry of ``scid`` and one of ``connection``."""

MILLION = 1_000_000


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
    with Primary(f"unix:{host.socket}") as primary:
        next(iter(primary.read(Tables().table_id("port_role"))))
    return (time.perf_counter() - begin) * 1000


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
    with Primary(f"unix:{host.socket}") as primary:
        primary.write(entries_of(connections))


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
