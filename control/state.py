# SPDX-License-Identifier: Apache-2.0
"""All that the controller knows, in memory and indexed; loaded from the store once, then written through."""

from __future__ import annotations

from control.connection_records import Connection, Path
from control.errors import NotFoundError
from control.records import CONNECTION, NODE, RULE, SERVICE, Node, Rule, Service
from control.slots import SlotMap
from control.store.base import Store, Transaction
from moorline.addresses import MAPPED_PREFIX
from moorline.wire import slot_of


def pair_of(one: str, other: str) -> tuple[str, str]:
    """The key of the one connection that two services share, whoever asks."""
    return (one, other) if one < other else (other, one)


class State:
    """Records by every key under which they are sought. It checks nothing: its writers do."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.nodes_by_id: dict[int, Node] = {}
        self.services: dict[str, Service] = {}
        self.services_by_address: dict[bytes, Service] = {}
        self.connections: dict[int, Connection] = {}
        """By id, which is no longer its SCID once it was rotated."""
        self.connections_by_scid: dict[int, Connection] = {}
        """By the SCID of each leg of each of its paths."""
        self.pairs: dict[tuple[str, str], Connection] = {}
        self.connections_by_service: dict[str, set[Connection]] = {}
        self.rules: dict[str, Rule] = {}
        self.slots: dict[int, SlotMap] = {}
        """Taken slots by number of the node."""

    @classmethod
    async def load(cls, store: Store) -> State:
        """Read everything from ``store``."""
        state = cls()
        for entry in (await store.scan(NODE)).entries:
            state.add_node(Node.decode(entry.key, entry.value))
        # What was stored while that on which it stands was being taken away, then the controller died.
        orphans: set[str] = set()
        services: list[Service] = []
        for entry in (await store.scan(SERVICE)).entries:
            service = Service.decode(entry.key, entry.value, state.nodes)
            if service is None:
                orphans.add(entry.key)
                continue
            services.append(service)
        # As they came: programs that choose no source address get that of their node's first service.
        for service in sorted(services, key=lambda service: service.registered_ns):
            state.add_service(service)
        for entry in (await store.scan(CONNECTION)).entries:
            connection = Connection.decode(entry.key, entry.value, state.services, state.nodes)
            if connection is None:
                orphans.add(entry.key)
                continue
            connection.programmed = True
            for path in connection.paths:
                state.take_slots(path)
            state.add_connection(connection)
        if orphans:
            await store.commit(Transaction(deletes=frozenset(orphans)))
        for entry in (await store.scan(RULE)).entries:
            rule = Rule.decode(entry.key, entry.value)
            state.rules[rule.name] = rule
        return state

    # ---- sought by callers, with an error for whoever asked ------------------------------------------------

    def node(self, name: str) -> Node:
        """The node of this name, else :class:`NotFoundError`."""
        node = self.nodes.get(name)
        if node is None or node.leaving:
            raise NotFoundError(
                f"node {name!r} is not known: list the nodes, or let it join with a new token"
            )
        return node

    def service(self, name: str) -> Service:
        """The service of this name, else :class:`NotFoundError`."""
        service = self.services.get(name)
        if service is None:
            raise NotFoundError(f"service {name!r} is not registered: register it, or check its name")
        return service

    def service_at(self, address: bytes) -> Service | None:
        """The service with this virtual address (16 octets, IPv4 mapped)."""
        return self.services_by_address.get(address.removeprefix(MAPPED_PREFIX))

    def between(self, one: Service | None, other: Service | None) -> Connection | None:
        """The connection that two services share."""
        return self.pairs.get(pair_of(one.name, other.name)) if one and other else None

    def connection(self, scid: int) -> Connection:
        """The connection with a leg of this SCID, else :class:`NotFoundError`."""
        connection = self.connections_by_scid.get(scid)
        if connection is None:
            raise NotFoundError(f"there is no connection {scid:016x}: list the connections")
        return connection

    # ---- kept by their writers -----------------------------------------------------------------------------

    def add_node(self, node: Node) -> None:
        """Index ``node``."""
        self.nodes[node.name] = node
        self.nodes_by_id[node.id] = node
        self.slots[node.id] = SlotMap()

    def remove_node(self, node: Node) -> None:
        """Forget ``node``, which has no services left."""
        del self.nodes[node.name]
        del self.nodes_by_id[node.id]
        del self.slots[node.id]

    def add_service(self, service: Service) -> None:
        """Index ``service``."""
        self.services[service.name] = service
        for address in filter(None, (service.ipv4, service.ipv6)):
            self.services_by_address[address] = service
        service.node.services[service.name] = service

    def connections_of(self, service: Service) -> list[Connection]:
        """All connections with an end at ``service``."""
        return list(self.connections_by_service.get(service.name, ()))

    def connections_ending_at(self, node: Node) -> list[Connection]:
        """All connections with an end at ``node``."""
        return [self.connections[number] for number in node.connections]

    def connections_over(self, node: Node) -> list[Connection]:
        """Those, and all that pass ``node``."""
        return [*self.connections_ending_at(node), *(self.connections[number] for number in node.relayed)]

    def remove_service(self, service: Service) -> None:
        """Forget ``service``, which has no connections left."""
        del self.services[service.name]
        for address in filter(None, (service.ipv4, service.ipv6)):
            del self.services_by_address[address]
        del service.node.services[service.name]

    def take_slots(self, path: Path) -> None:
        """Mark the slots of ``path`` at its nodes."""
        for node, scid in path.places:
            self.slots[node.id].take(slot_of(scid))

    def release_slots(self, path: Path) -> None:
        """The reverse of :meth:`take_slots`."""
        for node, scid in path.places:
            self.slots[node.id].release(slot_of(scid))

    def add_connection(self, connection: Connection) -> None:
        """Index ``connection``, whose slots have been taken."""
        self.connections[connection.id] = connection
        client, server = connection.client, connection.server
        self.pairs[pair_of(client.name, server.name)] = connection
        for service in (client, server):
            self.connections_by_service.setdefault(service.name, set()).add(connection)
            service.node.connections.add(connection.id)
        for path in connection.paths:
            self.add_path(connection, path)
        self.let_pass(connection, connection.passing)

    def let_pass(self, connection: Connection, nodes: tuple[Node, ...]) -> None:
        """Index ``nodes`` as those on service paths where packets of ``connection`` may be now."""
        for node in set(connection.passing) - set(nodes):
            node.relayed.discard(connection.id)
        connection.passing = nodes
        for node in nodes:
            if node not in connection.nodes:
                node.relayed.add(connection.id)

    def remove_connection(self, connection: Connection) -> None:
        """Forget ``connection`` and release its slots."""
        del self.connections[connection.id]
        client, server = connection.client, connection.server
        del self.pairs[pair_of(client.name, server.name)]
        for service in (client, server):
            of_service = self.connections_by_service[service.name]
            of_service.discard(connection)
            if not of_service:
                del self.connections_by_service[service.name]
            service.node.connections.discard(connection.id)
        for path in connection.paths:
            self._forget(path)
            for node in (*path.relays, *connection.passing):
                node.relayed.discard(connection.id)

    def add_path(self, connection: Connection, path: Path) -> None:
        """Index a path of ``connection``, whose slots have been taken."""
        for scid in path.scids:
            self.connections_by_scid[scid] = connection
        for node, peer in path.neighbours:
            _count(node.peers, peer, 1)
        for relay in path.relays:
            relay.relayed.add(connection.id)
            for side, _ in path.sides_of(relay):
                _count(relay.origins, side, 1)

    @staticmethod
    def add_link(node: Node, peer: Node) -> bool:
        """Count ``peer`` among those that ``node`` reaches and takes service paths' packets from; whether it
        is new there. A node takes them from itself as well.
        """
        _count(node.origins, peer, 1)
        if peer is not node:
            _count(node.peers, peer, 1)
        return 1 in (node.origins[peer.id], node.peers.get(peer.id))

    @staticmethod
    def remove_link(node: Node, peer: Node) -> None:
        """The reverse of :meth:`add_link`."""
        _count(node.origins, peer, -1)
        if peer is not node:
            _count(node.peers, peer, -1)

    def remove_path(self, connection: Connection, path: Path) -> None:
        """Forget a path that ``connection`` no longer has, and release its slots."""
        self._forget(path)
        kept = {relay for other in connection.paths for relay in other.relays}
        for relay in path.relays:
            if relay not in kept and relay not in connection.passing:
                relay.relayed.remove(connection.id)

    def _forget(self, path: Path) -> None:
        for scid in path.scids:
            self.connections_by_scid.pop(scid, None)
        for node, peer in path.neighbours:
            _count(node.peers, peer, -1)
        for relay in path.relays:
            for side, _ in path.sides_of(relay):
                _count(relay.origins, side, -1)
        self.release_slots(path)


def _count(counts: dict[int, int], node: Node, change: int) -> None:
    count = counts.get(node.id, 0) + change
    if count:
        counts[node.id] = count
    else:
        del counts[node.id]
