# SPDX-License-Identifier: Apache-2.0
"""Matches by the packets that they have in common with others.

A graph may have thousands of rules, one for each address of its customers. Comparing each with each of
another graph takes minutes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, Generic, TypeVar

from control.graphs.compile import Match
from moorline.addresses import Network

T = TypeVar("T")

_Prefix = Network | None
"""None: all addresses of both families."""


class MatchIndex(Generic[T]):
    """Finds what has a match that some packet could meet as well as another one."""

    def __init__(self, items: Iterable[tuple[Match, T]]) -> None:
        """Take up what stands behind each match."""
        groups: dict[Match, list[tuple[Match, T]]] = defaultdict(list)
        for match, item in items:
            groups[match._replace(source=None, destination=None)].append((match, item))
        self._groups: Final = {rest: _ByAddresses(group) for rest, group in groups.items()}

    def meeting(self, match: Match) -> Iterator[T]:
        """What is behind all matches that meet this one (:meth:`Match.meets`), in any order."""
        for rest, group in self._groups.items():
            if rest.meets(match):
                yield from group.meeting(match.source, match.destination)


class _ByAddresses(Generic[T]):
    """What has matches that differ in their addresses alone."""

    def __init__(self, items: Iterable[tuple[Match, T]]) -> None:
        pairs = [(match.source, match.destination, item) for match, item in items]
        self._by_source = _Nested(pairs)
        self._by_destination = _Nested((to, at, item) for at, to, item in pairs)

    def meeting(self, source: _Prefix, destination: _Prefix) -> Iterator[T]:
        """Customers are many and their servers few: the end that leaves less to look at goes first."""
        sources = self._by_source.overlapping(source)
        destinations = self._by_destination.overlapping(destination)
        if len(sources) <= len(destinations):
            yield from self._by_source.within(sources, destination)
        else:
            yield from self._by_destination.within(destinations, source)


class _Nested(Generic[T]):
    """Items by a prefix, and among these by another one."""

    def __init__(self, items: Iterable[tuple[_Prefix, _Prefix, T]]) -> None:
        self._items: dict[_Prefix, dict[_Prefix, list[T]]] = defaultdict(lambda: defaultdict(list))
        for one, other, item in items:
            self._items[one][other].append(item)
        self._ones = _Prefixes(self._items)
        self._others = {one: _Prefixes(others) for one, others in self._items.items()}

    def overlapping(self, prefix: _Prefix) -> list[_Prefix]:
        """The first prefixes that overlap this one."""
        return self._ones.overlapping(prefix)

    def within(self, ones: Iterable[_Prefix], prefix: _Prefix) -> Iterator[T]:
        """The items of these first prefixes whose second one overlaps ``prefix``."""
        for one in ones:
            for other in self._others[one].overlapping(prefix):
                yield from self._items[one][other]


class _Prefixes:
    """A set of prefixes. Two overlap when one holds the other."""

    def __init__(self, prefixes: Iterable[_Prefix]) -> None:
        self._all = [*prefixes]
        self._everywhere: list[_Prefix] = [prefix for prefix in self._all if prefix is None]
        self._by_place = {_place(prefix): prefix for prefix in self._all if prefix is not None}
        self._places = sorted(self._by_place)
        self._lengths = {(version, length) for version, _, length in self._places}

    def overlapping(self, prefix: _Prefix) -> list[_Prefix]:
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
