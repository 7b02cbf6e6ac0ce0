# SPDX-License-Identifier: Apache-2.0
"""The controller put together, and served: API, local socket, admission of nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from control.accounting import Accounting
from control.api.access import Admission
from control.api.binding import bind
from control.api.connections import ConnectionsServicer, RulesServicer
from control.api.graphs import GraphsServicer
from control.api.naming import NamingServicer
from control.api.nodes import JoiningServicer, NodeSessionServicer, NodesServicer
from control.api.peers import FeaturePeersServicer
from control.api.subscribers import SubscribersServicer
from control.authority import Authority, make_all
from control.config import ControllerConfig
from control.connections import Connections
from control.errors import StartError, StoreError
from control.events import Events
from control.floods import Floods
from control.graphs.changeover import Changeover
from control.graphs.counters import Counters
from control.graphs.drains import Drains
from control.graphs.graphs import Graphs
from control.graphs.guide import Guide
from control.graphs.probe import SightingFormat
from control.graphs.routes import Routes
from control.graphs.shortcuts import Shortcuts
from control.graphs.trace import Tracer
from control.idle import Idle
from control.joining import Addresses, Joining
from control.naming import Naming
from control.nodes import Nodes
from control.packets import Packets
from control.pair_keys import PairKeys
from control.peers import Peers
from control.policy import Policy
from control.port_events import PortEvents
from control.rejects import Rejects
from control.rotation import Rotations
from control.rules import RuleBook
from control.sessions import Sessions
from control.southbound.contract import Contract
from control.southbound.dataplanes import DataPlanes
from control.southbound.dial import dialer
from control.southbound.digests import DigestFormat
from control.southbound.entries import Entries
from control.southbound.packet_format import PacketFormat
from control.southbound.program import Program
from control.southbound.switch_ports import SwitchPorts
from control.speakers import Speakers
from control.state import State
from control.store.sqlite import SqliteStore
from control.subscribers.directory import Subscribers
from control.subscribers.dns_core import Zone
from control.subscribers.dns_server import DnsServer
from control.subscribers.endpoints import Endpoints
from control.subscribers.radius import RadiusServer
from control.subscribers.rows import DeviceRows
from control.switches import Switches
from control.virtual import AddressPool
from moorline import local_socket
from moorline.collector import spare_full_collections
from moorline.tls import Credentials

log = structlog.get_logger(__name__)

LOCAL_OPERATOR: Final = "admin"
"""Operator whose credentials are made with the authority, for use from other machines."""

_STOP_GRACE: Final = 0.5
_OPTIONS: Final = [
    # Agents that vanish without a word are noticed, and those that ask often whether we live are welcome.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", 10_000),
    # A list of 100,000 connections is one message.
    ("grpc.max_send_message_length", 256 << 20),
]

_LARGE_FILES: Final = ("grpc.max_receive_message_length", 64 << 20)
"""Customers come in one message; a character has up to four octets."""


class Controller:
    """A running controller; used as an async context manager."""

    def __init__(self, config: ControllerConfig) -> None:
        self.config = config
        self.port = 0
        self.join_port = 0
        self._servers: list[Any] = []
        self._health: list[Any] = []
        self._socket_is_ours = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    # ---- start ---------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        config = self.config
        contract = Contract.load(config.p4info)
        _private_folder(config.state_dir, config.store_path)
        self.store = await SqliteStore.open(config.store_path)
        authority = make_all(config.state_dir, config.credentials_dir, [LOCAL_OPERATOR])
        credentials = Credentials.read(config.credentials_dir)
        await self._load(contract, credentials)
        await self._serve(authority, credentials)
        for node in self.state.nodes.values():
            self.planes.add(node)
        await self.rotations.resume()
        self.graphs.resume()
        await self.radius.start()
        if self.names is not None:
            await self.names.start()
        await self.connections.close_denied()  # the default may be another than at the last start
        self._tasks = [
            asyncio.create_task(self.naming.run(), name="leases"),
            asyncio.create_task(self.accounting.run(), name="accounting"),
            asyncio.create_task(self.graph_counters.run(), name="graph counters"),
        ]
        spare_full_collections()
        log.info("controller_started", port=self.port, join_port=self.join_port, nodes=len(self.state.nodes))

    async def _load(self, contract: Contract, credentials: Credentials) -> None:
        try:
            self.state = await State.load(self.store)
            self._wire(contract, credentials, await PairKeys.load(self.store))
            await self.accounting.load()
            await self.peers.load()
            await self.subscribers.load()
            await self.graphs.load()
            await self.shortcuts.load()
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(
                f"store {self.config.store_path} holds an entry that cannot be read "
                f"({type(error).__name__}): restore a backup, or name another state_dir"
            ) from error

    def _wire(self, contract: Contract, credentials: Credentials, keys: PairKeys) -> None:
        config, state, store = self.config, self.state, self.store
        pool = AddressPool(config.ipv4_prefix, config.ipv6_prefix)
        rules = RuleBook(config.default_rule == "allow", state.rules.values())
        entries = Entries(contract, config.reject_seconds)
        self.events = Events()
        program = Program.load(contract, config.p4json)
        self.planes = planes = DataPlanes(state, program, entries, dialer(credentials))
        packet_format = PacketFormat(contract.p4info)
        self.subscribers = subscribers = Subscribers(state, store)
        speakers = Speakers(state, planes, packet_format, subscribers.devices)
        planes.switch_sources = [SwitchPorts(contract), speakers]
        self.sessions = sessions = Sessions(state, pool.prefixes, keys)
        self.floods = Floods()
        self.rejects = rejects = Rejects(state, planes)
        self.accounting = Accounting(state, store, planes, config.accounting_seconds)
        self.peers = Peers(state, store)
        self.graphs = graphs = Graphs(
            state, store, planes, sessions, self.peers, subscribers, config.grace_seconds
        )
        self.shortcuts = Shortcuts(state, store, planes, graphs)
        self.drains = Drains(state, planes, graphs)
        self.tracer = Tracer(state, planes, graphs, packet_format, SightingFormat(contract.p4info))
        graphs.additions = [self.shortcuts, self.drains, self.tracer]
        self.graph_counters = Counters(planes, graphs, config.accounting_seconds)
        graphs.read_counters = self.graph_counters.refresh
        planes.sources = [Routes(contract, graphs, subscribers), graphs, DeviceRows(contract, subscribers)]
        subscribers.changed += [speakers.refresh_all, graphs.write]
        self.radius = RadiusServer(config.radius, state, subscribers)
        self.endpoints = Endpoints(
            config.endpoints, state, subscribers, lambda node: planes.of(node).converged
        )
        self.names = _endpoint_names(config, self.endpoints)
        self.peers.changed.append(graphs.site_changed)
        guide = Guide(state, graphs)
        self.connections = connections = Connections(
            state,
            store,
            rules,
            planes,
            sessions,
            self.events,
            self.accounting,
            rejects,
            guide,
            config.idle_timeout_seconds,
        )
        graphs.changeover = Changeover(state, planes, connections, self.events, guide)
        self.rotations = Rotations(
            state, store, planes, sessions, self.events, connections, config.grace_seconds
        )
        self.naming = Naming(state, store, pool, connections, planes, sessions, rejects)
        self.nodes = Nodes(
            state, store, planes, sessions, connections, rejects, self.events, config.grace_seconds
        )
        self.nodes.graphs = graphs
        self.nodes.on_feature_peers = self.peers.refresh
        self.switches = Switches(state, self.nodes, planes)
        self.policy = Policy(rules, store, connections, rejects)
        idle = Idle(state, planes, connections)
        planes.listener = Packets(
            state,
            connections,
            rejects,
            idle,
            speakers,
            packet_format,
            DigestFormat(contract.p4info),
            self.floods,
            graphs.additions,
            self.tracer,
        )

    async def _serve(self, authority: Authority, credentials: Credentials) -> None:
        config = self.config
        api = grpc.aio.server(options=[*_OPTIONS, _LARGE_FILES])
        admission = grpc.aio.server(options=_OPTIONS)
        self._servers = [api, admission]
        self.port = _listen(api, f"{config.listen}:{config.port}", credentials.for_server())
        self.join_port = _listen(
            admission, f"{config.listen}:{config.join_port}", credentials.for_joining_server()
        )
        self._listen_locally(api)
        addresses = Addresses(
            f"{_host(config.advertise)}:{self.join_port}", f"{_host(config.advertise)}:{self.port}"
        )
        joining = Joining(self.store, authority, self.nodes, addresses, config.token_ttl_seconds)
        await self._complete(api, self._bind_api(api, joining))
        await self._complete(admission, [bind(admission, "Joining", JoiningServicer(joining), None)])
        await api.start()
        await admission.start()
        config.socket.chmod(0o600)

    def _bind_api(self, server: Any, joining: Joining) -> list[str]:
        servicers: dict[str, object] = {
            "Naming": NamingServicer(self.state, self.naming, self.connections),
            "Connections": ConnectionsServicer(
                self.state, self.connections, self.rotations, self.accounting, self.events
            ),
            "Rules": RulesServicer(self.policy),
            "Nodes": NodesServicer(
                self.state,
                self.nodes,
                self.switches,
                self.sessions,
                self.planes,
                joining,
                PortEvents(self.planes),
                self.floods,
                f"sqlite:{self.config.store_path}",
            ),
            "NodeSession": NodeSessionServicer(self.state, self.nodes, self.sessions, self.peers),
            "FeaturePeers": FeaturePeersServicer(self.state, self.peers),
            "Subscribers": SubscribersServicer(self.subscribers, self.endpoints, self.radius),
            "Graphs": GraphsServicer(
                self.graphs, self.shortcuts, self.drains, self.tracer, self.graph_counters
            ),
        }
        admit = Admission(self.state)
        return [bind(server, name, servicer, admit) for name, servicer in servicers.items()]

    async def _complete(self, server: Any, names: Sequence[str]) -> None:
        """Add health checking and reflection."""
        servicer = health.aio.HealthServicer()
        self._health.append(servicer)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        for name in ("", *names):
            await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)

    def _listen_locally(self, server: Any) -> None:
        path = self.config.socket
        with local_socket.private(path, "controller.socket"):
            _listen(server, f"unix:{path}", None)
        self._socket_is_ours = True

    # ---- stop ----------------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        for servicer in self._health:
            await servicer.enter_graceful_shutdown()
        await asyncio.gather(*(server.stop(_STOP_GRACE) for server in self._servers))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if hasattr(self, "planes"):
            self.rotations.close()
            await self.radius.close()
            if self.names is not None:
                self.names.close()
            await self.subscribers.close()
            self.graphs.close()
            with suppress(StoreError):  # which is logged
                await self.accounting.save()
            await self.planes.close()
        if hasattr(self, "store"):
            await self.store.close()
        if self._socket_is_ours:
            self.config.socket.unlink(missing_ok=True)


async def run_controller(config: ControllerConfig) -> None:
    """Run a controller until cancelled.

    Raises:
        StartError: it cannot start; ``StoreError``: its store cannot be used.
    """
    async with Controller(config):
        await asyncio.Event().wait()


def _endpoint_names(config: ControllerConfig, endpoints: Endpoints) -> DnsServer | None:
    """The DNS server for them, if their zone has a name."""
    settings = config.endpoints
    if not settings.name:
        return None
    nameserver = settings.nameserver or config.advertise
    zone = Zone(settings.name, nameserver, settings.ttl_seconds, endpoints.near)
    return DnsServer(settings.address, settings.port, zone)


def _listen(server: Any, address: str, credentials: grpc.ServerCredentials | None) -> int:
    try:
        port: int = (
            server.add_secure_port(address, credentials)
            if credentials is not None
            else server.add_insecure_port(address)
        )
    except RuntimeError as error:
        raise StartError(
            f"{address} cannot be listened on: see what else uses it, or set another in [controller]"
        ) from error
    return port


def _private_folder(path: Path, store: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if store.exists() or not any(path.iterdir()):  # else it is somebody else's as well
            path.chmod(0o700)
    except OSError as error:
        raise StartError(
            f"state_dir {path} cannot be made ({error.strerror}): run as root, or set another"
        ) from error


def _host(text: str) -> str:
    return f"[{text}]" if ":" in text and not text.startswith("[") else text
