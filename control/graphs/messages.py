# SPDX-License-Identifier: Apache-2.0
"""Graphs as messages of ``moorline.v1``, and what one version has that another has not."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator
from typing import Final

from control.graphs.compile import Plan
from control.graphs.counters import Counters, path_key
from control.graphs.drains import Drains
from control.graphs.layout import Layout, Placed
from control.graphs.model import Applies, GraphSpec, When
from control.graphs.records import Graph, Version
from control.graphs.shortcuts import Flow, Kind, Shortcut
from control.graphs.trace import Trace
from control.peers import PeerInstance, PeerState
from moorline.api.v1 import graphs_pb2 as pb
from moorline.api.v1 import peers_pb2 as peers_pb

_STATES: Final = {
    PeerState.UP: peers_pb.FEATURE_PEER_STATE_UP,
    PeerState.DOWN: peers_pb.FEATURE_PEER_STATE_DOWN,
    PeerState.DRAINING: peers_pb.FEATURE_PEER_STATE_DRAINING,
}
_PROTOCOLS: Final = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}


def graph(layout: Layout, one: Graph, counters: Counters, drains: Drains) -> pb.Graph:
    """A graph with its paths as they are laid now."""
    version = one.active
    assert version is not None
    return pb.Graph(
        name=one.name,
        tenant=version.spec.tenant,
        priority=version.spec.priority,
        applied_ns=one.applied_ns,
        former=len(one.former),
        paths=[_path(layout, at, counters, drains) for at in layout.placed if at.version is version],
        applies=map(applies_text, version.spec.applies),
    )


def _path(layout: Layout, placed: Placed, counters: Counters, drains: Drains) -> pb.GraphPath:
    key = path_key(placed)
    classified, cut_short = counters.classified[key], counters.cut_short[key]
    plan = placed.path.plan
    return pb.GraphPath(
        key=plan.key,
        spi=placed.path.spi,
        reverse=plan.reverse,
        mtu=placed.mtu,
        hops=[_hop(layout, placed, position, counters, drains) for position in range(len(plan.steps))],
        conditions=[_when_text(when) for when in plan.conditions],
        packets=classified.packets,
        bytes=classified.octets,
        shortcut_packets=cut_short.packets,
        shortcut_bytes=cut_short.octets,
    )


def _hop(layout: Layout, placed: Placed, position: int, counters: Counters, drains: Drains) -> pb.GraphHop:
    step = placed.path.plan.steps[position]
    kind = layout.kinds.get(step.kind)
    instances = kind.instances if kind is not None else ()
    buckets = Tally(kind.buckets if kind is not None and kind.single is None else ())

    def message(instance: PeerInstance) -> pb.GraphInstance:
        count = counters.visits[path_key(placed), instance.name]
        return pb.GraphInstance(
            name=instance.name,
            node=instance.node,
            state=_STATES[instance.state],
            spare=instance.spare,
            packets=count.packets,
            bytes=count.octets,
            buckets=buckets[instance.name],
            pinned=drains.pinned(instance.name),
        )

    return pb.GraphHop(
        kind=step.kind,
        fail_open=step.fail_open,
        index=placed.path.plan.index(position),
        instances=map(message, instances),
    )


def changes(before: Version | None, after: GraphSpec, plans: tuple[Plan, ...]) -> Iterator[pb.GraphChange]:
    """What a graph of now, if there is one, would become by its file."""
    old = dict(_facts(before.spec, tuple(path.plan for path in before.paths))) if before else {}
    new = dict(_facts(after, plans))
    for what in dict.fromkeys((*old, *new)):
        if old.get(what) != new.get(what):
            yield pb.GraphChange(what=what, before=old.get(what, ""), after=new.get(what, ""))


def _facts(spec: GraphSpec, plans: tuple[Plan, ...]) -> Iterator[tuple[str, str]]:
    yield "tenant", str(spec.tenant)
    yield "priority", str(spec.priority)
    yield "applies", "; ".join(map(applies_text, spec.applies))
    for plan in plans:
        conditions = " and ".join(map(_when_text, plan.conditions))
        steps = " > ".join(step.kind + (" (fail open)" if step.fail_open else "") for step in plan.steps)
        yield f"path {plan.key}", (steps or "no peers") + (f" when {conditions}" if conditions else "")


def applies_text(item: Applies) -> str:
    """Whom a graph applies to, in a line."""
    if item.services is not None:
        return f"connections from {item.services.client} to {item.services.server}"
    who = [f"customer {name}" for name in item.customers]
    who += [f"profile {name}" for name in item.profiles]
    who += map(str, item.prefixes)
    return " ".join(filter(None, [", ".join(who), _when_text(item)]))


def _when_text(when: When) -> str:
    parts = []
    if when.servers:
        parts.append(f"to {', '.join(map(str, when.servers))}")
    if when.protocol is not None:
        parts.append(_PROTOCOLS.get(when.protocol, f"protocol {when.protocol}"))
    if when.ports:
        parts.append(f"port {', '.join(map(str, when.ports))}")
    return " ".join(parts)


def trace(found: Trace) -> pb.Trace:
    """What was seen of a packet."""
    return pb.Trace(
        path=found.path,
        steps=[
            pb.TraceStep(
                node=step.node,
                index=step.index,
                kind=step.kind,
                instance=step.instance,
                microseconds=step.microseconds,
            )
            for step in found.steps
        ],
        reached=found.reached,
        problem=found.problem,
        source=found.source,
        destination=found.destination,
    )


def read_flow(message: pb.Flow) -> Flow:
    """A flow that somebody asked about."""
    return Flow(
        message.source, message.destination, message.protocol, message.source_port, message.destination_port
    )


def shortcut(one: Shortcut) -> pb.Shortcut:
    """A short-cut with what it has carried."""
    flow = one.flow
    return pb.Shortcut(
        id=one.id,
        graph=one.graph,
        flow=pb.Flow(
            source=flow.source,
            destination=flow.destination,
            protocol=flow.protocol,
            source_port=flow.source_port,
            destination_port=flow.destination_port,
        ),
        until=one.until,
        idle_seconds=one.idle_seconds,
        created_ns=one.created_ns,
        requester=one.requester,
        packets=one.used[0],
        bytes=one.used[1],
        packets_back=one.used_back[0],
        bytes_back=one.used_back[1],
        peer=one.peer,
    )


def event(kind: Kind, one: Shortcut) -> pb.ShortcutEvent:
    """What became of a short-cut."""
    return pb.ShortcutEvent(kind=int(kind), shortcut=shortcut(one))  # type: ignore[arg-type]
