# SPDX-License-Identifier: Apache-2.0
"""From a graph's file to its paths, and to the packets that take each. Pure: the same file, the same paths.

A branch makes paths of their own, so that the classifier decides once: a path is a choice at each branch, and
a packet takes the first path, in the order of the choices, whose conditions it meets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from graphlib import CycleError, TopologicalSorter
from itertools import islice, pairwise, product
from typing import Final, NamedTuple, TypeVar

from control.errors import InvalidRequestError
from control.graphs.model import Applies, GraphSpec, Hop, Ports, When
from moorline.addresses import Network

T = TypeVar("T")

FIRST_INDEX: Final = 255
"""The service index at a path's beginning (RFC 8300, section 2.3)."""

MAX_STEPS: Final = FIRST_INDEX - 1
MAX_PATHS: Final = 64
"""Paths of one direction: each branch multiplies them."""

PRIORITIES: Final = 2 * MAX_PATHS
"""Priorities of entries that one priority of a graph stands for."""


@dataclass(frozen=True, slots=True)
class Step:
    """A feature peer on a path: its kind, and whether packets pass it by when no instance lives."""

    kind: str
    fail_open: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A path of a graph.

    ``key`` names it within the graph. ``services``: for service connections, not for classified packets.
    ``order`` is its place among the paths of the graph that a packet could take: the lower, the sooner.

    ``ranks`` has for each step how many kinds of peers come before it at most, on any path of its direction.
    The service index that a packet has behind a peer follows from its rank, and so is the same on all of
    them: a peer that returns packets without a label need not be told which path they are on.
    """

    key: str
    steps: tuple[Step, ...]
    reverse: bool
    services: bool
    ranks: tuple[int, ...]
    conditions: tuple[When, ...] = ()
    order: int = 0

    def index(self, position: int) -> int:
        """The service index of a packet that has ``position`` steps behind it."""
        return FIRST_INDEX - 1 - self.ranks[position - 1] if position else FIRST_INDEX

    def position(self, index: int) -> int | None:
        """How many steps a packet with this index has behind it; None: none has it on this path."""
        return next((at for at in range(len(self.steps) + 1) if self.index(at) == index), None)

    @property
    def indices(self) -> Iterator[tuple[int, Step]]:
        """The service index at which a packet goes to each step."""
        return ((self.index(position), step) for position, step in enumerate(self.steps))


class Match(NamedTuple):
    """What a packet must have to take a path; None: whatever."""

    source: Network | None
    destination: Network | None
    protocol: int | None
    source_ports: Ports | None
    destination_ports: Ports | None

    def meets(self, other: Match) -> bool:
        """Whether a packet could match both."""
        return (
            _networks_meet(self.source, other.source)
            and _networks_meet(self.destination, other.destination)
            and (self.protocol is None or other.protocol is None or self.protocol == other.protocol)
            and _ports_meet(self.source_ports, other.source_ports)
            and _ports_meet(self.destination_ports, other.destination_ports)
        )

    def turned(self) -> Match:
        """That of the answers."""
        return Match(self.destination, self.source, self.protocol, self.destination_ports, self.source_ports)


class _Conditions(NamedTuple):
    """What several conditions come to together; None: whatever."""

    protocol: int | None = None
    ports: tuple[Ports, ...] | None = None
    servers: tuple[Network, ...] | None = None


# ---- paths -------------------------------------------------------------------------------------------------


def plans_of(spec: GraphSpec) -> tuple[Plan, ...]:
    """The paths of a graph; raises :class:`InvalidRequestError` for too many, or one that is too long."""
    found: list[Plan] = []
    if any(item.services is None for item in spec.applies):
        found += _expand(spec, "forward", spec.forward, reverse=False)
        found += _expand(spec, "reverse", spec.reverse, reverse=True)
    if any(item.services is not None for item in spec.applies):
        found += _services("services", spec.forward, reverse=False)
        if spec.reverse:
            found += _services("services-reverse", spec.reverse, reverse=True)
    for plan in found:
        if max(plan.ranks, default=0) >= MAX_STEPS:
            raise InvalidRequestError(
                f"graph {spec.name} has a path of {max(plan.ranks) + 1} places: {MAX_STEPS} is the most"
            )
    return tuple(found)


def _services(key: str, hops: Sequence[Hop], *, reverse: bool) -> Iterator[Plan]:
    steps = _steps(hops)
    yield Plan(key, steps, reverse, True, tuple(range(len(steps))))


def _expand(spec: GraphSpec, key: str, hops: tuple[Hop, ...], *, reverse: bool) -> list[Plan]:
    if not hops:
        return []
    ways = [*islice(_ways(hops), MAX_PATHS + 1)]
    if len(ways) > MAX_PATHS:
        raise InvalidRequestError(
            f"the branches of graph {spec.name} make more than {MAX_PATHS} paths: part it into several"
        )
    ranks = _ranks([steps for _, _, steps in ways])
    first = MAX_PATHS if reverse else 0
    return [
        Plan("/".join([key, *map(str, choices)]), steps, reverse, False, of_steps, conditions, first + at)
        for at, ((choices, conditions, steps), of_steps) in enumerate(zip(ways, ranks, strict=True))
    ]


def _ranks(paths: Sequence[tuple[Step, ...]]) -> list[tuple[int, ...]]:
    """The ranks of the steps of each path; just their places where paths have kinds in contrary orders."""
    before: dict[str, set[str]] = {step.kind: set() for steps in paths for step in steps}
    for steps in paths:
        for one, other in pairwise(steps):
            before[other.kind].add(one.kind)
    rank: dict[str, int] = {}
    try:
        for kind in TopologicalSorter(before).static_order():
            rank[kind] = max((rank[one] + 1 for one in before[kind]), default=0)
    except CycleError:
        return [tuple(range(len(steps))) for steps in paths]
    return [tuple(rank[step.kind] for step in steps) for steps in paths]


_Way = tuple[tuple[int, ...], tuple[When, ...], tuple[Step, ...]]


def _ways(hops: Sequence[Hop]) -> Iterator[_Way]:
    """All ways through ``hops``: the choice at each branch on it, what leads there, and its peers."""
    if not hops:
        yield (), (), ()
        return
    hop, rest = hops[0], hops[1:]
    for choices, conditions, steps in [((), (), _steps([hop]))] if hop.peer else _arms(hop):
        for later, more, last in _ways(rest):
            yield (*choices, *later), (*conditions, *more), (*steps, *last)


def _arms(hop: Hop) -> Iterator[_Way]:
    for number, arm in enumerate(hop.branch, 1):
        own = (arm.when,) if arm.when else ()
        for choices, conditions, steps in _ways(arm.path):
            yield (number, *choices), (*own, *conditions), steps
    if hop.branch[-1].when is not None:  # what meets no condition passes the branch by
        yield (0,), (), ()


def _steps(hops: Iterable[Hop]) -> tuple[Step, ...]:
    return tuple(Step(hop.peer, hop.fail == "open") for hop in hops if hop.peer)


# ---- who takes them ----------------------------------------------------------------------------------------


def matches_of(plan: Plan, item: Applies, clients: Iterable[Network]) -> Iterator[Match]:
    """The packets of ``clients`` (prefixes) that take ``plan`` by ``item``; on reverse paths, answers."""
    met = reduce(_both, plan.conditions, _both(_Conditions(), item))
    if met is None:
        return
    for client, server, ports in product(clients, met.servers or (None,), met.ports or (None,)):
        if server is None or server.version == client.version:
            match = Match(client, server, met.protocol, None, ports)
            yield match.turned() if plan.reverse else match


def _both(one: _Conditions | None, other: When) -> _Conditions | None:
    """The conditions together; None when nothing meets both."""
    if one is None or (None not in (one.protocol, other.protocol) and one.protocol != other.protocol):
        return None
    ports = _common(one.ports, other.ports, _common_ports)
    servers = _common(one.servers, other.servers, _common_network)
    if ports == () or servers == ():
        return None
    return _Conditions(one.protocol if other.protocol is None else other.protocol, ports, servers)


def _common(
    ones: tuple[T, ...] | None, others: Sequence[T], meet: Callable[[T, T], T | None]
) -> tuple[T, ...] | None:
    """What of two lists overlaps, part by part; a list that is not there, or empty, takes everything."""
    if not others:
        return ones
    if ones is None:
        return tuple(others)
    parts = (meet(one, other) for one in ones for other in others)
    return tuple(dict.fromkeys(part for part in parts if part is not None))


def _common_ports(one: Ports, other: Ports) -> Ports | None:
    first, last = max(one.first, other.first), min(one.last, other.last)
    return Ports(first, last) if first <= last else None


def _common_network(one: Network, other: Network) -> Network | None:
    if one.version != other.version or not one.overlaps(other):
        return None
    return one if one.prefixlen >= other.prefixlen else other


def _networks_meet(one: Network | None, other: Network | None) -> bool:
    return one is None or other is None or (one.version == other.version and one.overlaps(other))


def _ports_meet(one: Ports | None, other: Ports | None) -> bool:
    return one is None or other is None or (one.first <= other.last and other.first <= one.last)


def port_masks(ports: Ports) -> Iterator[tuple[int, int]]:
    """A range of ports as values and masks of 16 bits, as few as there can be."""
    at = ports.first
    while at <= ports.last:
        size = at & -at or 1 << 16
        while at + size - 1 > ports.last:
            size >>= 1
        yield at, 0xFFFF & ~(size - 1)
        at += size
