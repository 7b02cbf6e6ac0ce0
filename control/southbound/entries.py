# SPDX-License-Identifier: Apache-2.0
"""The entries that the state asks for, at each end of each connection and for each pair of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from control.connection_records import Connection, Path
from control.errors import StartError
from control.records import Node, Service, Status
from control.southbound.contract import Contract, Row, RowKey, canonical
from moorline.addresses import MAPPED_PREFIX, mapped
from moorline.paths import choose_paths
from moorline.wire import FIRST_SI, ROUTER_HOPS

_NONE: Final = canonical(0)
_MAPPED: Final = canonical(MAPPED_PREFIX)

SHAPES: Final = {
    ("scid", "deliver"): (
        ("scid",),
        ("port", "tenant", "node", "local4", "peer4", "local6", "peer6", "hops"),
    ),
    ("scid", "relay"): (("scid",), ("tenant", "node0", "scid0", "node1", "scid1")),
    ("origin", "from_node"): (("source",), ("node",)),
    ("connection", "encapsulate"): (("tenant", "src", "dst"), ("scid", "node", "spi", "si", "mtu")),
    ("connection", "local"): (("tenant", "src", "dst"), ("port",)),
    ("connection", "reject"): (("tenant", "src", "dst"), ()),
    ("locator", "set_paths"): (
        ("node",),
        ("port0", "dst0", "port1", "dst1", "previous0", "previous1"),
    ),
}
"""What the rows below are written for, in order; checked against the P4Info once."""


class Entries:
    """Rows for one contract.

    Args:
        contract: the P4Info; refused with :class:`StartError` when it lacks what the controller writes.
        reject_seconds: idle time-out of entries that refuse a pair.
    """

    def __init__(self, contract: Contract, reject_seconds: int) -> None:
        for (table, action), (fields, params) in SHAPES.items():
            shape = contract.tables.get(table)
            if shape is None or shape.fields != fields:
                raise StartError(f"the contract's table {table} has not the key {fields}: set another p4info")
            if action not in shape.actions or shape.actions[action].params != params:
                raise StartError(f"the contract's action {action} has not {params}: set another p4info")
        self.scid_table = contract.tables["scid"].id
        self.connection_table = contract.tables["connection"].id
        self.locator_table = contract.tables["locator"].id
        self.origin_table = contract.tables["origin"].id
        self._deliver = contract.tables["scid"].actions["deliver"].id
        self._relay = contract.tables["scid"].actions["relay"].id
        self._from_node = contract.tables["origin"].actions["from_node"].id
        self.encapsulate = contract.tables["connection"].actions["encapsulate"].id
        self.local = contract.tables["connection"].actions["local"].id
        self._reject = contract.tables["connection"].actions["reject"].id
        self._set_paths = contract.tables["locator"].actions["set_paths"].id
        self.contract = contract
        self._reject_ns = reject_seconds * 1_000_000_000

    def of_connection(self, connection: Connection, node: Node) -> tuple[Row, ...]:
        """Rows at ``node``, which is on a path of ``connection``; none unless the channel is up.

        At an end, first the row that receives on the path of now, then those that send. Where both ends are
        at the node, the kernel delivers between its own services; to and from plain hosts rows do. Where
        peers of its service paths are, rows that tell whose the packets are that come back from them.
        """
        if connection.status is not Status.UP:
            return self.sending(connection, node)
        first = self.receiving(connection, connection.path, node)
        others = [row for path in connection.paths[1:] for row in self.receiving(connection, path, node)]
        return (*first, *self.sending(connection, node), *others)

    def receiving(self, connection: Connection, path: Path, node: Node) -> tuple[Row, ...]:
        """The rows at ``node`` that take in what comes on ``path``; none unless it is on it."""
        if node in connection.nodes:
            return (self._deliver_row(connection, path, node),)
        if node in path.relays:
            return self._relay_rows(connection, path, node)
        return ()

    def sending(self, connection: Connection, node: Node) -> tuple[Row, ...]:
        """The rows that send at ``node`` while the channel is up: at an end, one for each family; where
        packets pass on service paths, those of both directions.
        """
        if connection.status is Status.LOCAL:
            return self._within(connection)
        if connection.status is not Status.UP:
            return ()
        passes = node in connection.passing
        senders = [end for end in (connection.client, connection.server) if passes or end.node is node]
        return tuple(row for sender in senders for row in self._sending_from(connection, sender, node))

    def _sending_from(self, connection: Connection, sender: Service, node: Node) -> Iterator[Row]:
        """What sends to the other end at ``node``: ahead on its service path, or from the end of that."""
        receiver = connection.server if sender is connection.client else connection.client
        path, through = connection.path, connection.through
        if through is None and sender.node is not node:
            through = connection.last_through  # of packets that are still on their way
        spi = 0
        if through is not None:
            spi = through.forward if sender is connection.client else through.reverse
        towards = (
            canonical(path.scid_at(sender.node)),
            canonical(path.neighbour_of(sender.node).id),
            canonical(spi),
            canonical(FIRST_SI if spi else 0),
            canonical(connection.mtu),
        )
        for match in _matches(connection.tenant, sender, receiver):
            yield Row(self.connection_table, match, self.encapsulate, towards)

    def _within(self, connection: Connection) -> tuple[Row, ...]:
        ends = connection.client, connection.server
        if not any(end.port for end in ends):
            return ()
        return tuple(
            Row(self.connection_table, match, self.local, (canonical(destination.access_port),))
            for source, destination in (ends, ends[::-1])
            for match in _matches(connection.tenant, source, destination)
        )

    def _relay_rows(self, connection: Connection, path: Path, node: Node) -> tuple[Row, ...]:
        """One row for both directions; two at a border, where each SCID leads one way only."""
        (left, left_scid), (right, right_scid) = path.sides_of(node)
        tenant, node0, node1 = canonical(connection.tenant), canonical(left.id), canonical(right.id)
        scid0, scid1 = canonical(left_scid), canonical(right_scid)
        if scid0 == scid1:
            return (Row(self.scid_table, (scid0,), self._relay, (tenant, node0, scid0, node1, scid1)),)
        return (
            Row(self.scid_table, (scid0,), self._relay, (tenant, node0, _NONE, node1, scid1)),
            Row(self.scid_table, (scid1,), self._relay, (tenant, node0, scid0, node1, _NONE)),
        )

    def _deliver_row(self, connection: Connection, path: Path, node: Node) -> Row:
        local, peer = connection.ends_at(node)
        params = (
            canonical(local.access_port),
            canonical(connection.tenant),
            _NONE if connection.passing else canonical(path.neighbour_of(node).id),  # any that it may pass
            canonical(local.ipv4),
            canonical(peer.ipv4),
            canonical(local.ipv6),
            canonical(peer.ipv6),
            canonical(ROUTER_HOPS if local.port else 0),
        )
        idle_ns = connection.idle_timeout_seconds * 1_000_000_000
        return Row(self.scid_table, (canonical(path.scid_at(node)),), self._deliver, params, idle_ns)

    def of_peer(self, node: Node, peer: Node) -> Row | None:
        """The row at ``node`` with the paths to ``peer``; None when they have no family in common."""
        paths = choose_paths(node.locators, peer.locators, peer.previous)
        if paths is None:
            return None
        params = (paths.port0, paths.dst0, paths.port1, paths.dst1, paths.previous0, paths.previous1)
        return Row(
            self.locator_table, (canonical(peer.id),), self._set_paths, tuple(canonical(p) for p in params)
        )

    def no_peer(self, peer: Node) -> Row:
        """The key of :meth:`of_peer`, for a deletion."""
        return Row(self.locator_table, (canonical(peer.id),), self._set_paths, ())

    def of_origins(self, neighbours: Iterable[Node]) -> dict[bytes, Row]:
        """The rows of a relay that say which of ``neighbours`` an underlay address belongs to; by address.

        Whoever moved last has an address, and one that is there before one that has left it.
        """
        ordered = sorted(neighbours, key=lambda node: node.generation)
        owners = {address: node for node in ordered for address in node.previous}
        owners |= {at.address: node for node in ordered for at in node.locators}
        return {
            address: Row(
                self.origin_table, (canonical(mapped(address)),), self._from_node, (canonical(node.id),)
            )
            for address, node in owners.items()
        }

    def no_origin(self, address: bytes) -> Row:
        """The key of the row of :meth:`of_origins` for an address, for a deletion."""
        return Row(self.origin_table, (canonical(mapped(address)),), self._from_node, ())

    def reject(self, tenant: int, source: bytes, destination: bytes) -> Row:
        """A row that refuses a pair of virtual addresses until nobody has sent for a while."""
        match = (canonical(tenant), canonical(mapped(source)), canonical(mapped(destination)))
        return Row(self.connection_table, match, self._reject, (), self._reject_ns)

    def let_pass(self, tenant: int, source: bytes, destination: bytes) -> Row:
        """A row that leaves a pair, of which one is the node's own address, to whatever is at the node."""
        return self.reject(tenant, source, destination)._replace(action=self.local, params=(_NONE,))

    def scid_of(self, row: Row) -> int:
        """The SCID in a row of ``scid`` or of ``connection``; 0 in one that refuses."""
        if row.table == self.scid_table:
            return int.from_bytes(row.match[0], "big")
        return int.from_bytes(row.params[0], "big") if row.action == self.encapsulate else 0


def _matches(tenant: int, source: Service, destination: Service) -> Iterator[tuple[bytes, ...]]:
    """Keys of ``connection``: one for each family that both have addresses of."""
    if source.ipv4 and destination.ipv4:
        yield canonical(tenant), _MAPPED + source.ipv4, _MAPPED + destination.ipv4
    if source.ipv6 and destination.ipv6:
        yield canonical(tenant), canonical(source.ipv6), canonical(destination.ipv6)


def key_only(key: RowKey) -> Row:
    """A row of which only the key counts, for a deletion."""
    return Row(key[0], key[1], 0, (), priority=key[2])
