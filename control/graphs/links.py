# SPDX-License-Identifier: Apache-2.0
"""Which nodes reach one another for service paths: all nodes of a path, each of them all others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import product

from control.records import Node
from control.sessions import Sessions
from control.southbound.dataplanes import DataPlanes
from control.state import State

Link = tuple[str, str]


class Links:
    """Counts them beside those of connections, and writes what follows."""

    def __init__(self, state: State, planes: DataPlanes, sessions: Sessions) -> None:
        self._state = state
        self._planes = planes
        self._sessions = sessions
        self._links: set[Link] = set()

    def add(self, groups: Iterable[frozenset[str]]) -> list[asyncio.Future[None]]:
        """Let the nodes of each of ``groups``, all of them names, reach one another."""
        new = sorted(_links(groups) - self._links)
        self._links.update(new)
        waiting: list[asyncio.Future[None]] = []
        for link in new:
            node, peer = self._nodes(link)
            if self._state.add_link(node, peer):
                waiting += self._planes.install_links([(node, peer)])
                if peer is not node:
                    self._sessions.peer(node, peer)
        return waiting

    def keep(self, groups: Iterable[frozenset[str]]) -> None:
        """Take away all links but those within one of ``groups``."""
        for link in sorted(self._links - _links(groups)):
            self._remove(link)

    def forget(self, node: Node) -> None:
        """``node`` is about to be removed from the state."""
        for link in sorted(link for link in self._links if node.name in link):
            self._remove(link)

    def _remove(self, link: Link) -> None:
        self._links.discard(link)
        node, peer = self._nodes(link)
        self._state.remove_link(node, peer)
        self._planes.uninstall_link(node, peer, relayed=True)
        if peer is node:
            return
        if peer.id not in node.peers:
            self._sessions.peer_removed(node, peer)
        elif peer.id not in node.origins:
            self._sessions.peer(node, peer)

    def _nodes(self, link: Link) -> tuple[Node, Node]:
        return self._state.nodes[link[0]], self._state.nodes[link[1]]


def _links(groups: Iterable[frozenset[str]]) -> set[Link]:
    return {(one, other) for group in set(groups) for one, other in product(group, repeat=2)}
