# SPDX-License-Identifier: Apache-2.0
"""The laboratory: hosts behind a router, the controller beyond it.

::

    laptop --- uplink 0 ---+
           --- uplink 1 ---+ router --- controller
    server --- uplink 0 ---+
    switch --- port 1 -----+   (where one is planned)
    device ----------------+   (so are user devices)

Every name in it is unique, so that several labs run beside one another; leaving the ``with`` block takes all
of it away again, also after a failure or an interrupt.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools.lab import cleanup
from tools.lab.devices import Device
from tools.lab.edges import EdgeHost, lay_at_edge
from tools.lab.namespace import Namespace
from tools.lab.plain import PlainHost, lay_behind, virtual_address
from tools.lab.process import Process
from tools.lab.programs import CONTROLLER_NAME, Controller, Host, Site
from tools.lab.switched import SwitchNode, SwitchPlan
from tools.lab.underlay import Uplink

CONTROLLER_CABLE = 0
MOST_UPLINKS = 4


@dataclass(frozen=True)
class HostPlan:
    """How a host is tied to the router, and the names of the plain hosts, each behind a port of its own:
    ``plain`` behind gateway ports, ``edges`` at edge ports.
    """

    name: str
    families: tuple[int, ...] = (4, 6)
    uplinks: int = 1
    plain: tuple[str, ...] = ()
    settings: Mapping[str, Any] | None = None
    edges: tuple[str, ...] = ()


class Lab:
    """Namespaces, links and Moorline's programs; a context manager."""

    def __init__(
        self,
        hosts: Sequence[HostPlan] = (HostPlan("server"), HostPlan("laptop")),
        settings: Mapping[str, Any] | None = None,
        switches: Sequence[SwitchPlan] = (),
        mtu: int = 1500,
        devices: Sequence[str] = (),
    ) -> None:
        """Plan a lab; ``settings`` are more of ``[controller]``, ``mtu`` is that of all cables.

        ``devices`` of users are at the router.
        """
        self._plans = hosts
        self._switch_plans = switches
        self._settings = settings or {}
        self._mtu = mtu
        self._device_names = devices
        self._stack = ExitStack()
        self.plain: dict[str, PlainHost] = {}
        self.edges: dict[str, EdgeHost] = {}
        self.name = cleanup.unique_name()

    def __enter__(self) -> Self:
        """Build the network; nothing of Moorline runs yet."""
        try:
            with cleanup.uninterrupted():
                cleanup.sweep()
                self._build(self._stack)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with cleanup.uninterrupted():
            self._stack.close()

    def _build(self, stack: ExitStack) -> None:
        self.folder = Path(tempfile.gettempdir()) / self.name
        self.folder.mkdir(mode=0o700)
        stack.callback(shutil.rmtree, self.folder)
        stack.callback(cleanup.remove_pins, self.name)
        stack.callback(cleanup.remove_peers, self.name)
        self._processes = ExitStack()
        self.router = self._namespace(stack, "router")
        self.router.sysctl({"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"})
        place = self._namespace(stack, "controller")
        cable = Uplink(place, self.router, "up0", "controller", CONTROLLER_CABLE, (4, 6), 100, self._mtu)
        cable.lay()
        addresses = [str(address.ip) for address in cable.addresses.values()]
        self._names_file = self.folder / "hosts"
        self._names_file.write_text("".join(f"{address} {CONTROLLER_NAME}\n" for address in addresses))
        site = Site(self.name, self.folder, self._processes)
        self.controller = Controller(site, place, addresses[0], self._settings)
        self.hosts = {
            plan.name: self._host(stack, site, number, plan) for number, plan in enumerate(self._plans)
        }
        self.switches = {
            plan.name: self._switch(stack, site, number, plan)
            for number, plan in enumerate(self._switch_plans)
        }
        first = 1 + MOST_UPLINKS * (len(self._plans) + len(self._switch_plans))
        self.devices = {
            name: self._device(stack, name, first + at) for at, name in enumerate(self._device_names)
        }
        self._places = stack.enter_context(ExitStack())
        stack.enter_context(self._processes)  # last in, first out: programs end before their namespaces go

    def _namespace(self, stack: ExitStack, role: str) -> Namespace:
        namespace = Namespace(f"{self.name}-{role}", self.folder)
        stack.callback(namespace.close)
        return namespace

    def _host(self, stack: ExitStack, site: Site, number: int, plan: HostPlan) -> Host:
        namespace = self._namespace(stack, plan.name)
        # As Debian sets them: loose reverse path filter, secondary addresses outlive the first.
        namespace.sysctl(
            {"net/ipv4/conf/all/promote_secondaries": "1", "net/ipv4/conf/default/rp_filter": "2"}
        )
        first = 1 + MOST_UPLINKS * number
        uplinks = [
            Uplink(
                namespace,
                self.router,
                f"up{i}",
                f"h{number}u{i}",
                first + i,
                plan.families,
                100 + i,
                self._mtu,
            )
            for i in range(plan.uplinks)  # four cables a host at most
        ]
        for uplink in uplinks:
            uplink.lay()
            if plan.edges or "peer" in (plan.settings or {}):
                uplink.face_xdp()
        namespace.use_file("/etc/hosts", self._names_file)
        gateways = [f"lan{number}" for number, _ in enumerate(plan.plain)]
        for interface, name in zip(gateways, plan.plain, strict=True):
            self._plain_host(stack, namespace, interface, name)
        edges = [self._edge_host(stack, namespace, f"edge{at}", name) for at, name in enumerate(plan.edges)]
        ports = [{"name": interface, "role": "gateway"} for interface in gateways]
        ports += [edge.port for edge in edges]
        return Host(site, plan.name, namespace, uplinks, self.controller.address, plan.settings or {}, ports)

    def _edge_host(self, stack: ExitStack, node: Namespace, interface: str, name: str) -> EdgeHost:
        place = self._namespace(stack, name)
        place.use_file("/etc/hosts", self._names_file)
        self.edges[name] = lay_at_edge(node, interface, name, place, 1 + len(self.edges))
        return self.edges[name]

    def _plain_host(self, stack: ExitStack, gateway: Namespace, interface: str, name: str) -> None:
        place = self._namespace(stack, name)
        plain = lay_behind(gateway, interface, name, place, 1 + len(self.plain))
        names = self.folder / f"{name}.resolv.conf"
        names.write_text(f"nameserver {virtual_address(4, 1 + len(self.plain), 1).ip}\noptions timeout:2\n")
        place.use_file("/etc/resolv.conf", names)
        self.plain[name] = plain

    def _device(self, stack: ExitStack, name: str, cable: int) -> Device:
        place = self._namespace(stack, name)
        uplink = Uplink(place, self.router, "up0", name, cable, (4,), 100, self._mtu)
        uplink.lay()
        place.use_file("/etc/hosts", self._names_file)
        place.run("ethtool", "-K", uplink.interface, "tx", "off")  # what it tunnels, programs at XDP read
        return Device(name, place, uplink)

    def _switch(self, stack: ExitStack, site: Site, number: int, plan: SwitchPlan) -> SwitchNode:
        switch = SwitchNode(site, plan, number, self._namespace(stack, plan.name), self._mtu)
        switch.lay_management(self.controller.place)
        first = 1 + MOST_UPLINKS * (len(self._plans) + number)
        for cable in range(first, first + plan.uplinks):
            switch.lay_uplink(self.router, cable)
        for name in plan.plain:
            switch.lay_gateway(name, self._namespace(stack, name), 1 + len(self.plain))
            self.plain[name] = switch.plain[name]
        for name in plan.edges:
            self.edges[name] = switch.lay_edge(name, self._namespace(stack, name), 1 + len(self.edges))
        for name in plan.peers:
            switch.lay_peer(name, self._namespace(stack, f"{plan.name}-{name}"))
        return switch

    def start(self) -> Self:
        """Start the controller, an agent on every host, every switch, and wait until all is programmed."""
        self.controller.start()
        for host in self.hosts.values():
            host.join(self.controller)
            host.launch()
        for switch in self.switches.values():
            switch.start()
            switch.join(self.controller)
        for host in self.hosts.values():
            host.wait_serving()
        for name in (*self.hosts, *self.switches):
            self.controller.wait_converged(name)
        return self

    def add_place(self, role: str) -> Namespace:
        """One more namespace, which is removed with the lab."""
        return self._namespace(self._places, role)

    def add_name(self, name: str, address: str) -> None:
        """Let programs on all hosts find ``name``."""
        with self._names_file.open("a") as names:
            names.write(f"{address} {name}\n")

    def __getitem__(self, host: str) -> Host:
        return self.hosts[host]

    def run_beside(self, process: Process) -> Process:
        """End ``process`` with the lab."""
        return self._processes.enter_context(process)
