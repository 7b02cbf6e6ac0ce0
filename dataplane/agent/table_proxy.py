# SPDX-License-Identifier: Apache-2.0
"""A table as the controller writes it, when the agent has to know of what is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dataplane.bpf.table_map import RawEntry, TableMap


class TableProxy:
    """The table itself (:class:`dataplane.bpf.table_map.TableMap`)."""

    def __init__(self, table: TableMap) -> None:
        self._table = table

    @property
    def name(self) -> str:
        """See ``TableMap``, also below."""
        return self._table.name

    @property
    def capacity(self) -> int:  # noqa: D102
        return self._table.capacity

    def insert(self, key: bytes, action: int, data: bytes) -> None:  # noqa: D102
        self._table.insert(key, action, data)

    def modify(self, key: bytes, action: int, data: bytes) -> None:  # noqa: D102
        self._table.modify(key, action, data)

    def delete(self, key: bytes) -> None:  # noqa: D102
        self._table.delete(key)

    def get(self, key: bytes) -> RawEntry | None:  # noqa: D102
        return self._table.get(key)

    def scan(self) -> Iterator[RawEntry]:  # noqa: D102
        return self._table.scan()

    def set_counters(self, key: bytes, packets: int, octets: int) -> None:  # noqa: D102
        self._table.set_counters(key, packets, octets)

    def __len__(self) -> int:
        return len(self._table)


class OriginTable(TableProxy):
    """The table ``origin``: this host is a relay from its first entry to its last.

    Args:
        table: the table itself.
        begins: called before its first entry stands: whatever relaying needs is to be there by then.
        ends: called when its last entry is gone.
    """

    def __init__(self, table: TableMap, begins: Callable[[], None], ends: Callable[[], None]) -> None:
        super().__init__(table)
        self._begins = begins
        self._ends = ends

    def insert(self, key: bytes, action: int, data: bytes) -> None:  # noqa: D102
        if not len(self):
            self._begins()
        super().insert(key, action, data)

    def delete(self, key: bytes) -> None:  # noqa: D102
        super().delete(key)
        if not len(self):
            self._ends()


class RouteTable(TableProxy):
    """The table ``route``: whom its entries lead to has to be reached.

    Args:
        table: the table itself.
        changed: called after each change.
    """

    def __init__(self, table: TableMap, changed: Callable[[], None]) -> None:
        super().__init__(table)
        self._changed = changed

    def insert(self, key: bytes, action: int, data: bytes) -> None:  # noqa: D102
        super().insert(key, action, data)
        self._changed()

    def modify(self, key: bytes, action: int, data: bytes) -> None:  # noqa: D102
        super().modify(key, action, data)
        self._changed()

    def delete(self, key: bytes) -> None:  # noqa: D102
        super().delete(key)
        self._changed()
