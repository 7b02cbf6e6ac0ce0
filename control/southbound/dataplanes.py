# SPDX-License-Identifier: Apache-2.0
"""The data planes of all nodes: one task each, and writes addressed by node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from control.connection_records import Connection, Path
from control.errors import NodeAwayError
from control.records import Node
from control.southbound.contract import DELETE, INSERT, MODIFY, Row
from control.southbound.dataplane import DataPlane, Listener
from control.southbound.dial import Dial
from control.southbound.entries import Entries, key_only
from control.southbound.lane import Change
from control.southbound.own_rows import RowSource
from control.southbound.program import Program
from control.state import State


class DataPlanes:
    """Programs nodes; changes for those that are away are left to their reconciliation.

    ``sources`` know the rows that follow from facts: those of hosts, and those of switches beside them; in
    their order these are written.
    """

    def __init__(self, state: State, program: Program, entries: Entries, dial: Dial) -> None:
        self.contract = entries.contract
        self.entries = entries
        self.sources: Sequence[RowSource] = ()
        self.switch_sources: Sequence[RowSource] = ()
        self.listener: Listener
        self._state = state
        self._program = program
        self._dial = dial
        self._planes: dict[int, DataPlane] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._new_paths: dict[tuple[int, int], asyncio.Future[None]] = {}

    def add(self, node: Node) -> None:
        """Begin to keep ``node`` programmed."""
        sources = [*(self.switch_sources if node.switch is not None else ()), *self.sources]
        plane = DataPlane(node, self._state, self._program, self.entries, sources, self.listener, self._dial)
        self._planes[node.id] = plane
        self._tasks[node.id] = asyncio.create_task(plane.run(), name=f"dataplane {node.name}")

    async def remove(self, node: Node) -> None:
        """Let go of ``node``; its entries stay, for nobody asks it to forget them."""
        del self._planes[node.id]
        await _end([self._tasks.pop(node.id)])

    async def close(self) -> None:
        """Let go of all."""
        await _end([*self._tasks.values()])

    def of(self, node: Node) -> DataPlane:
        """The data plane of ``node``."""
        return self._planes[node.id]

    def busy(self, node: Node) -> bool:
        """Whether so much is queued for ``node`` that what can wait should."""
        return node.id in self._planes and self._planes[node.id].busy

    def node_changed(self, node: Node) -> None:
        """``node`` has reported where it is."""
        if node.id in self._planes:
            self._planes[node.id].node_changed()

    def redial(self, node: Node) -> None:
        """Facts of ``node`` have changed that are in each of its entries."""
        if node.id in self._planes:
            self._planes[node.id].redial()

    def own_rows_changed(self, node: Node) -> list[asyncio.Future[None]]:
        """What the sources say of ``node`` has changed."""
        return self._planes[node.id].put_own() if node.id in self._planes else []

    def reach_changed(self, node: Node) -> None:
        """Other nodes, or plain hosts, or other places of them, are what ``node`` has to reach now."""
        self.listener.reach_changed(node)

    def require(self, *nodes: Node) -> None:
        """Raise :class:`NodeAwayError` unless all of ``nodes`` can be programmed now."""
        for node in nodes:
            if not self._planes[node.id].ready:
                raise self._planes[node.id].away()

    # ---- connections ---------------------------------------------------------------------------------------

    async def install(self, connection: Connection, rows: Mapping[int, tuple[Row, ...]]) -> None:
        """Write the rows of ``connection``, by number of the node, and wait until they stand.

        Raises:
            NodeAwayError: a node is or went away.
            ControlError: a node refused a row.
        """
        path = connection.path
        self.require(*path.nodes, *connection.passing)
        if path.relays or connection.passing:
            # A relay may take its time: no end sends before.
            await self.install_receivers(connection, path)
            await self.install_senders(connection)
            return
        waiting = self.install_neighbours(path)
        for node in path.nodes:
            waiting += self._planes[node.id].put([(INSERT, row) for row in rows[node.id]], [])
        for future in waiting:
            await future

    async def install_receivers(self, connection: Connection, path: Path) -> None:
        """Let the nodes of ``path`` take in and pass on what will come there; raises as :meth:`install`."""
        waiting = self.install_neighbours(path)
        for node in path.nodes:
            rows = self.entries.receiving(connection, path, node)
            waiting += self._planes[node.id].put([(INSERT, row) for row in rows], [])
        for future in waiting:
            await future

    async def install_senders(self, connection: Connection) -> None:
        """Let both ends send on the path of now; raises as :meth:`install`.

        Where packets pass on service paths they are known before.
        """
        for nodes in (connection.passing, connection.nodes):
            waiting: list[asyncio.Future[None]] = []
            for node in nodes:
                rows = self.entries.sending(connection, node)
                waiting += self._planes[node.id].put([(MODIFY, row) for row in rows], [])
            for future in waiting:
                await future

    def install_neighbours(self, path: Path) -> list[asyncio.Future[None]]:
        """Let each node of ``path``, which has just been added, reach its neighbours there."""
        return self.install_links(path.neighbours)

    def install_links(self, links: Iterable[tuple[Node, Node]]) -> list[asyncio.Future[None]]:
        """Let each node reach, and know the addresses of, those that have just become its neighbours."""
        waiting: list[asyncio.Future[None]] = []
        for node, peer in links:
            # It does already unless this is their first path; those added meanwhile wait for it too.
            under_way = node.id, peer.id
            if changes := self._towards(node, peer):
                self.reach_changed(node)
                for future in self.try_put(node, [], changes):
                    self._new_paths[under_way] = future
                    future.add_done_callback(partial(self._stand, under_way))
            if under_way in self._new_paths:
                waiting.append(self._new_paths[under_way])
            if peer is not node and (reaching := self.listener.reaching(node, peer)) is not None:
                waiting.append(reaching)
        return waiting

    def _towards(self, node: Node, peer: Node) -> list[Change]:
        """What makes ``peer`` a neighbour of ``node``, on their first path; nothing on others."""
        changes: list[Change] = []
        if node.origins.get(peer.id) == 1:
            changes += self._origins(node, peer.addresses)
        if node.peers.get(peer.id) == 1 and (row := self.entries.of_peer(node, peer)):
            changes.append((INSERT, row))
        return changes

    def _stand(self, under_way: tuple[int, int], done: asyncio.Future[None]) -> None:
        if self._new_paths.get(under_way) is done:
            del self._new_paths[under_way]

    async def uninstall(self, paths: Sequence[Path], rows: dict[int, tuple[Row, ...]]) -> None:
        """Delete ``rows`` (by number of the node), and what only ``paths``, which were removed, needed."""
        waiting: list[asyncio.Future[None]] = []
        for number, gone in rows.items():
            waiting += self.try_put(self._state.nodes_by_id[number], [(DELETE, row) for row in gone], [])
        for path in paths:
            for node, peer in path.neighbours:
                waiting += self.uninstall_link(node, peer, relayed=node in path.relays)
        await asyncio.gather(*waiting, return_exceptions=True)

    def uninstall_link(self, node: Node, peer: Node, *, relayed: bool) -> list[asyncio.Future[None]]:
        """Let ``node`` forget ``peer``, if it is its neighbour no longer; ``relayed``: also its addresses."""
        waiting: list[asyncio.Future[None]] = []
        if relayed and peer.id not in node.origins:
            waiting += self.try_put(node, [], self._origins(node, peer.addresses))
        if peer is not node and peer.id not in node.peers:
            self.reach_changed(node)
            waiting += self.try_put(node, [], [(DELETE, self.entries.no_peer(peer))])
        return waiting

    # ---- paths ---------------------------------------------------------------------------------------------

    def update_paths(self, node: Node, gone: Iterable[bytes]) -> list[asyncio.Future[None]]:
        """Write the paths to ``node`` at its peers, and its own towards them.

        Its relays know it by its addresses, also by those that it has just left, but not by those ``gone``.
        """
        addresses = [*node.addresses, *gone]
        self.own_rows_changed(node)  # a switch opens packets to its former addresses during the grace time
        waiting: list[asyncio.Future[None]] = []
        if node.id in node.origins:
            waiting += self.try_put(node, [], self._origins(node, addresses))
        for number in node.peers:
            peer = self._state.nodes_by_id[number]
            self.reach_changed(peer)
            origins = self._origins(peer, addresses) if node.id in peer.origins else []
            waiting += self.try_put(peer, [], [*origins, self._path(peer, node)])
            waiting += self.try_put(node, [], [self._path(node, peer)])
        return waiting

    def _origins(self, relay: Node, addresses: Iterable[bytes]) -> list[Change]:
        """What makes ``relay`` know whose each of ``addresses`` is now."""
        wanted = self.entries.of_origins(self._state.nodes_by_id[number] for number in relay.origins)
        return [
            (INSERT, wanted[address]) if address in wanted else (DELETE, self.entries.no_origin(address))
            for address in addresses
        ]

    def _path(self, node: Node, peer: Node) -> Change:
        row = self.entries.of_peer(node, peer)
        return (MODIFY, row) if row is not None else (DELETE, self.entries.no_peer(peer))

    # ---- single rows ---------------------------------------------------------------------------------------

    def try_put(
        self, node: Node, connections: list[Change], locators: list[Change]
    ) -> list[asyncio.Future[None]]:
        """Write rows at ``node`` unless it is away."""
        try:
            return self._planes[node.id].put(connections, locators)
        except (NodeAwayError, KeyError):
            return []

    def delete(self, node: Node, table: int, match: tuple[bytes, ...]) -> list[asyncio.Future[None]]:
        """Delete one row of a connection table at ``node`` unless it is away."""
        return self.try_put(node, [(DELETE, key_only((table, match, 0)))], [])


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
