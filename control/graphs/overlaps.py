# SPDX-License-Identifier: Apache-2.0
"""Matches by the packets that they have in common with others.

A graph may have thousands of rules, one for each address of its customers. Comparing each with each of
another graph takes minutes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, Generic, TypeVar

from control.graphs.compile import Match
from control.prefixes import Prefix, Prefixes

T = TypeVar("T")


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

    def meeting(self, source: Prefix, destination: Prefix) -> Iterator[T]:
        """Customers are many and their servers few: the end that leaves less to look at goes first."""
        sources = self._by_source.overlapping(source)
        destinations = self._by_destination.overlapping(destination)
        if len(sources) <= len(destinations):
            yield from self._by_source.within(sources, destination)
        else:
            yield from self._by_destination.within(destinations, source)


class _Nested(Generic[T]):
    """Items by a prefix, and among these by another one."""

    def __init__(self, items: Iterable[tuple[Prefix, Prefix, T]]) -> None:
        self._items: dict[Prefix, dict[Prefix, list[T]]] = defaultdict(lambda: defaultdict(list))
        for one, other, item in items:
            self._items[one][other].append(item)
        self._ones = Prefixes(self._items)
        self._others = {one: Prefixes(others) for one, others in self._items.items()}

    def overlapping(self, prefix: Prefix) -> list[Prefix]:
        """The first prefixes that overlap this one."""
        return self._ones.overlapping(prefix)

    def within(self, ones: Iterable[Prefix], prefix: Prefix) -> Iterator[T]:
        """The items of these first prefixes whose second one overlaps ``prefix``."""
        for one in ones:
            for other in self._others[one].overlapping(prefix):
                yield from self._items[one][other]
