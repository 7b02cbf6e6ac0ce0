# SPDX-License-Identifier: Apache-2.0
"""The other nodes as this one knows them, and the rows of the table ``locator`` that follow from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from dataplane.agent.facts import Tables
from dataplane.bpf.table_map import TableError
from moorline.addresses import mapped
from moorline.paths import Locator, Paths, choose_paths

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Peer:
    """Another node: its locators, their generation, and what it had before (for the grace time).

    ``relayed`` says that this node passes its packets on, and therefore knows it by its addresses.
    """

    node_id: int
    name: str
    generation: int = 0
    locators: tuple[Locator, ...] = ()
    previous: tuple[bytes, ...] = ()
    relayed: bool = False
    written: Paths | None = field(default=None, repr=False)

    @property
    def addresses(self) -> tuple[bytes, ...]:
        """All addresses at which it may be, the present ones first; 16 octets each."""
        present = [mapped(locator.address) for locator in self.locators]
        return tuple(dict.fromkeys([*present, *self.previous]))


class Peers:
    """All peers. Rows are modified, never made: that a node is a peer at all is the controller's to say."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._peers: dict[int, Peer] = {}
        self._own: tuple[Locator, ...] = ()

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._peers.values())

    def get(self, node_id: int) -> Peer | None:
        """The peer with this node id."""
        return self._peers.get(node_id)

    def update(self, node_id: int, name: str, generation: int, locators: Sequence[Locator]) -> bool:
        """Take a peer's locators, from whomever; whether they are news. An older generation never is."""
        peer = self._peers.setdefault(node_id, Peer(node_id, name))
        peer.name = name or peer.name
        if generation <= peer.generation:
            return False
        before = [mapped(locator.address) for locator in peer.locators]
        present = {mapped(locator.address) for locator in locators}
        if peer.generation:
            peer.previous = tuple(address for address in before if address not in present)
        peer.generation, peer.locators = generation, tuple(locators)
        if peer.relayed:
            self._write_origins(peer)
        self._write(peer)
        return True

    def set_relayed(self, node_id: int, relayed: bool) -> None:
        """Whether this node passes packets of a peer on, as the controller says."""
        self._peers[node_id].relayed = relayed

    def end_grace(self, node_id: int, generation: int) -> None:
        """Stop taking packets from a peer's former addresses, unless it has moved again since."""
        peer = self._peers.get(node_id)
        if peer is not None and peer.generation == generation and peer.previous:
            peer.previous = ()
            self._write(peer)

    def own_changed(self, own: tuple[Locator, ...]) -> None:
        """Choose the paths to all peers anew; those whose own port has vanished go another way."""
        self._own = own
        if own:  # between two addresses there is nothing to choose from
            for peer in self._peers.values():
                self._write(peer)

    def forget(self, node_id: int) -> None:
        """A node that is a peer no longer; its row is the controller's to delete."""
        self._peers.pop(node_id, None)

    def keep_only(self, node_ids: set[int]) -> None:
        """Forget all other peers."""
        for node_id in self._peers.keys() - node_ids:
            del self._peers[node_id]

    def _write_origins(self, peer: Peer) -> None:
        """Its former addresses are the controller's to take out."""
        for locator in peer.locators:
            match = {"source": mapped(locator.address)}
            try:
                self._tables.write("origin", match, "from_node", {"node": peer.node_id})
            except TableError as error:
                log.warning("origin_not_written", peer=peer.name, why=str(error))

    def _write(self, peer: Peer) -> None:
        paths = choose_paths(self._own, peer.locators, peer.previous)
        if paths is None or paths == peer.written:
            return
        match = {"node": peer.node_id}
        if self._tables.get("locator", match) is None:
            return
        self._tables.write("locator", match, "set_paths", _params(paths))
        peer.written = paths


def _params(paths: Paths) -> dict[str, int | bytes]:
    return {
        "port0": paths.port0,
        "dst0": paths.dst0,
        "port1": paths.port1,
        "dst1": paths.dst1,
        "previous0": paths.previous0,
        "previous1": paths.previous1,
    }
