# SPDX-License-Identifier: Apache-2.0
"""Moorline's own programs in a lab, run as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from moorline.api.v1 import graphs_pb2_grpc as graphs_rpc
from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import moorline_pb2_grpc as rpc
from moorline.cli.main import main
from tools.lab import cleanup
from tools.lab.errors import LabError
from tools.lab.namespace import Namespace
from tools.lab.process import Process
from tools.lab.toml import to_toml
from tools.lab.underlay import Uplink
from tools.lab.waiting import wait_until
from tools.nursery import is_open

MOORLINE = str(Path(sys.executable).parent / "moorline")
DNS_ADDRESS = "127.0.0.54"
CONTROLLER_NAME = "controller.lab"
START_SECONDS = 120.0
"""How long a program may take to serve: an agent compiles its data plane at the first start."""


@dataclass(frozen=True)
class Site:
    """What the programs of one lab share."""

    name: str
    folder: Path
    processes: ExitStack


@dataclass(frozen=True)
class Service:
    """A registered service, the host that has it and its virtual addresses."""

    name: str
    host: Host
    ipv4: str
    ipv6: str


class Program:
    """A Moorline program in a namespace: started, killed, started again; healthy when its socket says so."""

    def __init__(self, site: Site, role: str, place: Namespace, words: Sequence[str]) -> None:
        self.site = site
        self.role = role
        self.place = place
        self.folder = site.folder / role
        self.folder.mkdir()
        self.config = self.folder / "moorline.toml"
        self.socket = self.folder / "moorline.sock"
        self.command: Sequence[str] = () if is_open() else (MOORLINE,)
        """What stands for ``moorline`` from the next start on; empty for a child of the nursery."""
        self._words = words
        self._process: Process | None = None
        site.processes.callback(self.stop)

    def configure(self, content: Mapping[str, Any]) -> None:
        """Write its configuration file."""
        self.config.write_text(to_toml(content))

    @property
    def process(self) -> Process:
        """The running program."""
        if self._process is None:
            raise LabError(f"{self.role} has not been started")
        return self._process

    def launch(self) -> Process:
        """Start it, and do not wait."""
        if self._process is not None and self._process.running:
            raise LabError(f"{self.role} runs already")
        words = ("--config", str(self.config), *self._words)
        if self.command:
            self._process = self.place.start("moorline", *self.command, *words)
        else:
            self._process = self.place.start_child(words)
        return self._process

    def start(self) -> None:
        """Start it and wait until it says that it serves."""
        self.launch()
        self.wait_serving()

    def wait_serving(self, timeout: float = START_SECONDS) -> None:
        """Wait until it answers on its socket; LabError with its last words when it ends instead."""
        deadline = time.monotonic() + timeout
        with grpc.insecure_channel(f"unix:{self.socket}", options=_QUICK) as channel:
            while time.monotonic() < deadline:
                self.process.check_running()
                if self._serves(channel, patience=0.25):
                    return
        raise LabError(f"{self.role} did not serve within {timeout:g} s: {self.process.tail()}")

    def _serves(self, channel: grpc.Channel, patience: float) -> bool:
        """Whether it answers within ``patience`` seconds."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it in good order."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()

    def moorline(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a ``moorline`` command where this program runs, with its configuration."""
        words = ("--config", str(self.config), *words)
        if is_open():
            return self.place.run_child(words, check=check)
        return self.place.run(MOORLINE, *words, check=check)

    def ask(self, *words: str) -> Any:
        """What a ``moorline`` command writes with ``--output json``; LabError when it fails.

        The command runs in this process, which takes a tenth of the time of a process of its own. It reaches
        controller and agent, whose sockets are files, and nobody in the namespace.
        """
        said, complaint = StringIO(), StringIO()
        try:
            with redirect_stdout(said), redirect_stderr(complaint):
                main(["--config", str(self.config), *words, "--output", "json"])
        except SystemExit as ended:
            if ended.code:
                raise LabError(f"moorline {' '.join(words)} failed: {complaint.getvalue().strip()}") from None
        return json.loads(said.getvalue())


_QUICK = (("grpc.initial_reconnect_backoff_ms", 20), ("grpc.max_reconnect_backoff_ms", 50))


class Controller(Program):
    """``moorline controller``."""

    def __init__(self, site: Site, place: Namespace, address: str, settings: Mapping[str, Any]) -> None:
        super().__init__(site, "controller", place, ("controller",))
        self.address = address
        self._settings = {
            "state_dir": self.folder / "state",
            "socket": self.socket,
            "advertise": CONTROLLER_NAME,
            "accounting_seconds": 1.0,
            **settings,
        }
        self.set()
        self._channel: grpc.Channel | None = None
        site.processes.callback(self._hang_up)

    def set(self, **changes: Any) -> None:
        """Write its configuration with ``changes``, which hold from its next start on."""
        self.configure({"controller": {**self._settings, **changes}})

    def _serves(self, channel: grpc.Channel, patience: float) -> bool:
        health = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        try:
            for answer in health.Watch(request, timeout=patience, wait_for_ready=True):
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return True
        except grpc.RpcError:
            pass
        return False

    @property
    def channel(self) -> grpc.Channel:
        """A channel to its API, as the local operator."""
        if self._channel is None:
            self._channel = grpc.insecure_channel(f"unix:{self.socket}", options=_QUICK)
        return self._channel

    @property
    def naming(self) -> Any:
        """Stub of its naming service."""
        return rpc.NamingStub(self.channel)

    @property
    def connections(self) -> Any:
        """Stub of its service of connections."""
        return rpc.ConnectionsStub(self.channel)

    @property
    def nodes(self) -> Any:
        """Stub of its service of nodes."""
        return rpc.NodesStub(self.channel)

    @property
    def rules(self) -> Any:
        """Stub of its service of rules."""
        return rpc.RulesStub(self.channel)

    @property
    def graphs(self) -> Any:
        """Stub of its service of graphs."""
        return graphs_rpc.GraphsStub(self.channel)

    def token(self, node: str) -> str:
        """A join token for ``node``."""
        request = api.CreateJoinTokenRequest(node=node, ttl_seconds=600)
        return str(self.nodes.CreateJoinToken(request, wait_for_ready=True, timeout=10).token)

    def node(self, name: str) -> Any:
        """What it knows of a node (api.Node)."""
        return self.nodes.GetNode(api.GetNodeRequest(name=name), wait_for_ready=True, timeout=10)

    def wait_converged(self, node: str, timeout: float = 60.0) -> None:
        """Wait until a node's session stands and its data plane agrees with the store."""

        def converged() -> bool:
            seen = self.node(node)
            return bool(seen.connected and seen.converged)

        wait_until(converged, f"node {node} was connected and converged", timeout)

    def lookup(self, client: str, server: str) -> None:
        """Have the connection between two services stand, ahead of demand."""
        self.naming.Lookup(api.LookupRequest(client=client, server=server), timeout=10)

    def connection(self, client: str, server: str) -> Any:
        """The connection between two services (api.Connection), or None."""
        found = self.connections.ListConnections(api.ListConnectionsRequest(service=client), timeout=10)
        pairs = [c for c in found.connections if (c.client.service, c.server.service) == (client, server)]
        return pairs[0] if pairs else None

    def events(self, node: str) -> dict[tuple[str, str], int]:
        """Packets of a node by interface and event, as its data plane counts them now."""
        answer = self.nodes.ListPortEvents(api.ListPortEventsRequest(node=node), timeout=10)
        return {(event.interface, event.event): event.packets for event in answer.events}

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()


class Host(Program):
    """A host with its agent, ``moorline node``."""

    def __init__(
        self,
        site: Site,
        name: str,
        place: Namespace,
        uplinks: Sequence[Uplink],
        upstream: str,
        settings: Mapping[str, Any],
        ports: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """``upstream`` is the name server for what Moorline does not know, ``ports`` are those beside its
        uplinks, as in the file of the node.
        """
        super().__init__(site, name, place, ("node",))
        self.name = name
        self.uplinks = uplinks
        names = self.folder / "resolv.conf"
        names.write_text(f"nameserver {DNS_ADDRESS}\noptions timeout:2 attempts:1\n")
        place.use_file("/etc/resolv.conf", names)
        underlay = [{"name": uplink.interface, "role": "underlay"} for uplink in uplinks]
        self._settings = {
            "state_dir": self.folder / "state",
            "socket": self.socket,
            "pins": cleanup.PINS / f"{site.name}-{name}",
            "dns": {"address": DNS_ADDRESS, "upstream": [upstream]},
            "port": [*underlay, *ports],
            **settings,
        }
        self.set()

    def set(self, **changes: Any) -> None:
        """Write its configuration with ``changes``, which hold from its next start on."""
        self.configure({"node": {**self._settings, **changes}})

    def _serves(self, channel: grpc.Channel, patience: float) -> bool:
        try:
            rpc.AgentStub(channel).GetAgentStatus(
                api.GetAgentStatusRequest(), timeout=patience, wait_for_ready=True
            )
        except grpc.RpcError:
            return False
        return True

    @property
    def ports(self) -> Sequence[Mapping[str, Any]]:
        """Its ports as planned."""
        return tuple(self._settings["port"])

    @property
    def uplink(self) -> Uplink:
        """Its first uplink."""
        return self.uplinks[0]

    def join(self, controller: Controller) -> None:
        """Become a node of the controller's site."""
        self.moorline("node", "join", controller.token(self.name))

    def agent(self) -> Any:
        """What its agent says of itself (api.AgentStatus)."""
        with grpc.insecure_channel(f"unix:{self.socket}") as channel:
            stub = rpc.AgentStub(channel)
            return stub.GetAgentStatus(api.GetAgentStatusRequest(), timeout=10, wait_for_ready=True)

    def register(self, controller: Controller, service: str) -> Service:
        """Register a service here and wait until its address is on the host."""
        request = api.RegisterServiceRequest(name=service, node=self.name)
        controller.naming.RegisterService(request, timeout=10)
        wait_until(lambda: self.has_endpoint(service), f"{self.name} had the address of {service}")
        return self.service(controller, service)

    def service(self, controller: Controller, name: str) -> Service:
        """The service of this name, which has been registered here."""
        found = controller.naming.GetService(api.GetServiceRequest(name=name), timeout=10)
        return Service(found.name, self, str(ip_address(found.ipv4)), str(ip_address(found.ipv6)))

    def has_endpoint(self, service: str) -> bool:
        """Whether its agent has put the service's address on the host."""
        return any(endpoint.service == service for endpoint in self.agent().endpoints)
