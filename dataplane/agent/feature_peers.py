# SPDX-License-Identifier: Apache-2.0
"""Looks after the feature peers of this node: brings them to life, sees to their health, reports them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent.config import NodeConfig
from dataplane.agent.dns_upstream import Upstream
from dataplane.agent.netlink import HostTable
from dataplane.agent.ports import Ports
from dataplane.agent.shortcuts import Shortcuts
from dataplane.agent.state import StateError
from dataplane.peers.attached import AttachedPeer, links_health
from dataplane.peers.base import FeaturePeer, Health, PeerError
from dataplane.peers.config import PeerConfig
from dataplane.peers.flows import Flow, Traffic
from dataplane.peers.managed import ManagedPeer
from moorline.api.v1 import peers_pb2 as api

log = structlog.get_logger(__name__)

HEALTH_SECONDS: Final = 2.0
"""Between two looks at a peer of which nothing was heard."""

FIRST_DELAY: Final = 0.25
LAST_DELAY: Final = 30.0
"""Seconds between attempts to mend a peer, doubled each time."""

ANEW_AFTER: Final = 3
"""Attempts to mend a peer, after which it is taken away and made anew."""

DEFAULT_MTU: Final = 1500
LARGEST_MTU: Final = 3400
"""Octets: programs at XDP take packets of one page."""


@dataclass(slots=True)
class _Kept:
    """A peer and how it was when last looked at; ``ports`` are those at which its interfaces were seen."""

    peer: FeaturePeer
    ports: list[api.FeaturePeerPort] = field(default_factory=list)
    health: Health = field(default_factory=lambda: Health("it has just been started"))
    look: asyncio.Event = field(default_factory=asyncio.Event)


class FeaturePeers:
    """All feature peers of the node.

    Args:
        config: the node's settings.
        netlink: a ``pyroute2.AsyncIPRoute``.
        ports: the node's.
        host: the host's links as they are now.
        tell: called with :meth:`report` when it is another.
    """

    def __init__(
        self,
        config: NodeConfig,
        netlink: Any,
        ports: Ports,
        host: Callable[[], HostTable],
        tell: Callable[[list[api.FeaturePeer]], None],
    ) -> None:
        self._config = config
        self._netlink = netlink
        self._ports = ports
        self._host = host
        self._tell = tell
        self.shortcuts = Shortcuts(config.peers, self._take_usage)
        self._told: list[api.FeaturePeer] = []
        mtu = _mtu(config, host())
        self._kept = [_Kept(self._make(peer, mtu)) for peer in config.peers]
        for kept in self._kept:
            kept.peer.watch(kept.look.set)

    def _make(self, peer: PeerConfig, mtu: int) -> FeaturePeer:
        if peer.run is None:
            return AttachedPeer(peer, self._host)
        made = _managed(self._config, peer.name, peer, self._netlink, self._host, mtu)
        made.on_flow(partial(self.shortcuts.ask, peer))
        return made

    async def _take_usage(self, name: str, flow: Flow, there: Traffic, back: Traffic) -> None:
        """A short-cut has ended that one of the peers asked for."""
        for peer in (kept.peer for kept in self._kept if kept.peer.config.name == name):
            if isinstance(peer, ManagedPeer):
                try:
                    await peer.take_usage(flow, there, back)
                except (PeerError, OSError) as error:
                    log.warning("usage_not_handed_over", peer=name, why=str(error))

    async def run(self) -> None:
        """Look after them until cancelled; they go on then."""
        try:
            await self._remove_others()
            async with asyncio.TaskGroup() as tasks:
                for kept in self._kept:
                    tasks.create_task(self._keep(kept), name=f"feature-peer-{kept.peer.config.name}")
        finally:
            for kept in self._kept:
                kept.peer.close()

    async def _remove_others(self) -> None:
        try:
            await remove_others(self._config, self._netlink)
        except (PeerError, NetlinkError, OSError) as error:
            # The next start tries again; what is configured is not to go without its agent for that.
            log.warning("feature_peers_not_removed", why=str(error))

    def look(self) -> None:
        """The host's links have changed."""
        for kept in self._kept:
            kept.look.set()
        self._report()

    def _report(self) -> None:
        report = self.report()
        if report != self._told:
            self._told = report
            self._tell(report)

    def report(self) -> list[api.FeaturePeer]:
        """The peers as the controller hears of them: those whose interfaces have been seen."""
        return [found for kept in self._kept if (found := self._message(kept)) is not None]

    def _message(self, kept: _Kept) -> api.FeaturePeer | None:
        config, links = kept.peer.config, links_health(kept.peer.config, self._host())
        kept.ports = self._ports_of(kept.peer) or kept.ports
        if not kept.ports:
            return None
        health = kept.health if links.up else links
        return api.FeaturePeer(
            name=config.name,
            kind=config.kind,
            tenant=self._config.tenants[config.interfaces[0]],
            ports=kept.ports,
            header=int(config.peer_header),  # type: ignore[arg-type]
            by_mac=config.by_mac,
            addresses=[address.packed for address in config.addresses],
            rewrites=config.rewrites or config.run == "nat",
            spare=config.spare,
            local=config.local.packed if config.local else b"",
            remote=config.remote.packed if config.remote else b"",
            up=health.up,
            problem=health.problem,
        )

    def _ports_of(self, peer: FeaturePeer) -> list[api.FeaturePeerPort]:
        """Where a peer is; nothing unless all of its interfaces are there."""
        host, found = self._host(), []
        for interface, mac in zip(peer.config.interfaces, peer.macs, strict=True):
            link, port = host.link_named(interface), self._ports.named(interface)
            if link is None or port is None:
                return []
            found.append(
                api.FeaturePeerPort(number=port.number, interface=interface, mac=mac, port_mac=link.mac)
            )
        return found

    async def _keep(self, kept: _Kept) -> None:
        failures = 0
        while True:
            failures = 0 if await self._mend(kept, anew=failures >= ANEW_AFTER) else failures + 1
            while kept.health.up:
                kept.look.clear()
                await _wait(kept.look, HEALTH_SECONDS)
                self._take(kept, await self._look(kept.peer))
            if failures:
                await asyncio.sleep(min(FIRST_DELAY * 2**failures, LAST_DELAY))

    @staticmethod
    async def _look(peer: FeaturePeer) -> Health:
        try:
            if isinstance(peer, ManagedPeer):
                await peer.seek_flows()
            return await peer.health()
        except (PeerError, OSError) as error:
            return Health(str(error))

    async def _mend(self, kept: _Kept, *, anew: bool) -> bool:
        """Do what is missing for a peer to work; whether it does."""
        try:
            if anew:
                await kept.peer.stop()
            await kept.peer.attach()
            await kept.peer.start()
            self._take(kept, await kept.peer.health())
        except (PeerError, StateError, NetlinkError, OSError) as error:
            self._take(kept, Health(str(error) or type(error).__name__))
        return kept.health.up

    def _take(self, kept: _Kept, health: Health) -> None:
        if health == kept.health:
            return
        kept.health = health
        name = kept.peer.config.name
        if health.up:
            log.info("feature_peer_up", peer=name)
        else:
            log.warning("feature_peer_down", peer=name, why=health.problem)
        self._report()


