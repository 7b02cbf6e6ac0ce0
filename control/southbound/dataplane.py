# SPDX-License-Identifier: Apache-2.0
"""The data plane of one node: dialled wherever the node is, kept equal to what the state asks for."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import structlog
from finsy.proto import p4r

from control.errors import NodeAwayError
from control.records import Node
from control.southbound.client import DIAL_TIMEOUT, P4RuntimeClient
from control.southbound.dial import Dial, target_of
from control.southbound.digests import acknowledgement, subscribe
from control.southbound.election import Election, Outcome
from control.southbound.entries import Entries
from control.southbound.lane import Change, Lane
from control.southbound.own_rows import OwnRows, RowSource
from control.southbound.program import PipelineState, Program
from control.southbound.reconcile import (
    reconcile_connections,
    reconcile_locators,
    reconcile_origins,
    reconcile_own,
)
from control.state import State
from moorline.limits import Limiter

log = structlog.get_logger(__name__)

PING_INTERVAL: Final = 5.0
PINGS_BEFORE_RETRY: Final = 6
DOUBTS_PER_SECOND: Final = 1 / 30
BACKOFF_FIRST: Final = 0.1
BACKOFF_LAST: Final = 5.0
"""Seconds."""

EARLY_PACKETS: Final = 1024
"""As many as an agent keeps for its next primary."""


class Listener(Protocol):
    """Who wants to know what a data plane says."""

    def packet_in(self, dataplane: DataPlane, packet: p4r.PacketIn) -> None:
        """A packet for the controller; must return at once."""

    def idle(self, dataplane: DataPlane, entry: p4r.TableEntry) -> None:
        """An entry has not been used for its idle time-out; must return at once."""

    def digest(self, dataplane: DataPlane, digests: p4r.DigestList) -> None:
        """Messages about packets that the controller does not see; must return at once."""

    def dialled(self, dataplane: DataPlane) -> None:
        """The data plane takes changes; what it has is not known yet."""

    def reconciled(self, dataplane: DataPlane) -> None:
        """The data plane agrees with the state."""

    async def attend(self, dataplane: DataPlane) -> None:
        """Runs from :meth:`dialled` on for as long as the data plane takes changes."""

    def reach_changed(self, node: Node) -> None:
        """Other nodes, or other places of them, are what ``node`` has to reach now."""

    def reaching(self, node: Node, peer: Node) -> asyncio.Future[None] | None:
        """Done when ``node`` can reach its neighbour ``peer``; None when it can."""


class _MovedError(NodeAwayError):
    """The node is no longer at the address that was dialled."""


class DataPlane:
    """Keeps one node programmed; :meth:`run` it as a task.

    Rows of connections and rows of locators travel in lanes of their own, so that an address change overtakes
    any number of connections.
    """

    def __init__(
        self,
        node: Node,
        state: State,
        program: Program,
        entries: Entries,
        sources: Sequence[RowSource],
        listener: Listener,
        dial: Dial,
    ) -> None:
        self.node = node
        self.problem = ""
        self.pipeline = PipelineState.UNKNOWN
        self.converged = False
        self.unknown_scids = 0
        """Messages about packets with an SCID that nobody has here."""
        self._state = state
        self._pipeline = program
        self._contract = entries.contract
        self._own = OwnRows(node, sources)
        self._entries = entries
        self._listener = listener
        self._dial = dial
        self._stream: P4RuntimeClient | None = None
        self._client: P4RuntimeClient | None = None
        self._connections: Lane | None = None
        self._locators: Lane | None = None
        self._changed = asyncio.Event()
        self._stale = False
        self._primary = asyncio.Event()
        self._rival = ""
        self._election = Election()
        self._early: deque[p4r.PacketIn] = deque(maxlen=EARLY_PACKETS)
        self._doubted = asyncio.Event()
        self._doubts = Limiter(DOUBTS_PER_SECOND, 1)

    # ---- for the rest of the controller --------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether we are its primary now, whatever it runs."""
        return self._stream is not None

    @property
    def ready(self) -> bool:
        """Whether it takes changes now."""
        return self._connections is not None

    def put(self, connections: list[Change], locators: list[Change]) -> list[asyncio.Future[None]]:
        """Write rows; the futures are done when they stand.

        Raises:
            NodeAwayError: the data plane is not at hand; reconciliation will do it at its return.
        """
        if self._connections is None or self._locators is None:
            raise self.away()
        return [
            lane.put(changes)
            for lane, changes in ((self._locators, locators), (self._connections, connections))
            if changes
        ]

    def put_own(self) -> list[asyncio.Future[None]]:
        """Write what has changed of the rows that follow from facts, unless the node is away."""
        if self._locators is None:
            return []
        if (comparison := self._own.comparison()) is not None:
            return [comparison]
        changes = self._own.changes()
        return [self._locators.put(changes)] if changes else []

    async def replace_pipeline(self) -> None:
        """Give it our pipeline in place of whatever it has, and program it from the start.

        Raises:
            NodeAwayError: it is not at hand, or refuses it.
        """
        if self._stream is None:
            raise self.away()
        await self._stream.set_pipeline(self._pipeline.config)
        log.info("pipeline_replaced", node=self.node.name)
        self.redial()

    @property
    def busy(self) -> bool:
        """Whether so much is queued that more should wait."""
        return self._connections is not None and self._connections.full

    async def room(self) -> None:
        """Wait until more connections may be put."""
        if self._connections is not None:
            await self._connections.room()

    async def send(self, message: p4r.StreamMessageRequest) -> None:
        """Put a message on the stream, such as a packet-out."""
        await self._present().send(message)

    def read(self, *entities: p4r.Entity) -> AsyncIterator[Any]:
        """Read entries or counters, in batches of ``p4r.Entity``."""
        return self._present().read(*entities)

    def node_changed(self) -> None:
        """The node has reported: dial again at once if it moved."""
        self._changed.set()

    def redial(self) -> None:
        """Reconcile from the start: facts of the node have changed that are in every entry."""
        self.problem, self.pipeline, self.converged = "", PipelineState.UNKNOWN, False
        self._stale = True
        self._changed.set()

    def doubt(self) -> None:
        """It seems to lack entries: compare soon, though not again and again."""
        if self._doubts.allows(asyncio.get_running_loop().time()):
            log.info("dataplane_doubted", node=self.node.name)
            self._doubted.set()

    def away(self) -> NodeAwayError:
        """Why it takes no changes now."""
        why = self.problem or "its data plane has not been reached yet"
        return NodeAwayError(f"node {self.node.name} cannot be programmed now: {why}")

    # ---- its life ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Dial, program, dial again; for ever."""
        backoff = BACKOFF_FIRST
        while True:
            self._changed.clear()
            self._stale = False
            for address in self._addresses():
                try:
                    await self._stay(address)
                except* NodeAwayError as group:
                    if not isinstance(_first(group), _MovedError) and not self._stale:
                        self.problem = str(_first(group))
                except* Exception:
                    self.problem = f"programming node {self.node.name} failed: look into the controller's log"
                    log.exception("dataplane_failed", node=self.node.name)
                if self.converged:
                    backoff = BACKOFF_FIRST
                    log.info("dataplane_lost", node=self.node.name, address=address)
                self.converged = False
                if self._changed.is_set():
                    break
            try:
                async with asyncio.timeout(backoff):
                    await self._changed.wait()
                backoff = BACKOFF_FIRST
            except TimeoutError:
                backoff = min(2 * backoff, BACKOFF_LAST)

    def _addresses(self) -> list[str]:
        if self.node.switch is not None:
            return [self.node.switch.target]
        port = self.node.p4runtime_port
        return [target_of(at.address, port) for at in self.node.locators] if port else []

    async def _stay(self, address: str) -> None:
        """Dial ``address`` and stay there until it fails or the node moves; never returns."""
        self._primary.clear()
        self._early.clear()
        self._rival = ""
        async with self._dial(self.node, address) as client, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_moves(address))
            tasks.create_task(self._listen(client))
            try:
                async with asyncio.timeout(DIAL_TIMEOUT):
                    await client.bid(self._election.first_bid())
                    await self._primary.wait()
            except TimeoutError:
                silent = f"node {self.node.name} does not answer at {address}: {client.mend}"
                raise NodeAwayError(self._rival or silent) from None
            self._stream = client
            try:
                await self._settle_pipeline(client)
                await self._program(client, tasks)
            finally:
                self._stream = None
                if self.node.switch is not None:  # a host reports for itself
                    self.node.last_seen_ns = time.time_ns()

    async def _settle_pipeline(self, client: P4RuntimeClient) -> None:
        """Returns when the target runs what we write entries for; a stranger's pipeline is left alone."""
        pipeline = await client.pipeline()
        if self.node.switch is None:
            ours = pipeline is not None and not self._contract.differs(pipeline.p4info)
            self.pipeline = PipelineState.OURS if ours else PipelineState.OTHER_CONTRACT
            mend = "install the same version of Moorline on both"
        elif pipeline is None:
            await client.set_pipeline(self._pipeline.config)
            log.info("pipeline_set", node=self.node.name)
            self.pipeline = PipelineState.OURS
        else:
            self.pipeline = self._pipeline.state_of(pipeline)
            mend = f"'moorline switch replace-pipeline {self.node.name}' gives it ours"
        if self.pipeline is not PipelineState.OURS:
            self.problem = f"node {self.node.name} runs {self.pipeline} than this controller: {mend}"
            log.error("pipeline_differs", node=self.node.name, runs=str(self.pipeline))
            await self._ping(client)

    async def _program(self, client: P4RuntimeClient, tasks: asyncio.TaskGroup) -> None:
        locators = Lane(client, self._contract)
        connections = Lane(client, self._contract)
        tasks.create_task(locators.run())
        tasks.create_task(connections.run())
        self._client, self._locators, self._connections = client, locators, connections
        self._listener.dialled(self)
        while self._early:
            self._listener.packet_in(self, self._early.popleft())
        tasks.create_task(self._listener.attend(self))
        try:
            await subscribe(client, self._contract.p4info)
            while True:
                await self._reconcile(client, locators, connections)
                await self._ping_until_refused(client, locators)
        finally:
            self._client = self._locators = self._connections = None
            self._own.lost(self.away())

    async def _reconcile(self, client: P4RuntimeClient, locators: Lane, connections: Lane) -> None:
        self._doubted.clear()
        scope = (self.node, self._state, self._entries)
        refusal = await reconcile_own(client, locators, self._own)
        refusal = await reconcile_origins(client, locators, *scope) or refusal
        refusal = await reconcile_locators(client, locators, *scope) or refusal
        refusal = await reconcile_connections(client, connections, *scope) or refusal
        self.problem = str(refusal or "")
        self.converged = refusal is None
        log.info("reconciled", node=self.node.name, address=client.address, problem=self.problem)
        self._listener.reconciled(self)

    async def _ping_until_refused(self, client: P4RuntimeClient, locators: Lane) -> None:
        """Returns a while after the target refused something that nobody mends: it may take it by then.

        New connections that are refused are closed again by whoever made them. Returns sooner when somebody
        doubts that it has what it should.
        """
        refused = locators.refused
        while self.converged and locators.refused == refused:
            with suppress(TimeoutError):
                async with asyncio.timeout(PING_INTERVAL):
                    await self._doubted.wait()
                return
            await client.ping()
        for _ in range(PINGS_BEFORE_RETRY):
            await asyncio.sleep(PING_INTERVAL)
            await client.ping()

    async def _ping(self, client: P4RuntimeClient) -> None:
        while True:
            await asyncio.sleep(PING_INTERVAL)
            await client.ping()

    async def _watch_moves(self, address: str) -> None:
        while True:
            await self._changed.wait()
            if self._stale or address not in self._addresses():
                raise _MovedError(f"node {self.node.name} has left {address}: dialling again")
            self._changed.clear()

    async def _listen(self, client: P4RuntimeClient) -> None:
        while True:
            message = await client.receive()
            match message.WhichOneof("update"):
                case "packet":
                    self._packet_in(message.packet)
                case "arbitration":
                    await self._arbitrated(client, message.arbitration)
                case "idle_timeout_notification":
                    for entry in message.idle_timeout_notification.table_entry:
                        self._listener.idle(self, entry)
                case "digest":
                    self._listener.digest(self, message.digest)
                    await client.send(acknowledgement(message.digest))
                case "error":
                    log.warning("stream_error", node=self.node.name, why=message.error.message)

    def _packet_in(self, packet: p4r.PacketIn) -> None:
        """Packets come as soon as we are primary; until changes can be written, they wait."""
        if self.ready:
            self._listener.packet_in(self, packet)
        else:
            self._early.append(packet)

    async def _arbitrated(self, client: P4RuntimeClient, update: p4r.MasterArbitrationUpdate) -> None:
        outcome = self._election.outcome(update)
        if outcome is Outcome.PRIMARY:
            self._primary.set()
        elif outcome is Outcome.NOBODY:
            await client.bid(self._election.next_bid(update))
        else:
            self._rival = (
                f"another controller is primary at node {self.node.name}: stop it, or lower its election id"
            )
            if outcome is Outcome.DEMOTED:
                raise NodeAwayError(self._rival)

    def _present(self) -> P4RuntimeClient:
        if self._client is None:
            raise self.away()
        return self._client


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
