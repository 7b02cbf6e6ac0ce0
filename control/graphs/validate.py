# SPDX-License-Identifier: Apache-2.0
"""Whether a graph can work in the site as it is now; the first thing that stands against it is told."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from control.errors import ControlError, InvalidRequestError, PreconditionError
from control.graphs.layout import SMALLEST_MTU, Layout, Placed, Standing, Visit
from control.graphs.model import GraphSpec, Hop, Services, When
from control.graphs.records import Graph, Version
from control.graphs.rows import by_class, current
from control.rules import ANY
from moorline.wire import PROTOCOLS_WITH_PORTS, PeerHeader


def require_sound(layout: Layout, graph: Graph) -> None:
    """Check the version of ``graph`` that is active in ``layout``.

    Raises:
        InvalidRequestError: the graph is wrong whatever the site is.
        PreconditionError: the site is not as the graph needs it.
    """
    version = graph.active
    assert version is not None
    for error in _errors(layout, graph, version):
        raise error


def _errors(layout: Layout, graph: Graph, version: Version) -> Iterator[ControlError]:
    yield from _ports(version.spec)
    yield from _loops(version)
    yield from _kinds(layout, version)
    yield from _peers(layout, version)
    for one in layout.placed_of(version):
        yield from _services(layout, one)
        yield from _ways(layout, one)
        yield from _mtu(one)
    yield from _unlabelled(layout, graph)
    yield from _overlaps(layout, version)


def _ports(spec: GraphSpec) -> Iterator[ControlError]:
    """Not a check of the file: what is stored must be read, whatever it says."""
    for when in (*spec.applies, *_conditions((*spec.forward, *spec.reverse))):
        if when.ports and when.protocol is not None and when.protocol not in PROTOCOLS_WITH_PORTS:
            yield InvalidRequestError(
                f"graph {spec.name} asks for ports of protocol {when.protocol}, which has none: leave out one"
            )


def _conditions(hops: Iterable[Hop]) -> Iterator[When]:
    for arm in (arm for hop in hops for arm in hop.branch):
        if arm.when is not None:
            yield arm.when
        yield from _conditions(arm.path)


def _loops(version: Version) -> Iterator[ControlError]:
    for path in version.paths:
        for kind, count in Counter(step.kind for step in path.plan.steps).items():
            if count > 1:
                yield InvalidRequestError(
                    f"graph {version.spec.name} leads to {kind} {count} times on its path {path.plan.key}, "
                    "which would be a loop: name each kind of peers once"
                )


def _kinds(layout: Layout, version: Version) -> Iterator[ControlError]:
    for kind in sorted(version.kinds - set(layout.kinds)):
        if kind in layout.numbers.groups:
            mend = "start one with that kind"
            yield PreconditionError(
                f"graph {version.spec.name} leads to {kind}, of which there is no instance: {mend}"
            )
            continue
        close = difflib.get_close_matches(kind, layout.kinds, n=1)
        known = ", ".join(sorted(layout.kinds)) or "none"
        mend = f"did you mean {close[0]}?" if close else f"known are {known}"
        yield PreconditionError(
            f"graph {version.spec.name} leads to {kind}, an unknown kind of peers: {mend}"
        )


def _peers(layout: Layout, version: Version) -> Iterator[ControlError]:
    spec = version.spec
    for kind in sorted(version.kinds):
        for instance in layout.kinds[kind].instances:
            if instance.tenant != spec.tenant:
                yield PreconditionError(
                    f"graph {spec.name} is for tenant {spec.tenant}, but peer {instance.name} for tenant "
                    f"{instance.tenant}: give both the same"
                )
            if instance.rewrites and not instance.addresses and spec.reverse:
                yield PreconditionError(
                    f"peer {instance.name} rewrites addresses and names none of its own, so that answers to "
                    f"graph {spec.name} would not find it: give it addresses, or the graph reverse: none"
                )


def _services(layout: Layout, placed: Placed) -> Iterator[ControlError]:
    if not placed.path.plan.services:
        return
    for step in placed.path.plan.steps:
        if layout.kinds[step.kind].rewrites:
            yield PreconditionError(
                f"graph {placed.graph.name} leads service connections to {step.kind}, which rewrites "
                "addresses: a service connection keeps its own, so leave that peer out"
            )


def _ways(layout: Layout, placed: Placed) -> Iterator[ControlError]:
    for name in sorted(placed.nodes):
        if via := layout.nodes[name].via:
            yield PreconditionError(
                f"node {name} on the paths of graph {placed.graph.name} is behind relay {via}: service paths "
                f"go straight, so let it be reached with 'moorline node set {name} --direct'"
            )


def _mtu(placed: Placed) -> Iterator[ControlError]:
    if placed.mtu < SMALLEST_MTU:
        yield PreconditionError(
            f"path {placed.path.plan.key} of graph {placed.graph.name} carries {placed.mtu} octets, and IPv6 "
            f"needs {SMALLEST_MTU}: raise the MTU of its nodes' underlays and of its peers' ports"
        )


def _unlabelled(layout: Layout, graph: Graph) -> Iterator[ControlError]:
    """Peers that return packets without a label: the path must follow from something else."""
    for name, visits in _returns(layout).items():
        if len(visits) > 1 and not by_class(layout, visits):
            if not any(visit.placed.graph.name == graph.name for visit in visits):
                continue
            paths = sorted({f"{v.placed.graph.name} ({v.placed.path.plan.key})" for v in visits})
            yield PreconditionError(
                f"peer {name} returns packets without a label on several paths, {', '.join(paths)}, and they "
                "do not tell by themselves which: give it a header such as vlan, or two ports, or the same "
                "place on all of them"
            )


def _returns(layout: Layout) -> dict[str, list[Visit]]:
    """By instance and port, those on paths of now that come back without a label."""
    found: dict[tuple[str, int], list[Visit]] = defaultdict(list)
    for placed in layout.placed:
        for visit in layout.visits(placed) if placed.standing is Standing.ACTIVE else ():
            if visit.instance.header is PeerHeader.NONE:
                found[visit.instance.name, visit.port_back].append(visit)
    return {
        name: current(layout, layout.nodes[visits[0].instance.node], visits)
        for (name, _), visits in found.items()
    }


def _overlaps(layout: Layout, version: Version) -> Iterator[ControlError]:
    spec = version.spec
    for other in layout.graphs:
        if other.active is None or other.active is version or other.name == spec.name:
            continue
        theirs = other.active.spec
        if (theirs.priority, theirs.tenant) != (spec.priority, spec.tenant):
            continue
        if (both := _rule_of_both(layout, version, other.active)) or (both := _pair_of_both(spec, theirs)):
            yield PreconditionError(
                f"graphs {spec.name} and {theirs.name} both apply to {both} with priority {spec.priority}: "
                "give one of them another priority"
            )


def _rule_of_both(layout: Layout, mine: Version, theirs: Version) -> str:
    for rule in layout.rules_of(theirs):
        if any(True for _ in layout.rules_meeting(mine, rule.match)):
            source, destination = rule.match.source or "anybody", rule.match.destination or "anybody"
            return f"packets from {source} to {destination}"
    return ""


def _pair_of_both(one: GraphSpec, other: GraphSpec) -> str:
    for mine in _services_of(one):
        for theirs in _services_of(other):
            if _meet(mine.client, theirs.client) and _meet(mine.server, theirs.server):
                return f"connections from {theirs.client} to {theirs.server}"
    return ""


def _services_of(spec: GraphSpec) -> Iterator[Services]:
    return (item.services for item in spec.applies if item.services is not None)


def _meet(one: str, other: str) -> bool:
    """Whether a name could fall under both patterns."""
    if ANY in (one, other):
        return True
    suffixes = [pattern.removeprefix("*") for pattern in (one, other)]
    return (
        one == other
        or (one.startswith("*.") and suffixes[1].endswith(suffixes[0]))
        or (other.startswith("*.") and suffixes[0].endswith(suffixes[1]))
    )