async def remove_others(config: NodeConfig, netlink: Any, keep: Iterable[str] | None = None) -> None:
    """Take away peers that an agent ran once and that are not among those to ``keep``: by default, the
    configured ones.
    """
    names = {peer.name for peer in config.peers if peer.run} if keep is None else set(keep)
    folder = _folder(config)
    found = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    for name in found:
        if name not in names:
            former = PeerConfig(name=name, kind="former", run="tap")
            await _managed(config, name, former, netlink, HostTable, DEFAULT_MTU).remove()
            log.info("feature_peer_removed", peer=name)


def _managed(
    config: NodeConfig,
    name: str,
    peer: PeerConfig,
    netlink: Any,
    host: Callable[[], HostTable],
    mtu: int,
) -> ManagedPeer:
    """Its namespace is called after the pins, which are the node's own on a machine with several."""
    upstream = Upstream(config.dns.address, config.dns.resolv_conf, config.dns.upstream)
    namespace = f"{config.pins.name}-{name}"
    return ManagedPeer(peer, netlink, namespace, _folder(config) / name, host, mtu, upstream)


def _folder(config: NodeConfig) -> Path:
    return config.state_dir / "peers"


def _mtu(config: NodeConfig, host: HostTable) -> int:
    """As much as any port of the node takes."""
    links = [host.link_named(port.name) for port in config.ports]
    largest = max([link.mtu for link in links if link is not None], default=DEFAULT_MTU)
    return min(max(largest, DEFAULT_MTU), LARGEST_MTU)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
