# SPDX-License-Identifier: Apache-2.0
"""What the state counts and finds, whatever paths connections get, leave and lose; how paths are stored."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from control.connection_records import Connection
from control.legs import lay, route
from control.records import Node, Service, Status
from control.state import State
from moorline.wire import slot_of

NODES = ("a", "b", "c", "d")
numbers = st.integers(0, 99)


class Paths(RuleBasedStateMachine):
    """Connections between services on four nodes, which relay for one another as they are told."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        for number, name in enumerate(NODES, 1):
            node = Node(name, number, capacity=1024)
            self.state.add_node(node)
            for index in range(2):
                address = bytes([198, 18, number, index])
                self.state.add_service(Service(f"{name}{index}.test", node, 0, address, b"", 0, 0, 0))

    @property
    def connections(self) -> list[Connection]:
        return list(self.state.connections.values())

    def pick(self, number: int) -> Connection:
        return self.connections[number % len(self.connections)]

    @rule(name=st.sampled_from(NODES), via=st.sampled_from(("", *NODES)), border=st.booleans())
    def set_node(self, name: str, via: str, border: bool) -> None:
        node = self.state.nodes[name]
        node.border = border
        behind = any(other.via == name for other in self.state.nodes.values())
        if not via or (via != name and not behind and not self.state.nodes[via].via):
            node.via = via

    @rule(one=numbers, other=numbers)
    def connect(self, one: int, other: int) -> None:
        services = list(self.state.services.values())
        client, server = services[one % len(services)], services[other % len(services)]
        if client is server or self.state.between(client, server):
            return
        path = lay(self.state, route(self.state, client.node, server.node))
        self.state.add_connection(Connection(path.scids[0], client, server, b"k", path, Status.UP, 0, 1))

    @precondition(lambda self: self.connections)
    @rule(number=numbers)
    def prepare(self, number: int) -> None:
        connection = self.pick(number)
        if connection.upcoming is None:
            connection.upcoming = lay(self.state, route(self.state, *connection.nodes))
            self.state.add_path(connection, connection.upcoming)

    @precondition(lambda self: self.connections)
    @rule(number=numbers, gives_up=st.booleans())
    def end_upcoming(self, number: int, gives_up: bool) -> None:
        connection = self.pick(number)
        upcoming, connection.upcoming = connection.upcoming, None
        if upcoming is None:
            return
        if gives_up:
            self.state.remove_path(connection, upcoming)
        else:
            connection.former, connection.path = (*connection.former, connection.path), upcoming

    @precondition(lambda self: self.connections)
    @rule(number=numbers)
    def retire(self, number: int) -> None:
        connection = self.pick(number)
        if connection.former:
            path, *others = connection.former
            connection.former = tuple(others)
            self.state.remove_path(connection, path)

    @precondition(lambda self: self.connections)
    @rule(number=numbers)
    def close(self, number: int) -> None:
        self.state.remove_connection(self.pick(number))

    @invariant()
    def every_scid_is_found(self) -> None:
        wanted = {scid: c for c in self.connections for path in c.paths for scid in path.scids}
        assert self.state.connections_by_scid == wanted

    @invariant()
    def every_slot_is_taken_once_where_its_scid_is_seen(self) -> None:
        places = [place for c in self.connections for path in c.paths for place in path.places]
        taken = Counter((node.id, slot_of(scid)) for node, scid in places)
        assert set(taken.values()) <= {1}
        for number, slots in self.state.slots.items():
            assert slots.used == sum(1 for node, _ in taken if node == number)

    @invariant()
    def neighbours_are_counted(self) -> None:
        peers: Counter[tuple[int, int]] = Counter()
        origins: Counter[tuple[int, int]] = Counter()
        for path in (path for c in self.connections for path in c.paths):
            for left, node, right in zip(
                (None, *path.nodes), path.nodes, (*path.nodes[1:], None), strict=False
            ):
                sides = [side.id for side in (left, right) if side is not None]
                peers.update((node.id, side) for side in sides)
                if len(sides) == 2:
                    origins.update((node.id, side) for side in sides)
        for node in self.state.nodes.values():
            assert node.peers == {peer: n for (at, peer), n in peers.items() if at == node.id}
            assert node.origins == {peer: n for (at, peer), n in origins.items() if at == node.id}

    @invariant()
    def nodes_know_what_ends_and_what_passes(self) -> None:
        for node in self.state.nodes.values():
            ending = {c.id: c for c in self.connections if node in c.nodes}
            passing = {c.id: c for c in self.connections for path in c.paths if node in path.relays}
            assert (node.connections, node.relayed) == (ending.keys(), passing.keys())
            assert {c.id: c for c in self.state.connections_over(node)} == ending | passing

    @invariant()
    def paths_are_chains_with_the_borders_of_when_they_were_made(self) -> None:
        for connection in self.connections:
            for path in connection.paths:
                assert (path.nodes[0], path.nodes[-1]) == connection.nodes
                assert len(set(path.nodes)) == len(path.nodes) <= 4
                assert len(path.scids) == max(1, len(path.nodes) - 1)

    @invariant()
    def what_is_stored_comes_back(self) -> None:
        for connection in self.connections:
            stored = connection.encode()
            back = Connection.decode(connection.key, stored, self.state.services, self.state.nodes)
            assert back is not None
            for name in ("id", "path", "upcoming", "former", "status", "secret"):
                assert getattr(back, name) == getattr(connection, name)
            assert replace(back, former=()).encode() == replace(connection, former=()).encode()


Paths.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestPaths = Paths.TestCase
