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
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import structlog
from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent.dns_upstream import Upstream
from dataplane.agent.netlink import HostTable
from dataplane.agent.state import write_private
from dataplane.agent.watch import read_host
from dataplane.peers import resolver
from dataplane.peers.attached import links_health
from dataplane.peers.base import Health, PeerError
from dataplane.peers.builtin import RECIPES, statistics
from dataplane.peers.builtin.cache import HITS_PORT
from dataplane.peers.config import PeerConfig
from dataplane.peers.flows import CONNTRACK, Flow, Traffic, hit_in, long_flows
from dataplane.peers.namespace import Namespace
from dataplane.peers.probe import Probe
from dataplane.peers.program import Program
from dataplane.peers.recipe import Recipe
from dataplane.peers.wiring import cables, lay, prepare
from moorline import ethernet

log = structlog.get_logger(__name__)

CACHES: Final = Path("/var/cache/moorline")
"""What programs keep that do not run as root, in a folder for each namespace."""

_NOTE: Final = "made.json"
_VERSION: Final = 3
"""Of the wiring: a peer that was made with another is made anew."""

_READABLE: Final = 0o755
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
        upstream: whom to ask for names, where its program does.
    """

    def __init__(
        self,
        config: PeerConfig,
        netlink: Any,
        namespace: str,
        folder: Path,
        host: Callable[[], HostTable],
        mtu: int,
        upstream: Upstream,
    ) -> None:
        self._config = config
        self._netlink = netlink
        self._namespace = Namespace(namespace)
        self._folder = folder
        self._cache = CACHES / namespace
        self._host = host
        self._mtu = mtu
        self._upstream = upstream
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
        programs = self._make_programs(recipe)
        if self._note().get("files") != recipe.files:
            for program in programs:
                await program.stop()
            self._write_files(recipe)
        if self._note().get("rules") != recipe.ruleset:
            await self._namespace.run("nft", "-f", "-", text=recipe.ruleset)
            self._take_note(rules=recipe.ruleset)
        started = [program for program in programs if not program.adopt()]
        for program in started:
            await program.stop()  # one that runs with other words
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
            await self._hear_hits()
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

    async def _hear_hits(self) -> None:
        if self._hits is None:
            self._hits = await self._namespace.call(_hits_socket)
            asyncio.get_running_loop().add_reader(self._hits, self._hit)

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
        for port in await self._silent_ports():
            return Health(f"no program answers at port {port} in {self._namespace.name}")
        if not await self._probe.passes():
            return Health(f"no probe comes through namespace {self._namespace.name}")
        return Health()

    async def stop(self) -> None:  # noqa: D102
        self._probe.close()
        self._hear_no_hits()
        for program in self._programs.values():
            await program.stop(at_once=True)  # all that it should put in order goes as well
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

    def _make_programs(self, recipe: Recipe) -> tuple[Program, ...]:
        commands = {plan.name: self._namespace.command(*plan.command) for plan in recipe.programs}
        if recipe.asks_names:
            commands = {"resolver": resolver.command(self._namespace, self._upstream)} | commands
        for name, command in commands.items():
            if name not in self._programs:
                self._programs[name] = Program(name, command, self._folder)
                self._programs[name].on_end(self._program_ended)
        return tuple(self._programs.values())

    def _program_ended(self) -> None:
        self._changed()

    def _write_files(self, recipe: Recipe) -> None:
        if recipe.keeper:
            self._cache.mkdir(parents=True, exist_ok=True)
            self._cache.parent.chmod(_READABLE)
            try:
                shutil.chown(self._cache, recipe.keeper)
            except LookupError:
                raise PeerError(f"there is no user {recipe.keeper}: install squid") from None
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

    async def _silent_ports(self) -> Collection[int]:
        """Those at which programs should listen and do not."""
        wanted = self._recipe.listens if self._recipe is not None else frozenset()
        if not wanted:
            return wanted
        listing = await self._namespace.run("ss", "-Htln")
        return wanted - {int(line.split()[3].rpartition(":")[2]) for line in listing.splitlines()}

    def _note(self) -> Mapping[str, Any]:
        try:
            note: Mapping[str, Any] = json.loads((self._folder / _NOTE).read_bytes())
        except (OSError, ValueError):
            return {}
        return note

    def _take_note(self, **facts: Any) -> None:
        write_private(self._folder / _NOTE, json.dumps({**self._note(), **facts}).encode())


def _hits_socket() -> socket.socket:
    hits = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        hits.bind((resolver.ADDRESS, HITS_PORT))
    except OSError:
        hits.close()
        raise
    return hits
