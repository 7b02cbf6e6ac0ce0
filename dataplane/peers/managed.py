# SPDX-License-Identifier: Apache-2.0
"""A feature peer that the agent runs: a namespace, tied by two cables, with rules and programs.

Everything in it outlives the agent, so that traffic goes on. The next one finds it by its names and by a note
of what was made; what is as it should be is left alone, rules that differ are replaced in one step.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import structlog
from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent.netlink import HostTable
from dataplane.agent.state import write_private
from dataplane.agent.watch import read_host
from dataplane.peers.attached import links_health
from dataplane.peers.base import Health
from dataplane.peers.builtin import RECIPES, statistics
from dataplane.peers.builtin.cache import HITS
from dataplane.peers.config import PeerConfig
from dataplane.peers.flows import CONNTRACK, Flow, Traffic, hit_in, long_flows
from dataplane.peers.namespace import Namespace
from dataplane.peers.probe import Probe
from dataplane.peers.program import Program
from dataplane.peers.recipe import ProgramPlan, Recipe
from dataplane.peers.wiring import cables, lay, prepare
from moorline import ethernet

log = structlog.get_logger(__name__)

CACHES: Final = Path("/var/cache/moorline")
"""What programs keep that do not run as root, in a folder for each namespace."""

_NOTE: Final = "made.json"
_VERSION: Final = 2
"""Of the wiring: a peer that was made with another is made anew."""

_READABLE: Final = 0o755
_WRITABLE: Final = 0o622
_MESSAGE: Final = 4096
_MEGABYTE: Final = 10**6
_READY_SECONDS: Final = 5.0
_TRY_EVERY: Final = 0.05


class ManagedPeer:
    """See :class:`dataplane.peers.base.FeaturePeer`.

    Args:
        config: what the operator said of it.
        netlink: a ``pyroute2.AsyncIPRoute``.
        namespace: the name of its namespace.
        folder: for its files; it may not be there yet.
        host: the host's links as they are now.
        mtu: of its cables, in octets.
    """

    def __init__(
        self,
        config: PeerConfig,
        netlink: Any,
        namespace: str,
        folder: Path,
        host: Callable[[], HostTable],
        mtu: int,
    ) -> None:
        self._config = config
        self._netlink = netlink
        self._namespace = Namespace(namespace)
        self._folder = folder
        self._cache = CACHES / namespace
        self._host = host
        self._mtu = mtu
        self.cables = cables(namespace, config.interfaces)
        self._probe = Probe(self._namespace, self.cables[0])
        self._programs: dict[str, Program] = {}
        self._recipe: Recipe | None = None
        self._changed: Callable[[], None] = lambda: None
        self._found: Callable[[Flow], None] = lambda _: None
        self._hits: socket.socket | None = None

    @property
    def config(self) -> PeerConfig:
        """See ``FeaturePeer``, also below."""
        return self._config

    @property
    def macs(self) -> tuple[bytes, ...]:  # noqa: D102
        return tuple(ethernet.octets(cable.mac) for cable in self.cables)

    def watch(self, changed: Callable[[], None]) -> None:  # noqa: D102
        self._changed = changed

    async def attach(self) -> None:  # noqa: D102
        wiring = {"version": _VERSION, "mtu": self._mtu, "cables": [asdict(cable) for cable in self.cables]}
        if self._stands() and self._note().get("wiring") == wiring:
            return
        await self.stop()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self._namespace.make()
        await prepare(self._namespace)
        await lay(self._netlink, self._namespace, self.cables, self._mtu)
        self._take_note(wiring=wiring)
        log.info("feature_peer_made", peer=self._config.name, namespace=self._namespace.name)

    async def start(self) -> None:  # noqa: D102
        assert self._config.run is not None
        recipe = self._recipe = RECIPES[self._config.run](self._config, self._folder, self._cache)
        if self._note().get("files") != recipe.files:
            for plan in recipe.programs:
                await self._program(plan).stop()
            self._write_files(recipe)
        if self._note().get("rules") != recipe.ruleset:
            await self._namespace.run("nft", "-f", "-", text=recipe.ruleset)
            self._take_note(rules=recipe.ruleset)
        started = [program for plan in recipe.programs if not (program := self._program(plan)).adopt()]
        for program in started:
            program.start()
            log.info("feature_peer_program_started", peer=self._config.name, program=program.name)
        if started:
            await self._until_ready()

    def on_flow(self, found: Callable[[Flow], None]) -> None:
        """Call back for each flow that the peer's settings want a short-cut for."""
        self._found = found

    async def seek_flows(self) -> None:
        """Look for long flows, and be there for a cache that tells of hits."""
        wanted = self._config.shortcut
        if wanted is None:
            return
        if self._config.run == "cache":
            self._hear_hits()
            return
        octets = wanted.megabytes * _MEGABYTE
        # There may be tens of thousands: they are read beside what the agent does meanwhile.
        for flow in await self._namespace.call(lambda: [*long_flows(Path(CONNTRACK).read_text(), octets)]):
            self._found(flow)

    async def take_usage(self, flow: Flow, there: Traffic, back: Traffic) -> None:
        """Count what a flow has carried past this peer; raises :class:`PeerError`."""
        if self._config.run != "statistics":
            return
        commands = statistics.handed_over(self._config.caps, await self.listing(), flow, there, back)
        await self._namespace.run("nft", "-f", "-", text=commands)

    def _hear_hits(self) -> None:
        if self._hits is not None:
            return
        path = self._cache / HITS
        path.unlink(missing_ok=True)
        hits = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            hits.bind(str(path))
            path.chmod(_WRITABLE)  # for nginx, which is not root
        except OSError:
            hits.close()
            raise
        self._hits = hits
        asyncio.get_running_loop().add_reader(hits, self._hit)

    def _hit(self) -> None:
        assert self._hits is not None
        flow = hit_in(self._hits.recv(_MESSAGE))
        if flow is not None:
            self._found(flow)

    def _hear_no_hits(self) -> None:
        if self._hits is not None:
            asyncio.get_running_loop().remove_reader(self._hits)
            self._hits.close()
            self._hits = None

    async def health(self) -> Health:  # noqa: D102
        found = links_health(self._config, self._host())
        if not found.up:
            return found
        for program in self._programs.values():
            if not program.runs:
                return Health(f"{program.name} has ended: {program.last_words}")
        if (
            self._recipe is not None
            and self._recipe.listens
            and not await self._listens(self._recipe.listens)
        ):
            return Health(f"no program answers at port {self._recipe.listens} in {self._namespace.name}")
        if not await self._probe.passes():
            return Health(f"no probe comes through namespace {self._namespace.name}")
        return Health()

    async def stop(self) -> None:  # noqa: D102
        self._probe.close()
        self._hear_no_hits()
        for program in self._programs.values():
            await program.stop()
        self._programs.clear()
        await self._namespace.remove()
        # The kernel takes cables away with their namespace, but not at once.
        for cable in self.cables:
            link = read_host().link_named(cable.ours)
            if link is not None:
                with contextlib.suppress(NetlinkError):
                    await self._netlink.link("del", index=link.index)
        shutil.rmtree(self._cache, ignore_errors=True)
        (self._folder / _NOTE).unlink(missing_ok=True)

    async def listing(self) -> str:
        """Its rules and sets with their counters, as JSON of nft; raises :class:`PeerError`."""
        return await self._namespace.run("nft", "-j", "list", "table", "inet", "moorline")

    async def remove(self) -> None:
        """Take it away for good, with its files."""
        await self.stop()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def close(self) -> None:  # noqa: D102
        self._probe.close()
        self._hear_no_hits()
        for program in self._programs.values():
            program.close()
        self._namespace.close()

    def _stands(self) -> bool:
        """Whether namespace and cables are there."""
        host = read_host()
        links = [host.link_named(cable.ours) for cable in self.cables]
        return self._namespace.exists and all(link is not None and link.up for link in links)

    def _program(self, plan: ProgramPlan) -> Program:
        if plan.name not in self._programs:
            command = self._namespace.command(*plan.command)
            program = self._programs[plan.name] = Program(plan.name, command, self._folder)
            program.on_end(self._program_ended)
        return self._programs[plan.name]

    def _program_ended(self) -> None:
        self._changed()

    def _write_files(self, recipe: Recipe) -> None:
        for cache in recipe.caches:
            cache.mkdir(parents=True, exist_ok=True)
            cache.parent.chmod(_READABLE)
            cache.chmod(_READABLE)
        for name, content in recipe.files.items():
            write_private(self._folder / name, content.encode())
        self._take_note(files=recipe.files)

    async def _until_ready(self) -> None:
        """Wait for programs that have just been started; not for ever."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _READY_SECONDS
        while loop.time() < until and all(program.runs for program in self._programs.values()):
            if (await self.health()).up:
                return
            await asyncio.sleep(_TRY_EVERY)

    async def _listens(self, port: int) -> bool:
        listing = await self._namespace.run("ss", "-Htln", f"sport = {port}")
        return bool(listing.strip())

    def _note(self) -> Mapping[str, Any]:
        try:
            note: Mapping[str, Any] = json.loads((self._folder / _NOTE).read_bytes())
        except (OSError, ValueError):
            return {}
        return note

    def _take_note(self, **facts: Any) -> None:
        write_private(self._folder / _NOTE, json.dumps({**self._note(), **facts}).encode())
