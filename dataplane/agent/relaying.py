# SPDX-License-Identifier: Apache-2.0
"""When this host is a relay: from the first address on that it is told a neighbour by, to the last."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dataplane.bpf.table_map import RawEntry, TableMap


class OriginTable:
    """The table ``origin`` as the controller writes it.

    Args:
        table: the table itself.
        begins: called before its first entry stands: whatever relaying needs is to be there by then.
        ends: called when its last entry is gone.
    """

    def __init__(self, table: TableMap, begins: Callable[[], None], ends: Callable[[], None]) -> None:
        self._table = table
        self._begins = begins
        self._ends = ends

    @property
    def name(self) -> str:
        """See ``TableMap``, also below."""
        return self._table.name

    @property
    def capacity(self) -> int:  # noqa: D102
        return self._table.capacity

    def insert(self, key: bytes, action: int, data: bytes) -> None:  # noqa: D102
        if not len(self._table):
            self._begins()
        self._table.insert(key, action, data)

    def modify(self, key: bytes, action: int, data: bytes) -> None:  # noqa: D102
        self._table.modify(key, action, data)

    def delete(self, key: bytes) -> None:  # noqa: D102
        self._table.delete(key)
        if not len(self._table):
            self._ends()

    def get(self, key: bytes) -> RawEntry | None:  # noqa: D102
        return self._table.get(key)

    def scan(self) -> Iterator[RawEntry]:  # noqa: D102
        return self._table.scan()

    def set_counters(self, key: bytes, packets: int, octets: int) -> None:  # noqa: D102
        self._table.set_counters(key, packets, octets)

    def __len__(self) -> int:
        return len(self._table)
