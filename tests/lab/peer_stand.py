# SPDX-License-Identifier: Apache-2.0
"""One feature peer alone: a customer at one of its cables, a server at the other, no data plane between."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import AsyncExitStack
from ipaddress import ip_interface
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pyroute2 import AsyncIPRoute

from dataplane.agent.dns_upstream import Upstream
from dataplane.agent.watch import read_host
from dataplane.peers.config import PeerConfig
from dataplane.peers.managed import ManagedPeer
from dataplane.peers.wiring import Cable
from tools.lab import Namespace, cleanup

CUSTOMER: Final = ("10.1.0.2", "fd01::2")
SERVER: Final = ("203.0.113.80", "fd02::80")
RESOLVER: Final = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
"""Whom the host asks for names, if anybody is there; of this process alone."""

_INTERFACE: Final = "eth0"


class Stand:
    """A peer between two namespaces; an async context manager. Its name is its own, whoever else tests."""

    def __init__(self, run: str, **settings: Any) -> None:
        self.name = cleanup.unique_name()
        short = f"t{self.name.split('-')[2]}{self.name.split('-')[3]}"[-11:]
        self.config = PeerConfig.model_validate({"name": short, "kind": run, "run": run, **settings})
        self.folder = Path(tempfile.gettempdir()) / self.name
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._build()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _build(self) -> None:
        self.folder.mkdir(mode=0o700)
        self._stack.callback(shutil.rmtree, self.folder)
        self._netlink = await self._stack.enter_async_context(AsyncIPRoute())
        self.peer = self.again()
        self._stack.push_async_callback(self.peer.remove)
        await self.peer.attach()
        await self.peer.start()

    def again(self, **settings: Any) -> ManagedPeer:
        """The same peer as the next agent sees it."""
        config = self.config.model_copy(update=settings)
        folder = self.folder / "peer"
        upstream = Upstream("127.0.0.54", Path("/etc/resolv.conf"), (RESOLVER,))
        return ManagedPeer(config, self._netlink, f"{self.name}-peer", folder, read_host, 1500, upstream)

    def join(self) -> tuple[Namespace, Namespace]:
        """Put a customer and a server at the cables: what else are ports are interfaces of theirs."""
        inside, outside = self.peer.cables
        return self._end("customer", inside, CUSTOMER), self._end("server", outside, SERVER)

    def _end(self, role: str, cable: Cable, addresses: tuple[str, ...]) -> Namespace:
        place = Namespace(f"{self.name}-{role}", self.folder)
        self._stack.callback(place.close)
        move = ("ip", "link", "set", cable.ours, "netns", place.name, "name", _INTERFACE)
        subprocess.run(move, check=True)
        # As a program at XDP has it.
        place.run("ethtool", "-K", _INTERFACE, "tx", "off", "gro", "on")
        place.set_link(_INTERFACE, state="up")
        for address, gateway in zip(addresses, ("169.254.1.1", "fe80::1"), strict=True):
            family = "-6" if ":" in address else "-4"
            place.add_address(_INTERFACE, ip_interface(address))
            place.run(
                "ip",
                family,
                "neigh",
                "add",
                gateway,
                "lladdr",
                cable.mac,
                "dev",
                _INTERFACE,
                "nud",
                "permanent",
            )
            place.run("ip", family, "route", "add", "default", "via", gateway, "dev", _INTERFACE, "onlink")
        return place
