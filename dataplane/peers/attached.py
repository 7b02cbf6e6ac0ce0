# SPDX-License-Identifier: Apache-2.0
"""A feature peer that its user runs, in a container or a virtual machine, at interfaces of this host."""

from __future__ import annotations

from collections.abc import Callable

from dataplane.agent.netlink import HostTable
from dataplane.peers.base import Health
from dataplane.peers.config import PeerConfig
from moorline import ethernet


class AttachedPeer:
    """It is there as long as its interfaces are (:class:`dataplane.peers.base.FeaturePeer`).

    Args:
        config: what the operator said of it.
        host: the host's links as they are now.
    """

    def __init__(self, config: PeerConfig, host: Callable[[], HostTable]) -> None:
        self._config = config
        self._host = host

    @property
    def config(self) -> PeerConfig:
        """See ``FeaturePeer``, also below."""
        return self._config

    @property
    def macs(self) -> tuple[bytes, ...]:  # noqa: D102
        return tuple(map(ethernet.octets, self._config.macs))

    def watch(self, changed: Callable[[], None]) -> None:
        """Changes of links are what the agent hears anyhow."""

    async def attach(self) -> None:
        """Its user has done that."""

    async def start(self) -> None:
        """Likewise."""

    async def health(self) -> Health:  # noqa: D102
        return links_health(self._config, self._host())

    async def stop(self) -> None:
        """Its user will do that."""

    def close(self) -> None:
        """Nothing is held."""


def links_health(config: PeerConfig, host: HostTable) -> Health:
    """Whether the interfaces of a peer's ports are up."""
    for interface in config.interfaces:
        link = host.link_named(interface)
        if link is None or not link.up:
            return Health(f"interface {interface} is {'down' if link else 'not there'}: see to its other end")
    return Health()
