# SPDX-License-Identifier: Apache-2.0
"""The agent: puts all parts together, runs them, and leaves the data plane in place when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Any, Final

import grpc
import structlog

from dataplane.agent.access import AccessPair, inner_mtu
from dataplane.agent.answers import Answers
from dataplane.agent.backend import AgentBackend
from dataplane.agent.beyond import Beyond
from dataplane.agent.change_socket import ChangeSocket
from dataplane.agent.config import NodeConfig
from dataplane.agent.controller_link import ControllerLink
from dataplane.agent.dns import DnsServer
from dataplane.agent.facts import HostFacts
from dataplane.agent.feature_peers import FeaturePeers
from dataplane.agent.forwarding import Forwarding
from dataplane.agent.inject import Injector
from dataplane.agent.mobility import Mobility
from dataplane.agent.neighbours import Neighbours
from dataplane.agent.netlink import Changed
from dataplane.agent.peers import Peers
from dataplane.agent.plain_hosts import PlainHosts
from dataplane.agent.port_map import PortMap
from dataplane.agent.ports import Ports, PortState, own_addresses
from dataplane.agent.pump import DigestPump, Pump
from dataplane.agent.resolver import Resolver
from dataplane.agent.servers import serve_controller, serve_locally, stopping
from dataplane.agent.service import AgentService
from dataplane.agent.session import Session, to_api
from dataplane.agent.silent_hosts import SilentHosts, send_by
from dataplane.agent.state import NodeState, StateError, write_state
from dataplane.agent.table_proxy import OriginTable, RouteTable
from dataplane.agent.translations import Translations
from dataplane.agent.uplink_routes import UplinkInterface, UplinkRoutes
from dataplane.agent.watch import HostWatch
from dataplane.bpf import sys as bpf
from dataplane.bpf.hook import Hook
from dataplane.bpf.pipeline import Pipeline
from dataplane.contract.binding import Binding
from dataplane.contract.rows import Tables
from dataplane.p4runtime.server import P4RuntimeServer
from moorline import __version__, tls
from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import moorline_pb2_grpc as rpc
from moorline.api.v1.peers_pb2 import FeaturePeer
from moorline.collector import spare_full_collections

log = structlog.get_logger(__name__)

SAVE_AGAIN_SECONDS: Final = 5.0
"""After a file could not be written."""


class Agent:
    """One node's agent. Made in the event loop; :meth:`run` it once.

    Args:
        config: the node's settings.
        hooks: of each port, by its interface.
        state: the contents of ``node.json``; kept up to date.
        credentials: the node's.
        pipeline: loaded programs and tables.
        binding: the contract, bound to the pipeline's tables.
        netlink: a ``pyroute2.AsyncIPRoute``.
    """

    def __init__(
        self,
        config: NodeConfig,
        hooks: Mapping[str, Hook],
        state: NodeState,
        credentials: tls.Credentials,
        pipeline: Pipeline,
        binding: Binding,
        netlink: Any,
    ) -> None:
        self._config = config
        self._state = state
        self._credentials = credentials
        self._pipeline = pipeline
        self._started_ns = time.time_ns()
        self._host_moved = asyncio.Event()
        self._unsaved = asyncio.Event()
        self._reported: list[api.Port] = []
        self._placed: tuple[api.Endpoint, ...] = ()
        self._netlink = netlink
        tables = Tables(binding, pipeline.tables)
        self._watch = HostWatch(self._host_changed)
        self._translations = Translations()
        self._translations.set_prefixes(state.virtual_prefixes)
        self._resolver = Resolver(state.node, self._translations)
        self._port_map = PortMap(pipeline.ports, pipeline.port_ifindex)
        self._ports = Ports(config, hooks, state, netlink, self)
        self._access = AccessPair(netlink, config.interface, config.far_interface)
        self._neighbours = Neighbours(netlink)
        self._beyond = Beyond(tables, self._ports, self._neighbours, self._own_addresses)
        self._silent_hosts = SilentHosts(self._ports, self._neighbours, send_by)
        self._plain_hosts = PlainHosts(
            config, netlink, self._ports, self._translations, lambda: self._watch.table
        )
        self._forwarding = Forwarding(
            netlink,
            self._ports,
            state.former_sysctls,
            is_relay=lambda: len(pipeline.tables["origin"]) > 0,
            changed=self._unsaved.set,
        )
        self._uplink_routes = UplinkRoutes(netlink)
        self._feature_peers = FeaturePeers(
            config, netlink, self._ports, lambda: self._watch.table, self._report_feature_peers
        )
        self._peers = Peers(tables)
        self._mobility = Mobility(
            HostFacts(tables),
            self._ports,
            self._peers,
            state.generation,
            config.grace_seconds,
            on_paths_changed=self._host_moved.set,
        )
        origins = OriginTable(pipeline.tables["origin"], self._relaying_begins, self._host_moved.set)
        routes = RouteTable(pipeline.tables["route"], self._host_moved.set)
        self._backend = AgentBackend(
            binding,
            {**pipeline.tables, "origin": origins, "route": routes},
            {"port_events": pipeline.port_events},
            config.state_dir / "p4runtime.config",
            self._ports,
            on_cleared=self._mobility.write_all_rows,
        )
        self._p4runtime = P4RuntimeServer(self._backend)
        self._link: ControllerLink | None = None

    def open(self, hook: Hook) -> int:
        """A file descriptor of the program for a hook (:class:`dataplane.agent.ports.Programs`)."""
        return bpf.object_get(Path(self._pipeline.program_path(hook)))

    async def run(self) -> None:
        """Serve until cancelled. Whatever forwards packets stays as it is then."""
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._watch.close)
            # First: where another agent has the port, its data plane is not to be touched.
            changes = ChangeSocket(self._config.change_port, self._peers, self._mobility.peer_told)
            stack.callback(changes.close)
            await self._prepare_host(stack)
            changes.exchange.set_node(self._state.node_id)
            self._mobility.changes = changes
            self._link = self._make_link(changes)
            controller = self._config.controller or self._state.controller
            session = self._mobility.session = Session(controller, self._credentials, self._link)
            await self._serve(stack)
            self._watch.start()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow_host(), name="follow-host")
                tasks.create_task(self._save_changes(), name="save-state")
                tasks.create_task(self._p4runtime.watch_idle(), name="watch-idle")
                tasks.create_task(self._link.keep_endpoints_placed(), name="place-endpoints")
                tasks.create_task(session.run(), name="session")
                tasks.create_task(self._feature_peers.run(), name="feature-peers")
                tasks.create_task(self._silent_hosts.run(self._pipeline.unresolved_fd), name="silent-hosts")
                milliseconds = (time.time_ns() - self._started_ns) // 1_000_000
                log.info("ready", node=self._state.node, milliseconds=milliseconds)
                spare_full_collections()

    # ---- the host ------------------------------------------------------------------------------------------

    async def _prepare_host(self, stack: contextlib.AsyncExitStack) -> None:
        """Rows and maps first, then the programs that read them."""
        await self._make_pair()
        self._mobility.start(self._watch.table)
        self._state.generation = self._mobility.own.generation
        try:
            await self._follow_ports()
            await self._silent_hosts.adopt()
            await self._keep_uplink_routes()
            await self._plain_hosts.keep_routes()
            await self._ports.detach_others(self._watch.table)
            self._pipeline.forget_former()
            await self._keep_forwarding()
        finally:
            # Also when it ends here: 'node leave' has to find what was attached.
            await self._save()
        stack.callback(self._backend.close)
        loop = asyncio.get_running_loop()
        answers = Answers(self._ports, self._backend, self._own_addresses, loop.time)
        pump = Pump(self._pipeline.packet_in_fd, self._ports, self._p4runtime, answers)
        stack.callback(pump.close)
        stack.callback(DigestPump(self._pipeline.digests_fd, self._p4runtime).close)

    async def _make_pair(self) -> None:
        at_xdp = self._ports.access.hook is Hook.XDP
        self._pair = await self._access.ensure(self._inner_mtu(), checksums_in_software=at_xdp)
        self._watch.refresh()
        self._backend.inject_with(Injector(self._pair, self))

    async def _follow_ports(self) -> None:
        """Interfaces that are new get map entry and program, and the controller hears of all that differs."""
        host = self._watch.table
        self._port_map.write(self._ports.entries(host, self._pair))
        if await self._ports.attach(host):
            self._unsaved.set()
            self._forwarding.switch()
        await self._access.set_mtu(host, self._inner_mtu())
        report = self._ports.report(host)
        if report != self._reported and self._mobility.session is not None:
            self._mobility.session.report(api.NodeReport(ports=api.PortsChanged(ports=report)))
        self._reported = report
        self._feature_peers.look()

    def _report_feature_peers(self, report: list[FeaturePeer]) -> None:
        if self._mobility.session is not None:
            changed = api.FeaturePeersChanged(feature_peers=report)
            self._mobility.session.report(api.NodeReport(feature_peers=changed))

    async def _follow_host(self) -> None:
        """What follows from changes of links and routes, and may take its time."""
        while True:
            await self._host_moved.wait()
            self._host_moved.clear()
            try:
                if self._watch.table.link_named(self._config.interface) is None:
                    await self._make_pair()
                    await self._place_endpoints()
                await self._follow_ports()
                await self._keep_uplink_routes()
                await self._plain_hosts.serve()
                await self._keep_neighbours()
                await self._keep_forwarding()
            except Exception as error:
                # An interface that came may be gone again; the next change tries anew.
                log.warning("host_not_followed", why=str(error))

    def _host_changed(self, changed: Changed) -> None:
        if self._mobility.host_changed(self._watch.table, changed):
            self._state.generation = self._mobility.own.generation
            self._unsaved.set()
        if Changed.LINKS in changed:
            self._forwarding.doubt()
            self._plain_hosts.doubt()
        if Changed.ADDRESSES in changed:
            self._host_moved.set()

    def _relaying_begins(self) -> None:
        """The first entry is about to be written: routes have to be found before a packet needs them."""
        self._forwarding.switch(relaying=True)
        self._host_moved.set()

    async def _keep_forwarding(self) -> None:
        await self._forwarding.keep(self._translations.prefixes)

    async def _keep_uplink_routes(self) -> None:
        await self._uplink_routes.keep(
            [
                UplinkInterface(port.attached, port.interface, port.number)
                for port in self._ports
                if port.role == "underlay" and port.attached
            ]
        )

    async def _keep_neighbours(self) -> None:
        underlay = [port for port in self._ports if port.role == "underlay"]
        destinations = [address for peer in self._peers for address in peer.addresses]
        destinations += self._beyond.tunnel_ends()
        await self._neighbours.release(destinations, frozenset(port.attached for port in underlay))
        at_xdp = frozenset(port.attached for port in underlay if port.hook is Hook.XDP)
        links = []
        if any(port.hook is Hook.XDP for port in self._ports):
            links = [*self._plain_hosts.with_services(), *await self._beyond.next_hops(), *self._silent_hosts]
        # Until the controller has named the peers, those of an earlier agent still have packets under way.
        all_named = self._link is not None and self._link.synchronized
        await self._neighbours.keep(destinations if at_xdp else [], at_xdp, links, and_no_others=all_named)

    def _own_addresses(self, port: PortState) -> list[IPv4Interface | IPv6Interface]:
        return own_addresses(self._watch.table, port)

    def _inner_mtu(self) -> int:
        links = [self._watch.table.link_named(port.interface) for port in self._ports.underlay]
        return inner_mtu(link.mtu for link in links if link is not None)

    async def _place_endpoints(self) -> None:
        endpoints, prefixes = self._translations.endpoints, self._translations.prefixes
        await self._access.set_endpoints(self._translations.own_endpoints, prefixes)
        await self._keep_forwarding()
        await self._plain_hosts.keep_routes()
        self._placed = endpoints
        self._host_moved.set()  # neighbours among them

    # ---- servers -------------------------------------------------------------------------------------------

    async def _serve(self, stack: contextlib.AsyncExitStack) -> None:
        def add_local(server: grpc.aio.Server) -> None:
            self._p4runtime.add_to(server)
            rpc.add_AgentServicer_to_server(AgentService(self._status, self._translations), server)

        config = self._config
        await stack.enter_async_context(stopping(await serve_locally(config.socket, add_local)))
        remote = await serve_controller(config.p4runtime_port, self._credentials, self._p4runtime.add_to)
        await stack.enter_async_context(stopping(remote))
        if config.dns.enabled:
            dns = self._plain_hosts.dns = DnsServer(config.dns, self._translations, self._resolver.resolve)
            await dns.start()
            stack.push_async_callback(dns.close)
        await self._plain_hosts.serve()

    def _make_link(self, changes: ChangeSocket) -> ControllerLink:
        return ControllerLink(
            self._state,
            self._translations,
            self._peers,
            self._mobility,
            changes,
            self._resolver,
            self._feature_peers.shortcuts,
            place_endpoints=self._place_endpoints,
            save_state=self._unsaved.set,
            describe=self._hello,
        )

    def _hello(self) -> api.NodeHello:
        tables = self._pipeline.tables
        return api.NodeHello(
            p4runtime_port=self._config.p4runtime_port,
            # A connection takes a row for each family.
            connection_capacity=min(tables["scid"].capacity, tables["connection"].capacity // 2),
            ports=self._ports.report(self._watch.table),
            access_port=self._ports.access.number,
            feature_peers=self._feature_peers.report(),
        )

    def _status(self) -> api.AgentStatus:
        return api.AgentStatus(
            node=self._state.node,
            node_id=self._state.node_id,
            version=__version__,
            controller=self._config.controller or self._state.controller,
            controller_connected=self._link is not None and self._link.attached,
            ports=self._ports.report(self._watch.table),
            locators=to_api(self._mobility.own.locators),
            endpoints=self._placed,
            pipeline_digest=self._pipeline.digest,
            started_ns=self._started_ns,
        )

    async def _save_changes(self) -> None:
        """Write ``node.json`` whenever it changed, beside everything else."""
        while True:
            await self._unsaved.wait()
            self._unsaved.clear()
            try:
                await self._save()
            except StateError as error:  # a full disk is no reason to give up the sessions
                log.warning("state_not_saved", why=str(error))
                self._unsaved.set()
                await asyncio.sleep(SAVE_AGAIN_SECONDS)

    async def _save(self) -> None:
        state = self._state.model_copy(deep=True)
        await asyncio.to_thread(write_state, self._config.state_dir / "node.json", state)
