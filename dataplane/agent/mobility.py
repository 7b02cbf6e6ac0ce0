# SPDX-License-Identifier: Apache-2.0
"""When an address changes, here or at a peer: rows first, then messages to peers, then the controller."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from dataplane.agent.change import PeerMoved
from dataplane.agent.change_socket import ChangeSocket
from dataplane.agent.facts import HostFacts, gateway_rows, locator_rows, port_rows
from dataplane.agent.locators import OwnLocators, find_locators
from dataplane.agent.netlink import Changed, HostTable
from dataplane.agent.peers import Peers
from dataplane.agent.ports import Ports, own_addresses
from dataplane.agent.session import to_api
from moorline.api.v1 import moorline_pb2 as api
from moorline.paths import Locator

log = structlog.get_logger(__name__)

NOWHERE_SECONDS: Final = 1.0
"""How long a node without any address waits before it says so: most are on the way from one to the next."""

MAX_FORMER: Final = 16
"""Former addresses that still count, the latest: a host may change them faster than their grace ends, and the
table ``terminate`` has room for these and the present ones."""


class Reports(Protocol):
    """The session with the controller."""

    def report(self, report: api.NodeReport) -> None:
        """Tell it."""

    def reconnect(self) -> None:
        """Its TCP connection is dead."""

    def retry_now(self) -> None:
        """It may be reachable again."""


class Mobility:
    """Follows the node's own addresses and those of its peers.

    Args:
        facts: the agent's own rows.
        ports: the node's ports.
        peers: the other nodes.
        generation: the last one that an earlier agent told.
        grace_seconds: how long former addresses still count.
        on_paths_changed: called when next hops may be others.
    """

    def __init__(
        self,
        facts: HostFacts,
        ports: Ports,
        peers: Peers,
        generation: int,
        grace_seconds: float,
        on_paths_changed: Callable[[], None],
    ) -> None:
        self.own = OwnLocators(generation)
        self.session: Reports | None = None
        self.changes: ChangeSocket | None = None
        self._facts = facts
        self._ports = ports
        self._peers = peers
        self._grace = grace_seconds
        self._on_paths_changed = on_paths_changed
        self._loop = asyncio.get_running_loop()
        self._former: dict[bytes, float] = {}
        self._at_gateways: frozenset[bytes] = frozenset()
        self._nowhere: asyncio.TimerHandle | None = None
        self._cut_off = False

    def start(self, host: HostTable) -> None:
        """Write what holds at the beginning, before anything else may use it."""
        self.own.update(find_locators(host, self._ports.underlay), time.time_ns())
        self._at_gateways = self._find_at_gateways(host)
        self._peers.own_changed(self.own.locators)
        self.write_rows()

    def host_changed(self, host: HostTable, changed: Changed) -> bool:
        """Take the host's present state; whether the locators are others now."""
        moved = False
        if Changed.ADDRESSES in changed:
            before = self.own.locators
            moved = self.own.update(find_locators(host, self._ports.underlay), time.time_ns())
            at_gateways, self._at_gateways = self._at_gateways, self._find_at_gateways(host)
            if moved:
                self._moved(before)
            elif at_gateways != self._at_gateways:
                self.write_rows()
        if Changed.ROUTES in changed:
            self._routes_changed()
        return moved

    def peer_heard(self, node_id: int, name: str, generation: int, locators: tuple[Locator, ...]) -> None:
        """A peer's locators, from the controller."""
        if self.changes is not None:
            self.changes.exchange.heard(node_id, generation)
        if self._peer_moved(node_id, name, generation, locators) and self.changes is not None:
            # Both may have moved at once: what was sent to its former addresses is sent to the new ones.
            self.changes.hurry(node_id)

    def peer_told(self, moved: PeerMoved) -> None:
        """A peer's locators, from itself."""
        if self._peer_moved(moved.peer, "", moved.generation, moved.locators):
            log.info("peer_moved", peer=moved.peer, addresses=len(moved.locators))

    def write_all_rows(self) -> None:
        """All tables were emptied: nothing that was written before stands."""
        self._facts.forget()
        self.write_rows()

    def write_rows(self) -> None:
        """Make the agent's own rows what they should be."""
        now = self._loop.time()
        self._former = {address: until for address, until in self._former.items() if until > now}
        ports = self._ports.facts()
        tunnels = {port.number: port.tunnels for port in ports}
        own = locator_rows(self.own.locators, self._former, tunnels) | gateway_rows(self._at_gateways)
        self._facts.apply(port_rows(ports) | own)

    def _find_at_gateways(self, host: HostTable) -> frozenset[bytes]:
        """The host's own addresses on the links of plain hosts, and at edge ports."""
        return frozenset(at.packed for port in self._ports.plain for at in own_addresses(host, port))

    def _moved(self, before: tuple[Locator, ...]) -> None:
        own = self.own
        present = {locator.address for locator in own.locators}
        lost = [locator.address for locator in before if locator.address not in present]
        until = self._loop.time() + self._grace
        former = {a: t for a, t in self._former.items() if a not in (*present, *lost)}
        latest = [*former.items(), *((address, until) for address in lost)][-MAX_FORMER:]
        self._former = dict(latest)
        self.write_rows()
        self._peers.own_changed(own.locators)
        if self.changes is not None and own.locators:
            self.changes.exchange.announce(own.generation, own.locators, self._loop.time())
            self.changes.send_due()
        self._report(lost=bool(lost))
        if lost:
            self._loop.call_later(self._grace + 0.01, self.write_rows)
        self._on_paths_changed()
        log.info("locators_changed", addresses=len(own.locators), lost=len(lost))

    def _report(self, *, lost: bool) -> None:
        if self._nowhere is not None:
            self._nowhere.cancel()
            self._nowhere = None
        # The connection to the controller most likely went from an address that is gone.
        self._cut_off |= lost
        if self.session is None:
            return
        if not self.own.locators:
            self._nowhere = self._loop.call_later(NOWHERE_SECONDS, self._report_locators)
        elif self._cut_off:
            self._cut_off = False
            self.session.reconnect()
        else:
            self._report_locators()

    def _report_locators(self) -> None:
        if self.session is not None:
            changed = api.LocatorsChanged(generation=self.own.generation, locators=to_api(self.own.locators))
            self.session.report(api.NodeReport(locators=changed))

    def _routes_changed(self) -> None:
        if self.changes is not None:
            self.changes.hurry()
        if self.session is not None:
            self.session.retry_now()
        self._on_paths_changed()

    def _peer_moved(self, node_id: int, name: str, generation: int, locators: tuple[Locator, ...]) -> bool:
        if not self._peers.update(node_id, name, generation, locators):
            return False
        self._loop.call_later(self._grace, self._peers.end_grace, node_id, generation)
        self._on_paths_changed()
        return True
