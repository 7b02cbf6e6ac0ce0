# SPDX-License-Identifier: Apache-2.0
"""Takes what the controller says and puts it where it belongs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc
import structlog
from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent.change_socket import ChangeSocket
from dataplane.agent.mobility import Mobility
from dataplane.agent.peers import Peers
from dataplane.agent.resolver import Resolver
from dataplane.agent.session import from_api, to_api
from dataplane.agent.shortcuts import Shortcuts
from dataplane.agent.state import NodeState
from dataplane.agent.translations import Translations
from moorline import __version__
from moorline.api.v1 import moorline_pb2 as api
from moorline.errors import MoorlineError

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Seen:
    """What a session has named until all was named."""

    peers: set[int] = field(default_factory=set)
    scids: set[int] = field(default_factory=set)


class ControllerLink:
    """The handler of the session (:class:`dataplane.agent.session.Handler`)."""

    def __init__(
        self,
        state: NodeState,
        translations: Translations,
        peers: Peers,
        mobility: Mobility,
        changes: ChangeSocket,
        resolver: Resolver,
        shortcuts: Shortcuts,
        *,
        place_endpoints: Callable[[], Awaitable[None]],
        save_state: Callable[[], None],
        describe: Callable[[], api.NodeHello],
    ) -> None:
        self.attached = False
        self.synchronized = False
        """Whether a session has ever named all peers and translations."""
        self._state = state
        self._translations = translations
        self._peers = peers
        self._mobility = mobility
        self._changes = changes
        self._resolver = resolver
        self._shortcuts = shortcuts
        self._place_endpoints = place_endpoints
        self._save_state = save_state
        self._describe = describe
        self._seen: _Seen | None = None
        self._endpoints_came = asyncio.Event()

    def hello(self) -> api.NodeHello:
        """What a session begins with."""
        own = self._mobility.own
        hello = self._describe()
        hello.version = __version__
        hello.locators.CopyFrom(api.LocatorsChanged(generation=own.generation, locators=to_api(own.locators)))
        return hello

    def connected(self, channel: grpc.aio.Channel | None) -> None:
        """The session stands, or has broken off."""
        self.attached = channel is not None
        self._resolver.use(channel)
        self._shortcuts.use(channel)

    async def update(self, update: api.NodeUpdate) -> None:
        """One message of the controller."""
        match update.WhichOneof("update"):
            case "welcome":
                self._welcome(update.welcome)
            case "endpoints":
                self._translations.set_endpoints(update.endpoints.endpoints)
                self._endpoints_came.set()
            case "peer":
                self._peer(update.peer)
            case "peer_removed":
                self._peers.forget(update.peer_removed.node_id)
                self._changes.exchange.forget(update.peer_removed.node_id)
            case "translation":
                self._translation(update.translation)
            case "translation_removed":
                self._translations.remove(update.translation_removed.scid)
            case "synchronized":
                self._synchronized()
            case "several":
                for one in update.several.updates:
                    await self.update(one)

    async def keep_endpoints_placed(self) -> None:
        """Place the endpoints whenever they are others; of lists that come meanwhile, the last."""
        while True:
            await self._endpoints_came.wait()
            self._endpoints_came.clear()
            try:
                await self._place_endpoints()
            except (NetlinkError, MoorlineError) as error:
                # The interface is being made anew, say; placing is tried again when the host's links change.
                log.warning("endpoints_not_placed", why=str(error))
                continue
            if not self._endpoints_came.is_set():
                self._resolver.endpoints_stand()
                log.info("endpoints_placed", endpoints=len(self._translations.endpoints))

    def _welcome(self, welcome: api.Welcome) -> None:
        self._seen = _Seen()
        self._changes.exchange.set_node(welcome.node_id)
        self._translations.set_prefixes(welcome.virtual_prefixes)
        prefixes = list(welcome.virtual_prefixes)
        if (self._state.node_id, self._state.virtual_prefixes) != (welcome.node_id, prefixes):
            self._state.node_id, self._state.virtual_prefixes = welcome.node_id, prefixes
            self._save_state()

    def _peer(self, peer: api.PeerChanged) -> None:
        if self._seen is not None:
            self._seen.peers.add(peer.node_id)
        self._changes.exchange.set_key(peer.node_id, peer.key)
        self._mobility.peer_heard(peer.node_id, peer.node, peer.generation, from_api(peer.locators))
        self._peers.set_relayed(peer.node_id, peer.relayed)

    def _translation(self, translation: api.Translation) -> None:
        if self._seen is not None:
            self._seen.scids.add(translation.scid)
        self._translations.put(translation)

    def _synchronized(self) -> None:
        if self._seen is None:
            return
        self._peers.keep_only(self._seen.peers)
        self._changes.exchange.keep_only(self._seen.peers)
        self._translations.keep_only(self._seen.scids)
        self._seen = None
        self.synchronized = True
        log.info("controller_synchronized", translations=len(self._translations))
