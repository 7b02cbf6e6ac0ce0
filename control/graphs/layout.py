# SPDX-License-Identifier: Apache-2.0
"""All graphs laid over the site as it is now: which instances serve which step, where, and for whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from ipaddress import ip_network
from typing import Final

from control.graphs.allocate import Numbers
from control.graphs.compile import PRIORITIES, Match, Step, matches_of
from control.graphs.facts import Subscribers
from control.graphs.maglev import spread
from control.graphs.model import Applies
from control.graphs.overlaps import MatchIndex
from control.graphs.records import Graph, LaidPath, Version
from control.peers import PeerInstance, PeerState
from control.records import Node
from control.rules import matches as pattern_matches
from moorline.addresses import Network, packed
from moorline.wire import OVERHEAD_IPV6, PeerCheck, PeerHeader

SMALLEST_MTU: Final = 1280
"""What IPv6 asks of every link (RFC 8200, section 5)."""

_LARGEST_MTU: Final = 0xFFFF
_HEADER_OCTETS: Final = {
    PeerHeader.NONE: 0,
    PeerHeader.VLAN: 4,
    PeerHeader.QINQ: 8,
    PeerHeader.MPLS: 4,
    PeerHeader.GRE: 48,  # over IPv6
    PeerHeader.PBB: 18,
}
"""What stands between Ethernet and the inner packet on the way to a peer."""


class Standing(Enum):
    """What a version of a graph is now."""

    ACTIVE = auto()
    UPCOMING = auto()
    FORMER = auto()


@dataclass(frozen=True)
class Kind:
    """A kind of feature peers: its instances by name, and whose each bucket of customers is.

    ``buckets`` is empty when no instance lives.
    """

    name: str
    group: int
    instances: tuple[PeerInstance, ...]
    buckets: tuple[str, ...]

    @property
    def single(self) -> PeerInstance | None:
        """The instance of a kind that has but one."""
        return self.instances[0] if len(self.instances) == 1 else None

    @property
    def alive(self) -> bool:
        """Whether anybody takes packets."""
        return bool(self.buckets)

    @property
    def rewrites(self) -> bool:
        """Whether packets may come back from it with other addresses."""
        return any(instance.rewrites for instance in self.instances)


@dataclass(frozen=True)
class Placed:
    """A path with its place in the site: ``mtu`` in octets of the inner packet, names of its ``nodes``."""

    path: LaidPath
    version: Version
    graph: Graph
    standing: Standing
    mtu: int
    nodes: frozenset[str]


@dataclass(frozen=True)
class Rule:
    """Packets and the path that they take; the higher priority first."""

    match: Match
    tenant: int
    priority: int
    placed: Placed


@dataclass(frozen=True)
class Visit:
    """A step of a path at an instance of its peer."""

    placed: Placed
    position: int
    """From 0."""

    index: int
    """The service index of packets that go to it."""

    instance: PeerInstance

    @property
    def _reverse(self) -> bool:
        return self.placed.path.plan.reverse

    @property
    def index_behind(self) -> int:
        """That of packets that come back."""
        return self.placed.path.plan.index(self.position + 1)

    @property
    def port_in(self) -> int:
        """The port by which packets go to the peer."""
        return self.instance.ports[-1 if self._reverse else 0]

    @property
    def port_back(self) -> int:
        """The port by which they come back."""
        return self.instance.ports[0 if self._reverse else -1]

    @property
    def mac_in(self) -> bytes:
        """The peer's address where packets go in."""
        return self.instance.macs[-1 if self._reverse else 0]

    @property
    def port_mac_in(self) -> bytes:
        """The port's own address there."""
        return self.instance.port_macs[-1 if self._reverse else 0]

    @property
    def mac_back(self) -> bytes:
        """The peer's address where they come back."""
        return self.instance.macs[0 if self._reverse else -1]

    @property
    def label(self) -> int:
        """What its packets are known by, where the header has room for it."""
        if self.instance.header is PeerHeader.NONE:
            return 0
        return self.placed.path.numbers.labels[self.position]


