# SPDX-License-Identifier: Apache-2.0
"""The rows of the path tables at a node, by the layout of all graphs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from finsy.proto import p4r

from control.graphs.compile import FIRST_INDEX, Match, port_masks
from control.graphs.extras import Extras, Jump, Pin
from control.graphs.layout import Layout, Placed, Standing, Visit
from control.graphs.maglev import BUCKETS
from control.graphs.model import Ports
from control.records import Node
from control.southbound.contract import Contract, Masked, Row
from moorline.addresses import Network, mapped, mapped_mask
from moorline.wire import PeerHeader

TABLES: Final = ("path_hop", "member", "affinity", "resume", "classifier", "shortcut")

_SECOND_LABEL: Final = {PeerHeader.QINQ: 1}
"""The inner label where a header needs one; it is the peer's own business."""

_KNOWN_RULES: Final = 65536
_TENANT_MASK: Final = (1 << 24) - 1


Values = dict[str, int | bytes]
"""Fields or parameters by name."""


class PathRows:
    """Makes rows for one contract."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self.tables = {name: contract.tables[name].id for name in TABLES}
        actions = [action for name in TABLES for action in contract.tables[name].actions.values()]
        self._params = {action.id: action.params for action in actions}
        # Customers come and go one at a time, and each node has the rules of all.
        self._known_rule = lru_cache(_KNOWN_RULES)(self._rule)

    def rows(self, node: Node, layout: Layout, extras: Extras) -> Iterator[Row]:
        """All rows that ``node`` is to have in these tables.

        Those that packets are led by come last, lest any be led to what does not stand yet.
        """
        placed = [one for one in layout.placed if node.name in one.nodes]
        kinds = {step.kind for one in placed for step in one.path.plan.steps}
        for name in sorted(kinds):
            yield from self._group(layout, name)
        yield from self._pins(layout, kinds, extras.pins)
        yield from self._resume(node, layout)
        for one in placed:
            yield from self._path(node, layout, one)
        for rule in (*extras.rules, *layout.rules_at(node)):
            if node.name in rule.placed.nodes:
                spi, mtu = rule.placed.path.spi, rule.placed.mtu
                yield from self._known_rule(rule.match, rule.tenant, rule.priority, spi, mtu)
        if node.name in layout.edges:
            yield from map(self.jump, extras.jumps)

    def params(self, entry: p4r.TableEntry) -> dict[str, int]:
        """The parameters of an entry of one of the tables, by name."""
        names = self._params[entry.action.action.action_id]
        found = sorted(entry.action.action.params, key=lambda param: param.param_id)
        return {name: int.from_bytes(param.value) for name, param in zip(names, found, strict=True)}

    # ---- places on a path ----------------------------------------------------------------------------------

    def _path(self, node: Node, layout: Layout, placed: Placed) -> Iterator[Row]:
        plan = placed.path.plan
        for position in range(len(plan.steps) + 1):
            index = plan.index(position)
            for instance, action, params, _ in self._next(node, layout, placed, position):
                match: Values = {"spi": placed.path.spi, "si": index, "instance": instance}
                yield self._contract.row("path_hop", match, action, params)

    def _next(
        self, node: Node, layout: Layout, placed: Placed, position: int
    ) -> Iterator[tuple[int, str, Values, Visit | None]]:
        """What a packet does at a place: number of the instance chosen (0: none), action, params, peer."""
        plan = placed.path.plan
        if position == len(plan.steps):
            yield 0, "end", {}, None
            return
        step = plan.steps[position]
        kind = layout.kinds.get(step.kind)
        if kind is None or not kind.alive:
            if step.fail_open:
                yield from self._next(node, layout, placed, position + 1)
            else:
                yield 0, "closed", {}, None
            return
        visits = [Visit(placed, position, plan.index(position), one) for one in kind.instances]
        if kind.single is not None:
            yield 0, *self._towards(node, layout, visits[0]), visits[0]
            return
        for visit in visits:
            number = layout.numbers.instances[visit.instance.name]
            yield number, *self._towards(node, layout, visit), visit
        yield 0, "to_group", {"group": kind.group, "by_destination": int(plan.reverse)}, None

    def hop(
        self, node: Node, layout: Layout, placed: Placed, position: int, instance: int
    ) -> tuple[str, Visit | None] | None:
        """What a packet does at a place for which ``instance`` (0: none) was chosen: action, and peer. None:
        there is nothing for that instance.
        """
        found = self._next(node, layout, placed, position)
        return next(((action, visit) for number, action, _, visit in found if number == instance), None)

    @staticmethod
    def _towards(node: Node, layout: Layout, visit: Visit) -> tuple[str, Values]:
        instance = visit.instance
        if instance.node != node.name:
            return "to_node", {"node": layout.nodes[instance.node].id}
        return "to_peer", {
            "port": visit.port_in,
            "header": int(instance.header),
            "label": visit.label,
            "label2": _SECOND_LABEL.get(instance.header, 0),
            "src_mac": visit.port_mac_in,
            "dst_mac": visit.mac_in,
            "local": mapped(instance.local) if instance.local is not None else b"",
            "remote": mapped(instance.remote) if instance.remote is not None else b"",
        }

    # ---- groups --------------------------------------------------------------------------------------------

    def _group(self, layout: Layout, name: str) -> Iterator[Row]:
        kind = layout.kinds.get(name)
        if kind is None or kind.single is not None:
            return
        for bucket, owner in enumerate(kind.buckets):
            match = {"slot": kind.group * BUCKETS + bucket}
            params = {"instance": layout.numbers.instances[owner]}
            yield self._contract.row("member", match, "choose", params)

    def _pins(self, layout: Layout, kinds: Iterable[str], pins: Iterable[Pin]) -> Iterator[Row]:
        """Who stays with an instance: the addresses of a NAT with itself, so that answers find it."""
        wanted: dict[tuple[str, bytes], tuple[str, int]] = {}
        for pin in pins:
            wanted[pin.kind, pin.customer] = pin.instance, pin.idle_ns
        for name in kinds:
            kind = layout.kinds.get(name)
            for instance in kind.instances if kind is not None else ():
                if instance.rewrites:
                    wanted |= {(name, mapped(at)): (instance.name, 0) for at in instance.addresses}
        for (name, customer), (owner, idle_ns) in wanted.items():
            kind = layout.kinds.get(name)
            if name in kinds and kind is not None and kind.single is None:
                yield self.pin(layout, Pin(name, customer, owner, idle_ns))

    def pin(self, layout: Layout, pin: Pin) -> Row:
        """The entry of a customer who stays with an instance."""
        match: Values = {"group": layout.numbers.groups[pin.kind], "customer": pin.customer}
        params = {"instance": layout.numbers.instances[pin.instance]}
        return self._contract.row("affinity", match, "pin", params, pin.idle_ns)

    # ---- back from a peer ----------------------------------------------------------------------------------

    def _resume(self, node: Node, layout: Layout) -> Iterator[Row]:
        unlabelled: dict[tuple[int, bytes], list[Visit]] = defaultdict(list)
        for placed in layout.placed:
            for visit in layout.visits(placed):
                if visit.instance.node != node.name:
                    continue
                if visit.instance.header is PeerHeader.NONE:
                    unlabelled[visit.port_back, _known_mac(visit)].append(visit)
                else:
                    yield self._resume_path(layout, visit)
        for visits in unlabelled.values():
            yield from self._resume_unlabelled(node, layout, visits)

    def _resume_unlabelled(self, node: Node, layout: Layout, visits: list[Visit]) -> Iterator[Row]:
        """A packet without a label says nothing of its path: there is but one, or its class says it."""
        visits = current(layout, node, visits)
        if len(visits) == 1:
            yield self._resume_path(layout, visits[0])
        elif by_class(layout, visits):
            mtu = min(visit.placed.mtu for visit in visits)
            params = {"si": visits[0].index_behind, "mtu": mtu}
            yield self._contract.row("resume", _returning(visits[0]), "resume_class", params)

    def _resume_path(self, layout: Layout, visit: Visit) -> Row:
        params = {
            "spi": visit.placed.path.spi,
            "si": visit.index_behind,
            "check": int(layout.check(visit)),
        }
        return self._contract.row("resume", _returning(visit), "resume_path", params)

    # ---- who is led ----------------------------------------------------------------------------------------

    def _rule(self, match: Match, tenant: int, priority: int, spi: int, mtu: int) -> tuple[Row, ...]:
        params = {"spi": spi, "si": FIRST_INDEX, "mtu": mtu}
        return tuple(
            self._contract.row("classifier", part, "set_path", params, priority=priority)
            for part in _ternary(match, tenant)
        )

    def jump(self, jump: Jump) -> Row:
        """The entry of a short-cut."""
        match: Values = {
            "tenant": jump.placed.path.spec.tenant,
            "src": jump.source,
            "dst": jump.destination,
            "protocol": jump.protocol,
            "src_port": jump.source_port,
            "dst_port": jump.destination_port,
        }
        params = {"spi": jump.placed.path.spi, "si": jump.index, "mtu": jump.placed.mtu}
        return self._contract.row("shortcut", match, "jump", params, jump.idle_ns)


def current(layout: Layout, node: Node, visits: Iterable[Visit]) -> list[Visit]:
    """Of each graph, the visits of one version: that by which ``node`` leads packets, if it has any. Those of
    former versions count for nothing while there are others.
    """
    found: dict[str, dict[int, list[Visit]]] = defaultdict(lambda: defaultdict(list))
    for visit in visits:
        placed = visit.placed
        order = [layout.version_at(placed.graph, node), *placed.graph.versions]
        rank = next(at for at, version in enumerate(order) if version is placed.version)
        found[placed.graph.name][rank].append(visit)
    kept = [visit for ranks in found.values() for visit in ranks[min(ranks)]]
    return [visit for visit in kept if visit.placed.standing is not Standing.FORMER] or kept


def by_class(layout: Layout, visits: list[Visit]) -> bool:
    """Whether the class of a packet that comes back without a label tells its path and its place there."""
    return len({visit.index_behind for visit in visits}) == 1 and not any(
        visit.placed.path.plan.services or layout.rewritten(visit) for visit in visits
    )


def _known_mac(visit: Visit) -> bytes:
    return visit.mac_back if visit.instance.by_mac else b""


def _returning(visit: Visit) -> Values:
    return {
        "ingress_port": visit.port_back,
        "header": int(visit.instance.header),
        "label": visit.label,
        "src_mac": _known_mac(visit),
    }


def _ternary(match: Match, tenant: int) -> Iterator[Mapping[str, Masked]]:
    """The entries of a rule: one for each part of its ranges of ports."""
    fixed = {"tenant": _masked(tenant, _TENANT_MASK, 3)}
    if match.source is not None:
        fixed["src"] = _prefix(match.source)
    if match.destination is not None:
        fixed["dst"] = _prefix(match.destination)
    if match.protocol is not None:
        fixed["protocol"] = _masked(match.protocol, 0xFF, 1)
    for source in _port_parts("src_port", match.source_ports):
        for destination in _port_parts("dst_port", match.destination_ports):
            yield fixed | source | destination


def _port_parts(field: str, ports: Ports | None) -> Iterator[dict[str, Masked]]:
    if ports is None:
        yield {}
        return
    for value, mask in port_masks(ports):
        yield {field: _masked(value, mask, 2)} if mask else {}


def _prefix(network: Network) -> Masked:
    return Masked(mapped(network.network_address), mapped_mask(network))


def _masked(value: int, mask: int, octets: int) -> Masked:
    return Masked(value.to_bytes(octets, "big"), mask.to_bytes(octets, "big"))
