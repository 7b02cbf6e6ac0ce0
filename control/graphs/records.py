# SPDX-License-Identifier: Apache-2.0
"""What the controller keeps of graphs, and how it is written to the store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

from control.graphs.allocate import PathNumbers
from control.graphs.compile import Plan, plans_of
from control.graphs.model import GraphSpec

GRAPH: Final = "graph/"
SHORTCUT: Final = "shortcut/"
"""Prefixes of the keys in the store."""


@dataclass(frozen=True, eq=False)
class Version:
    """A graph as it was applied once: its file, and the numbers of its paths by their keys.

    Two that say the same are not equal: each has paths of its own.
    """

    spec: GraphSpec
    numbers: Mapping[str, PathNumbers]

    @cached_property
    def paths(self) -> tuple[LaidPath, ...]:
        """Its paths with their numbers."""
        return tuple(LaidPath(self.spec, plan, self.numbers[plan.key]) for plan in plans_of(self.spec))

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of peers on its paths."""
        return frozenset(step.kind for path in self.paths for step in path.plan.steps)

    def path(self, key: str) -> LaidPath | None:
        """The path of this key."""
        return next((path for path in self.paths if path.plan.key == key), None)

    def encode(self) -> dict[str, Any]:
        """Its part of the value of its graph."""
        return {
            "spec": self.spec.model_dump(mode="json", exclude_defaults=True),
            "paths": {key: [path.spi, *path.labels] for key, path in self.numbers.items()},
        }

    @classmethod
    def decode(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`encode` wrote."""
        numbers = {key: PathNumbers(spi, tuple(labels)) for key, (spi, *labels) in data["paths"].items()}
        return cls(GraphSpec.model_validate(data["spec"]), numbers)


@dataclass(frozen=True)
class LaidPath:
    """A path of one version of a graph."""

    spec: GraphSpec
    plan: Plan
    numbers: PathNumbers

    @property
    def spi(self) -> int:
        """Its service path identifier."""
        return self.numbers.spi


@dataclass(slots=True, eq=False)
class Graph:
    """A graph by its name.

    ``active`` is the version that packets are led by; None: it is being deleted. ``upcoming`` is one that is
    being written; on those in ``former`` packets may still be on their way. What follows ``applied_ns`` is
    not stored: ``settled`` says that no packets of before the last change are on their way any more; while
    ``edges_wait``, nodes where packets come in still lead them by the version ``before``.
    """

    name: str
    active: Version | None = None
    upcoming: Version | None = None
    former: tuple[Version, ...] = ()
    applied_ns: int = 0
    settled: bool = False
    edges_wait: bool = False
    before: Version | None = None

    @property
    def key(self) -> str:
        """Its key in the store."""
        return GRAPH + self.name

    @property
    def versions(self) -> Iterator[Version]:
        """All versions whose paths stand, that of now first."""
        for version in (self.active, self.upcoming, *self.former):
            if version is not None:
                yield version

    def encode(self) -> bytes:
        """Its value in the store; an upcoming version is not stored, for it ends with whoever applies it."""
        return json.dumps(
            {
                "active": self.active and self.active.encode(),
                "former": [version.encode() for version in self.former],
                "applied": self.applied_ns,
            },
            separators=(",", ":"),
        ).encode()

    @classmethod
    def decode(cls, key: str, value: bytes) -> Self:
        """Read back what :meth:`encode` wrote."""
        data = json.loads(value)
        return cls(
            key.removeprefix(GRAPH),
            Version.decode(data["active"]) if data["active"] else None,
            None,
            tuple(map(Version.decode, data["former"])),
            data["applied"],
        )
