# SPDX-License-Identifier: Apache-2.0
"""The ports of the data plane: which interfaces they are, and at which hook their program stands."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Any, Literal, Protocol

import structlog

from dataplane.agent.access import Pair
from dataplane.agent.config import NodeConfig
from dataplane.agent.facts import NO_SHARING, PortFact
from dataplane.agent.features import Feature, switch
from dataplane.agent.locators import UnderlayPort
from dataplane.agent.netlink import HostTable
from dataplane.agent.port_map import PortEntry
from dataplane.agent.state import NodeState
from dataplane.bpf import attach
from dataplane.bpf.hook import Hook, HookChoice
from moorline.api.v1 import moorline_pb2 as api
from moorline.reach import tunnel_of
from moorline.wire import ROUTER_HOPS

log = structlog.get_logger(__name__)


class Programs(Protocol):
    """The loaded programs."""

    def open(self, hook: Hook) -> int:
        """A file descriptor of the program for a hook; the caller closes it."""


@dataclass(slots=True)
class PortState:
    """A port as it stands; ``attached`` is the index of the interface that has the program."""

    interface: str
    number: int
    role: Literal["underlay", "gateway", "access", "edge", "peer"]
    hook: Hook
    tenant: int
    hops: int
    prefixes: tuple[str, ...] = ()
    """What is reached through an edge port."""
    attached: int = 0
    half_checksums: bool = False
    """Whether packets may come in with checksums that the sender left to its hardware."""


def choose_hooks(config: NodeConfig) -> dict[str, Hook]:
    """The hook of each port, by its interface: by the driver there, or by what the node is for.

    An interface that is not there yet counts as one without a driver.
    """
    wanted: dict[str, HookChoice] = {config.far_interface: config.access_hook}
    wanted |= {port.name: port.hook for port in config.ports}
    wanted |= {name: "auto" for peer in config.peers if peer.run for name in peer.interfaces}
    return {
        name: attach.choose_hook(choice, attach.driver_of(name), forwards_only=config.led_through)
        for name, choice in wanted.items()
    }


class Ports:
    """All ports of the node, attached and kept attached when an interface goes and comes back."""

    def __init__(
        self,
        config: NodeConfig,
        hooks: Mapping[str, Hook],
        state: NodeState,
        netlink: Any,
        programs: Programs,
    ) -> None:
        self._netlink = netlink
        self._programs = programs
        self._state = state
        self.access = PortState(
            config.far_interface,
            state.port_number(config.far_interface),
            "access",
            hooks[config.far_interface],
            config.tenant,
            hops=0,
        )
        self._sharing = config.peer_ports
        self._tunnels = {port.name: tuple(map(tunnel_of, port.tunnels)) for port in config.ports}
        self._ports = [self.access] + [
            PortState(
                port.name,
                state.port_number(port.name),
                port.role,
                hooks[port.name],
                port.tenant,
                hops=ROUTER_HOPS,
                prefixes=tuple(map(str, port.prefixes)),
            )
            for port in config.ports
        ]
        made = [(name, peer.tenant) for peer in config.peers if peer.run for name in peer.interfaces]
        self._ports += [
            PortState(name, state.port_number(name), "peer", hooks[name], tenant, hops=0)
            for name, tenant in made
        ]

    def __iter__(self) -> Iterator[PortState]:
        return iter(self._ports)

    @property
    def underlay(self) -> tuple[UnderlayPort, ...]:
        """The ports towards other nodes, in the configured order."""
        return tuple(
            UnderlayPort(port.interface, port.number) for port in self._ports if port.role == "underlay"
        )

    @property
    def gateways(self) -> tuple[PortState, ...]:
        """The ports towards plain hosts."""
        return tuple(port for port in self._ports if port.role == "gateway")

    @property
    def plain(self) -> tuple[PortState, ...]:
        """The ports where the host itself is a router of those beyond: gateway and edge ports."""
        return tuple(port for port in self._ports if port.role in ("gateway", "edge"))

    def named(self, interface: str) -> PortState | None:
        """The port at this interface."""
        return next((port for port in self._ports if port.interface == interface), None)

    def numbered(self, number: int) -> PortState | None:
        """The port of this number."""
        return next((port for port in self._ports if port.number == number), None)

    async def attach(self, host: HostTable) -> bool:
        """Put programs on the interfaces that are there and have none of ours yet; whether any was put.

        Raises:
            AttachError: an interface does not take the program.
        """
        changed = False
        for port in self._ports:
            link = host.link_named(port.interface)
            index = 0 if link is None else link.index
            if index == port.attached:
                continue
            if index:
                await self._attach(port, index)
            port.attached = index
            changed = True
        return changed

    async def _attach(self, port: PortState, index: int) -> None:
        program = self._programs.open(port.hook)
        try:
            await attach.attach(self._netlink, port.interface, index, port.hook, program)
        finally:
            os.close(program)
        before = self._state.hooks.get(port.interface)
        if before not in (None, port.hook):
            await attach.detach(self._netlink, index, Hook(before))
        self._state.hooks[port.interface] = port.hook
        half = attach.hands_on_half_checksums(attach.driver_of(port.interface))
        port.half_checksums = port is self.access or half
        if port is not self.access:
            self._settle_checksums(port)
        log.info(
            "port_attached", interface=port.interface, port=port.number, role=port.role, hook=str(port.hook)
        )

    def _settle_checksums(self, port: PortState) -> None:
        """Have the kernel complete checksums where the other end would read them half done at XDP, as here.

        It does so at the last moment, as packets leave: until then large ones stay whole.
        """
        name, told = port.interface, self._state.whole_checksums
        if port.hook is not Hook.XDP or not port.half_checksums:
            self._leave_checksums(name)
        elif switch(name, Feature.TRANSMIT_CHECKSUMS, on=False) and name not in told:
            told.append(name)

    def _leave_checksums(self, interface: str) -> None:
        """Set an interface back as it was."""
        if interface in self._state.whole_checksums:
            switch(interface, Feature.TRANSMIT_CHECKSUMS, on=True)
            self._state.whole_checksums.remove(interface)

    async def detach_others(self, host: HostTable) -> None:
        """Take programs off interfaces that are ports no longer."""
        names = {port.interface for port in self._ports}
        for interface in [name for name in self._state.hooks if name not in names]:
            link = host.link_named(interface)
            if link is not None:
                await attach.detach(self._netlink, link.index, Hook(self._state.hooks[interface]))
                self._leave_checksums(interface)
            del self._state.hooks[interface]

    def facts(self) -> list[PortFact]:
        """The ports' roles."""
        return [
            PortFact(
                port.number,
                port.role,
                port.tenant,
                port.hops,
                self._sharing.get(port.interface, NO_SHARING),
                self._tunnels.get(port.interface, ()),
            )
            for port in self._ports
        ]

    def entries(self, host: HostTable, pair: Pair) -> list[PortEntry]:
        """The ports that have an interface now."""
        entries = []
        for port in self._ports:
            link = host.link_named(port.interface)
            if link is None:
                continue
            if port is self.access:
                entries.append(PortEntry(link.index, port.number, link.mac, pair.near.index, pair.near.mac))
            else:
                entries.append(PortEntry(link.index, port.number, link.mac))
        return entries

    def report(self, host: HostTable) -> list[api.Port]:
        """The ports as the controller hears of them."""
        found = []
        for port in self._ports:
            link = host.link_named(port.interface)
            found.append(
                api.Port(
                    number=port.number,
                    interface=port.interface,
                    role=port.role,
                    hook=str(port.hook),
                    up=link is not None and link.up,
                    mtu=0 if link is None else link.mtu,
                    addresses=map(str, own_addresses(host, port)) if port in self.plain else (),
                    prefixes=port.prefixes,
                    tenant=port.tenant if port.role in ("edge", "peer") else 0,
                    tunnels=[tunnel.name.lower() for tunnel in self._tunnels.get(port.interface, ())],
                )
            )
        return found


def own_addresses(host: HostTable, port: PortState) -> list[IPv4Interface | IPv6Interface]:
    """The addresses on a port's interface, with the prefixes of its link."""
    link = host.link_named(port.interface)
    found = host.addresses.get(link.index, {}) if link is not None else {}
    return [ip_interface((address, length)) for address, length in found.items()]