class Layout:
    """Computed once for each change; all that it says is of one moment."""

    def __init__(
        self,
        graphs: Iterable[Graph],
        instances: Iterable[PeerInstance],
        numbers: Numbers,
        nodes: Mapping[str, Node],
        subscribers: Subscribers,
    ) -> None:
        self.graphs = tuple(graphs)
        self.numbers = numbers
        self.nodes = nodes
        self._subscribers = subscribers
        self.edges = frozenset(node.name for node in nodes.values() if node.edge_ports) | (
            frozenset(subscribers.nodes()) & frozenset(nodes)
        )
        self.kinds = _kinds(instances, numbers, nodes)
        self.placed = tuple(self._place())
        self._rules: dict[Version, tuple[Rule, ...]] = {}
        self._indices: dict[Version, MatchIndex[Rule]] = {}

    def _place(self) -> Iterator[Placed]:
        for graph in self.graphs:
            for version in graph.versions:
                standing = Standing.FORMER
                if version is graph.active:
                    standing = Standing.ACTIVE
                elif version is graph.upcoming:
                    standing = Standing.UPCOMING
                for path in version.paths:
                    names = self._nodes_of(path)
                    yield Placed(path, version, graph, standing, self._mtu(path, names), names)

    def _nodes_of(self, path: LaidPath) -> frozenset[str]:
        """Where packets of a path are led on: at its peers, and where they come from."""
        names = {instance.node for step in path.plan.steps for instance in self.instances_of(step)}
        if not path.plan.services:
            return frozenset(names | self.edges)
        patterns = [item.services for item in path.spec.applies if item.services]
        ends = {pattern for services in patterns for pattern in (services.client, services.server)}
        for node in self.nodes.values():
            if any(pattern_matches(pattern, name) for pattern in ends for name in node.services):
                names.add(node.name)
        return frozenset(names)

    def _mtu(self, path: LaidPath, names: Iterable[str]) -> int:
        """Octets of the largest inner packet that all links of a path carry."""
        carried = [node.mtu - OVERHEAD_IPV6 for name in names if (node := self.nodes[name]).mtu]
        for step in path.plan.steps:
            for instance in self.instances_of(step):
                mtus = [at.mtu for at in self.nodes[instance.node].ports if at.number in instance.ports]
                carried += [mtu - _HEADER_OCTETS[instance.header] for mtu in mtus if mtu]
        return min(carried, default=_LARGEST_MTU)

    def placed_of(self, version: Version) -> list[Placed]:
        """The paths of a version."""
        return [one for one in self.placed if one.version is version]

    # ---- steps ---------------------------------------------------------------------------------------------

    def instances_of(self, step: Step) -> tuple[PeerInstance, ...]:
        """All instances that may serve a step."""
        kind = self.kinds.get(step.kind)
        return kind.instances if kind is not None else ()

    def visits(self, placed: Placed) -> Iterator[Visit]:
        """Each step of a path at each of its instances."""
        for position, (index, step) in enumerate(placed.path.plan.indices):
            for instance in self.instances_of(step):
                yield Visit(placed, position, index, instance)

    def check(self, visit: Visit) -> PeerCheck:
        """What tells that a packet back from a peer is one that it was given."""
        plan = visit.placed.path.plan
        if plan.services:
            return PeerCheck.CONNECTION
        if not visit.placed.graph.settled or self.rewritten(visit):
            return PeerCheck.NONE
        return PeerCheck.CLASS

    def rewritten(self, visit: Visit) -> bool:
        """Whether a packet back from there may have other addresses than at the path's beginning."""
        steps = visit.placed.path.plan.steps[: visit.position + 1]
        return any((kind := self.kinds.get(step.kind)) is not None and kind.rewrites for step in steps)

    @cached_property
    def _instances_by_mac(self) -> dict[tuple[str, int, int], PeerInstance]:
        return {
            (instance.node, port, int.from_bytes(mac)): instance
            for kind in self.kinds.values()
            for instance in kind.instances
            for port, mac in zip(instance.ports, instance.macs, strict=True)
        }

    def instance_at(self, node: Node, port: int, mac: int) -> PeerInstance | None:
        """The instance that frames to a link-layer address go to by a port of ``node``."""
        return self._instances_by_mac.get((node.name, port, mac))

    # ---- who is led ----------------------------------------------------------------------------------------

    def version_at(self, graph: Graph, node: Node) -> Version | None:
        """The version by which ``node`` classifies packets.

        Nodes where packets only pass learn of a new one before those where they come in, and forget one that
        was deleted last.
        """
        if node.name in self.edges:
            return graph.before if graph.edges_wait else graph.active
        return graph.active or next(iter(graph.former), None)

    def rules_at(self, node: Node) -> Iterator[Rule]:
        """How ``node`` classifies packets, if it does."""
        for graph in self.graphs:
            version = self.version_at(graph, node)
            if version is not None:
                yield from (rule for rule in self.rules_of(version) if node.name in rule.placed.nodes)

    def active_rules(self, graph: Graph) -> tuple[Rule, ...]:
        """All rules of a graph as it is now; none of one that is being deleted."""
        return self.rules_of(graph.active) if graph.active is not None else ()

    def rules_of(self, version: Version) -> tuple[Rule, ...]:
        """All rules by which packets take the paths of a version."""
        rules = self._rules.get(version)
        if rules is None:
            rules = self._rules[version] = tuple(self._find_rules(version))
        return rules

    def rules_meeting(self, version: Version, match: Match) -> Iterator[Rule]:
        """The rules of a version that a packet could meet as well as ``match``, in any order."""
        index = self._indices.get(version)
        if index is None:
            index = self._indices[version] = MatchIndex((rule.match, rule) for rule in self.rules_of(version))
        return index.meeting(match)

    def _find_rules(self, version: Version) -> Iterator[Rule]:
        for placed in self.placed_of(version):
            path = placed.path
            if path.plan.services:
                continue
            priority = path.spec.priority * PRIORITIES + PRIORITIES - path.plan.order
            for item in path.spec.applies:
                if item.services is None:
                    clients = self._seen_clients(placed, item)
                    for match in dict.fromkeys(matches_of(path.plan, item, clients)):
                        yield Rule(match, path.spec.tenant, priority, placed)

    def _seen_clients(self, placed: Placed, item: Applies) -> Iterable[Network]:
        """The addresses of clients where packets come in: on the way back perhaps those of a NAT."""
        if placed.path.plan.reverse and (addresses := self._outer_addresses(placed.path)):
            return addresses
        return self.clients(item)

    def _outer_addresses(self, path: LaidPath) -> list[Network]:
        """The own addresses of the peers that packets of a reverse path come to first, if those rewrite."""
        for step in path.plan.steps:
            kind = self.kinds.get(step.kind)
            if kind is not None and kind.rewrites:
                return [network_of(packed(at)) for one in kind.instances for at in one.addresses]
        return []

    def clients(self, item: Applies) -> tuple[Network, ...]:
        """The addresses of those whom a graph applies to, without any that stands twice."""
        found = dict.fromkeys(item.prefixes)
        for customer in item.customers:
            found |= dict.fromkeys(self._subscribers.prefixes_of_customer(customer))
        for profile in item.profiles:
            found |= dict.fromkeys(self._subscribers.prefixes_of_profile(profile))
        return tuple(found)


def network_of(address: bytes) -> Network:
    """An address (4 or 16 octets) as a prefix of its own."""
    return ip_network((address, 8 * len(address)))


def _kinds(instances: Iterable[PeerInstance], numbers: Numbers, nodes: Mapping[str, Node]) -> dict[str, Kind]:
    found: dict[str, list[PeerInstance]] = {}
    for instance in sorted(instances, key=lambda one: one.name):
        if instance.node in nodes and instance.name in numbers.instances:
            found.setdefault(instance.kind, []).append(instance)
    return {kind: _kind(kind, of_kind, numbers) for kind, of_kind in found.items() if kind in numbers.groups}


def _kind(name: str, instances: list[PeerInstance], numbers: Numbers) -> Kind:
    up = [one for one in instances if one.state is PeerState.UP]
    # Better one that is being drained than none.
    taking = up or [one for one in instances if one.state is PeerState.DRAINING]
    buckets = spread(
        [one.name for one in instances if not one.spare],
        [one.name for one in instances if one.spare],
        [one.name for one in taking],
    )
    return Kind(name, numbers.groups[name], tuple(instances), buckets)
