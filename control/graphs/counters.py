# SPDX-License-Identifier: Apache-2.0
"""What went along paths, and to which instances: read from the direct counters of their rows.

Sums go on when a graph is changed, while the rows that counted are new ones. They begin with the controller.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import structlog
from finsy.proto import p4r

from control.errors import NodeAwayError
from control.graphs.graphs import Graphs
from control.graphs.layout import Placed
from control.graphs.rows import PathRows
from control.records import Node
from control.southbound.contract import RowKey, read_match
from control.southbound.dataplanes import DataPlanes

log = structlog.get_logger(__name__)

_TABLES: Final = ("path_hop", "classifier", "shortcut")

PathKey = tuple[str, str]
"""Name of the graph, key of the path."""


@dataclass(slots=True)
class Count:
    """Packets and octets."""

    packets: int = 0
    octets: int = 0

    def add(self, packets: int, octets: int) -> None:
        """Count more."""
        self.packets += packets
        self.octets += octets


class Counters:
    """The sums of all graphs."""

    def __init__(self, planes: DataPlanes, graphs: Graphs, interval: float) -> None:
        self._planes = planes
        self._graphs = graphs
        self._interval = interval
        self.visits: dict[tuple[PathKey, str], Count] = defaultdict(Count)
        """By path and name of the instance."""
        self.classified: dict[PathKey, Count] = defaultdict(Count)
        self.cut_short: dict[PathKey, Count] = defaultdict(Count)
        self._last: dict[int, dict[RowKey, tuple[int, int]]] = defaultdict(dict)
        """What the rows of a node, by its number, had counted when they were read last."""
        self._reading = asyncio.Lock()

    async def run(self) -> None:
        """Read for ever."""
        while True:
            await asyncio.sleep(self._interval)
            await self.refresh()

    async def refresh(self) -> None:
        """Read all counters; nodes that are away keep what they had."""
        # One after the other: what was read before but comes later would pass for a row that began anew.
        async with self._reading:
            layout = self._graphs.layout
            names = sorted({name for placed in layout.placed for name in placed.nodes})
            await asyncio.gather(*(self._read(layout.nodes[name]) for name in names))

    def forget(self, graph: str) -> None:
        """A graph is gone."""
        for counts in (self.classified, self.cut_short):
            for key in [key for key in counts if key[0] == graph]:
                del counts[key]
        for visit in [visit for visit in self.visits if visit[0][0] == graph]:
            del self.visits[visit]

    async def _read(self, node: Node) -> None:
        tables = self._graphs.path_rows.tables
        entities = [
            p4r.Entity(table_entry=p4r.TableEntry(table_id=tables[name], counter_data=p4r.CounterData()))
            for name in _TABLES
        ]
        layout = self._graphs.layout
        paths = {one.path.spi: one for one in layout.placed if one.graph.active is not None}
        there: set[RowKey] = set()
        try:
            async for batch in self._planes.of(node).read(*entities):
                for entity in batch:
                    there.add(self._take(node, entity.table_entry, paths))
                await asyncio.sleep(0)
        except NodeAwayError as error:
            log.info("counters_unread", node=node.name, why=str(error))
            return
        last = self._last[node.id]
        self._last[node.id] = {key: last[key] for key in last.keys() & there}

    def _take(self, node: Node, entry: p4r.TableEntry, paths: dict[int, Placed]) -> RowKey:
        last, key = self._last[node.id], (entry.table_id, read_match(entry), entry.priority)
        now = entry.counter_data.packet_count, entry.counter_data.byte_count
        before = last.get(key, (0, 0))
        if now == before:
            return key
        last[key] = now
        if now[0] < before[0]:  # the row went and came again
            before = 0, 0
        count = self._count_of(node, entry, paths)
        if count is not None:
            count.add(now[0] - before[0], now[1] - before[1])
        return key

    def _count_of(self, node: Node, entry: p4r.TableEntry, paths: dict[int, Placed]) -> Count | None:
        rows: PathRows = self._graphs.path_rows
        params = rows.params(entry)
        if entry.table_id != rows.tables["path_hop"]:
            placed = paths.get(params.get("spi", 0))
            if placed is None:
                return None
            counts = self.classified if entry.table_id == rows.tables["classifier"] else self.cut_short
            return counts[path_key(placed)]
        placed = paths.get(int.from_bytes(read_match(entry)[0]))
        instance = self._graphs.layout.instance_at(node, params.get("port", 0), params.get("dst_mac", 0))
        return self.visits[path_key(placed), instance.name] if placed and instance else None


def path_key(placed: Placed) -> PathKey:
    """What its counts are kept under."""
    return placed.graph.name, placed.path.plan.key
