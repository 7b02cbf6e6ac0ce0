# SPDX-License-Identifier: Apache-2.0
"""The data planes of all nodes: one task each, and writes addressed by node."""

from __future__ import annotations

import asyncio

from control.errors import NodeAwayError
from control.records import Connection, Node
from control.southbound.contract import DELETE, INSERT, MODIFY, Contract, Row
from control.southbound.dataplane import DataPlane, Dial, Listener
from control.southbound.entries import Entries, key_only
from control.southbound.lane import Change
from control.state import State


class DataPlanes:
    """Programs nodes; changes for those that are away are left to their reconciliation."""

    def __init__(self, state: State, contract: Contract, entries: Entries, dial: Dial) -> None:
        self.contract = contract
        self.entries = entries
        self.listener: Listener
        self._state = state
        self._dial = dial
        self._planes: dict[int, DataPlane] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._new_paths: dict[tuple[int, int], asyncio.Future[None]] = {}

    def add(self, node: Node) -> None:
        """Begin to keep ``node`` programmed."""
        plane = DataPlane(node, self._state, self.contract, self.entries, self.listener, self._dial)
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

    def node_changed(self, node: Node) -> None:
        """``node`` has reported where it is."""
        if node.id in self._planes:
            self._planes[node.id].node_changed()

    def redial(self, node: Node) -> None:
        """Facts of ``node`` have changed that are in each of its entries."""
        if node.id in self._planes:
            self._planes[node.id].redial()

    def require(self, *nodes: Node) -> None:
        """Raise :class:`NodeAwayError` unless all of ``nodes`` can be programmed now."""
        for node in nodes:
            if not self._planes[node.id].ready:
                raise self._planes[node.id].away()

    # ---- connections ---------------------------------------------------------------------------------------

    async def install(self, connection: Connection) -> None:
        """Write the rows of ``connection`` at both ends and wait until they stand.

        Raises:
            NodeAwayError: an end is or went away.
            ControlError: an end refused a row.
        """
        one, other = connection.nodes
        self.require(one, other)
        waiting = [*self._install(connection, one, other), *self._install(connection, other, one)]
        for future in waiting:
            await future

    def _install(self, connection: Connection, node: Node, peer: Node) -> list[asyncio.Future[None]]:
        plane = self._planes[node.id]
        waiting = plane.put([(INSERT, row) for row in self.entries.of_connection(connection, node)], [])
        # The paths stand already unless this is the first connection with that peer; those made at the same
        # time wait for them with it.
        under_way = (node.id, peer.id)
        if node.peers.get(peer.id) == 1 and (path := self.entries.of_peer(node, peer)):
            for future in plane.put([], [(INSERT, path)]):
                self._new_paths[under_way] = future
                future.add_done_callback(lambda _: self._new_paths.pop(under_way, None))
        return [*waiting, self._new_paths[under_way]] if under_way in self._new_paths else waiting

    async def uninstall(self, connection: Connection, rows: dict[int, tuple[Row, ...]]) -> None:
        """Delete ``rows`` (by number of the node), and paths that no connection needs any longer."""
        one, other = connection.nodes
        waiting: list[asyncio.Future[None]] = []
        for node, peer in ((one, other), (other, one)):
            changes: list[Change] = [(DELETE, row) for row in rows.get(node.id, ())]
            gone = one is not other and peer.id not in node.peers
            waiting += self.try_put(node, changes, [(DELETE, self.entries.no_peer(peer))] if gone else [])
        await asyncio.gather(*waiting, return_exceptions=True)

    # ---- paths ---------------------------------------------------------------------------------------------

    def update_paths(self, node: Node) -> list[asyncio.Future[None]]:
        """Write the paths to ``node`` at its peers, and its own towards them."""
        waiting: list[asyncio.Future[None]] = []
        for number in node.peers:
            peer = self._state.nodes_by_id[number]
            waiting += self.try_put(peer, [], [self._path(peer, node)])
            waiting += self.try_put(node, [], [self._path(node, peer)])
        return waiting

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
        return self.try_put(node, [(DELETE, key_only((table, match)))], [])


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
