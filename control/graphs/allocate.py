# SPDX-License-Identifier: Apache-2.0
"""Numbers that name paths, groups, instances and labels in packets and tables.

A number goes on from the last one that was given away, and comes round again only after all others, so that
none is used anew while packets with its former meaning may be on their way.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, Self

from control.errors import ExhaustedError
from control.graphs.compile import Plan

KEY: Final = "graph-numbers"
"""Of these numbers in the store."""

MAX_GROUP: Final = 255
"""The table ``member`` has room for the buckets of so many groups (the contract's SIZE_MEMBER)."""

MAX_INSTANCE: Final = 0xFFFF
VERSION_BITS: Final = 8
MAX_VERSION: Final = (1 << VERSION_BITS) - 1
MAX_FAMILY: Final = (1 << 24 - VERSION_BITS) - 1

FIRST_LABEL: Final = 16
LAST_LABEL: Final = 4094
"""Labels that every kind of header has room for: MPLS keeps those below for itself (RFC 3032, section 2.1),
and a VLAN has 12 bits (IEEE 802.1Q)."""


@dataclass(frozen=True, slots=True)
class PathNumbers:
    """What a path is called in packets.

    ``spi`` is its service path identifier: in the upper bits the family, which the versions of a path share,
    in the lower 8 the version. ``labels`` name its steps towards their peers, one for each.
    """

    spi: int
    labels: tuple[int, ...]

    @property
    def family(self) -> int:
        """What all versions of the path have in common."""
        return self.spi >> VERSION_BITS


@dataclass(slots=True)
class Numbers:
    """All numbers that stand, and where the search for the next ones begins."""

    groups: dict[str, int] = field(default_factory=dict)
    """By kind of peers."""

    instances: dict[str, int] = field(default_factory=dict)
    """By name."""

    cursors: dict[str, int] = field(default_factory=dict)
    """The last number given away, by what it is a number of."""

    def copy(self) -> Numbers:
        """The same numbers, to be changed."""
        return Numbers(dict(self.groups), dict(self.instances), dict(self.cursors))

    def name_peers(self, kinds: Iterable[str], instances: Iterable[str]) -> bool:
        """Give numbers to those that have none; whether there were any."""
        before = len(self.groups), len(self.instances)
        for kind in kinds:
            if kind not in self.groups:
                self.groups[kind] = self._next("group", self.groups.values(), 1, MAX_GROUP)
        for name in instances:
            if name not in self.instances:
                self.instances[name] = self._next("instance", self.instances.values(), 1, MAX_INSTANCE)
        return before != (len(self.groups), len(self.instances))

    def forget(self, kinds: Collection[str], instances: Collection[str]) -> bool:
        """Take back the numbers of all but these; whether there were any."""
        before = len(self.groups), len(self.instances)
        self.groups = {kind: number for kind, number in self.groups.items() if kind in kinds}
        self.instances = {name: number for name, number in self.instances.items() if name in instances}
        return before != (len(self.groups), len(self.instances))

    def name_path(
        self, plan: Plan, former: PathNumbers | None, taken: Collection[PathNumbers]
    ) -> PathNumbers:
        """Numbers for a new version of a path.

        Args:
            plan: the path.
            former: numbers of its version until now.
            taken: numbers of all paths of the site.

        Raises:
            ExhaustedError: none are left.
        """
        spis = {path.spi for path in taken}
        families = {path.family for path in taken}
        family = former.family if former is not None else self._next("family", families, 1, MAX_FAMILY)
        versions = {spi & MAX_VERSION for spi in spis if spi >> VERSION_BITS == family}
        last = former.spi & MAX_VERSION if former is not None else -1
        version = _search("version", versions, last, 0, MAX_VERSION)
        labels = {label for path in taken for label in path.labels}
        mine: list[int] = []
        for _ in plan.steps:
            mine.append(self._next("label", labels, FIRST_LABEL, LAST_LABEL))
            labels.add(mine[-1])
        return PathNumbers(family << VERSION_BITS | version, tuple(mine))

    def _next(self, what: str, taken: Collection[int], first: int, last: int) -> int:
        number = _search(what, taken, self.cursors.get(what, first - 1), first, last)
        self.cursors[what] = number
        return number

    def encode(self) -> bytes:
        """Their value in the store."""
        return json.dumps(
            {"groups": self.groups, "instances": self.instances, "cursors": self.cursors}
        ).encode()

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read back what :meth:`encode` wrote."""
        data: dict[str, Any] = json.loads(value)
        return cls(data["groups"], data["instances"], data["cursors"])


def _search(what: str, taken: Collection[int], after: int, first: int, last: int) -> int:
    for number in chain(range(after + 1, last + 1), range(first, after + 1)):
        if number not in taken:
            return number
    raise ExhaustedError(
        f"all numbers for a {what} of service paths ({first} to {last}) are taken: delete graphs, or wait "
        "until former versions are gone"
    )
