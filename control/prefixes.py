# SPDX-License-Identifier: Apache-2.0
"""Sets of prefixes, searched by what they have in common with another one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from moorline.addresses import Network

Prefix = Network | None
"""None: all addresses of both families."""


class Prefixes:
    """A set of prefixes. Two overlap when one holds the other."""

    def __init__(self, prefixes: Iterable[Prefix]) -> None:
        self._all = [*prefixes]
        self._everywhere: list[Prefix] = [prefix for prefix in self._all if prefix is None]
        self._by_place = {_place(prefix): prefix for prefix in self._all if prefix is not None}
        self._places = sorted(self._by_place)
        self._lengths = {(version, length) for version, _, length in self._places}

    def overlapping(self, prefix: Prefix) -> list[Prefix]:
        """All that hold ``prefix``, or lie in it."""
        if prefix is None:
            return self._all
        version, first, own_length = _place(prefix)
        places = [
            (version, _cut(first, prefix.max_prefixlen - length), length)
            for of_version, length in self._lengths
            if of_version == version and length < own_length
        ]
        low = bisect_left(self._places, (version, first, own_length))
        high = bisect_right(self._places, (version, int(prefix.broadcast_address), prefix.max_prefixlen))
        holding = [self._by_place[place] for place in places if place in self._by_place]
        return [*self._everywhere, *holding, *(self._by_place[place] for place in self._places[low:high])]


def _place(prefix: Network) -> tuple[int, int, int]:
    """Sorted by these, what lies in a prefix follows it."""
    return prefix.version, int(prefix.network_address), prefix.prefixlen


def _cut(address: int, bits: int) -> int:
    return address >> bits << bits
