# SPDX-License-Identifier: Apache-2.0
"""What stands in path tables beside the graphs themselves, and goes when it has been idle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from finsy.proto import p4r

from control.errors import ControlError
from control.graphs.layout import Layout, Placed, Rule
from control.records import Node
from control.southbound.contract import DELETE, Contract, Row, RowKey
from control.southbound.dataplanes import DataPlanes

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Jump:
    """A short-cut as rows have it: a flow (addresses in 16 octets), and where on a path it goes on."""

    source: bytes
    destination: bytes
    protocol: int
    source_port: int
    destination_port: int
    placed: Placed
    index: int
    idle_ns: int


@dataclass(frozen=True)
class Pin:
    """A customer (16 octets) who stays with an instance until nothing was heard of them for a while."""

    kind: str
    customer: bytes
    instance: str
    idle_ns: int


@dataclass(frozen=True)
class Extras:
    """What somebody adds to the rows of graphs."""

    jumps: tuple[Jump, ...] = ()
    pins: tuple[Pin, ...] = ()
    rules: tuple[Rule, ...] = ()

    def __add__(self, other: Extras) -> Extras:
        return Extras(self.jumps + other.jumps, self.pins + other.pins, self.rules + other.rules)


class Addition(Protocol):
    """Who adds to the rows of graphs."""

    def extras(self, layout: Layout) -> Extras:
        """What is to stand beside the graphs as they are laid now."""

    def idle(self, node: Node, key: RowKey) -> bool:
        """A row was not used for its idle time-out at ``node``; False when it is not one of these."""

    async def graph_leaves(self, name: str) -> None:
        """A graph is about to be deleted."""


@dataclass(slots=True)
class Reading:
    """What rows have counted at all nodes together, and for how long none of them was used."""

    packets: int = 0
    octets: int = 0
    idle_ns: int = -1


async def read_rows(planes: DataPlanes, contract: Contract, rows: Iterable[tuple[Node, Row]]) -> Reading:
    """Read the counters of rows, and when they were last used; nodes that are away count nothing."""
    found = Reading()
    for node, row in rows:
        update = p4r.Update()
        contract.fill(update, DELETE, row)  # the key alone
        entry = update.entity.table_entry
        entry.counter_data.SetInParent()
        entry.time_since_last_hit.SetInParent()
        try:
            async for entities in planes.of(node).read(update.entity):
                for entity in entities:
                    read = entity.table_entry
                    found.packets += read.counter_data.packet_count
                    found.octets += read.counter_data.byte_count
                    elapsed = read.time_since_last_hit.elapsed_ns
                    found.idle_ns = elapsed if found.idle_ns < 0 else min(found.idle_ns, elapsed)
        except ControlError as error:
            log.info("counters_unread", node=node.name, why=str(error))
    return found


class Checks:
    """One task for each thing that may have become idle; what one of its rows says is not the whole."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}

    def begin(self, key: Hashable, check: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run ``check`` unless it is running for ``key``."""
        if key not in self._tasks:
            task = self._tasks[key] = asyncio.create_task(self._run(check))
            task.add_done_callback(lambda _: self._tasks.pop(key, None))

    @staticmethod
    async def _run(check: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await check()
        except ControlError as error:
            log.info("idle_check_failed", why=str(error))
