# SPDX-License-Identifier: Apache-2.0
"""Settings of a node: the section ``[node]`` of the configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from dataplane.bpf.hook import HookChoice
from dataplane.peers.config import PeerConfig
from moorline.config import Section
from moorline.feature_peers import PortSharing, once, sharing
from moorline.interfaces import InterfaceName
from moorline.names import InvalidNameError, ServiceName
from moorline.reach import PrefixText, TunnelName, check_reach
from moorline.wire import CHANGE_PORT, P4RUNTIME_PORT


def _address(text: str) -> str:
    return str(ip_address(text))


def _service(text: str) -> str:
    try:
        return str(ServiceName.parse(text))
    except InvalidNameError as error:
        raise ValueError(str(error)) from None


AddressText = Annotated[str, AfterValidator(_address)]
ServiceText = Annotated[str, AfterValidator(_service)]
PortNumber = Annotated[int, Field(ge=1, le=65535)]


class PortConfig(Section):
    """One network interface of the data plane, ``[[node.port]]``."""

    name: InterfaceName
    role: Literal["underlay", "gateway", "edge", "peer"] = "underlay"
    """``underlay``: towards other nodes. ``gateway``: towards plain hosts, which have no Moorline; the
    interface has addresses of the virtual prefixes. ``edge``: towards user devices or the Internet. ``peer``:
    towards a feature peer, which ``[[node.peer]]`` describes."""

    hook: HookChoice = "auto"
    tenant: Annotated[int, Field(ge=0, lt=1 << 24)] = 0
    """Whose packets come in here; not for underlay ports."""

    prefixes: tuple[PrefixText, ...] = ()
    """What is reached through an edge port, such as 0.0.0.0/0."""

    tunnels: tuple[TunnelName, ...] = ()
    """Tunnels of user devices that are opened at an underlay port."""

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        check_reach(self.role, self.tenant, self.prefixes, self.tunnels)
        return self


class DnsConfig(Section):
    """The node's DNS server, ``[node.dns]``."""

    enabled: bool = True
    address: AddressText = "127.0.0.54"
    port: PortNumber = 53
    upstream: tuple[AddressText, ...] = ()
    """Servers for all other names; empty: those in ``resolv_conf``."""
    resolv_conf: Path = Path("/etc/resolv.conf")
    services: tuple[ServiceText, ...] = ()
    """Services of this host at whose addresses it answers others too: plain hosts behind switches."""


class NodeConfig(Section):
    """A node's settings."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    ports: Annotated[tuple[PortConfig, ...], Field(alias="port")] = ()
    peers: Annotated[tuple[PeerConfig, ...], Field(alias="peer")] = ()
    controller: str | None = None
    """``host:port`` of the controller's API; None: what the join token said."""
    state_dir: Path = Path("/var/lib/moorline/node")
    socket: Path = Path("/run/moorline/node.sock")
    pins: Path = Path("/sys/fs/bpf/moorline/node")
    interface: InterfaceName = "ml0"
    """The interface with the virtual addresses."""
    far_interface: InterfaceName = "ml0p"
    """Its other end, the access port of the host's own programs."""
    access_hook: HookChoice = "auto"
    tenant: Annotated[int, Field(ge=0, lt=1 << 24)] = 0
    """Tenant of the host's own programs."""
    p4runtime_port: PortNumber = P4RUNTIME_PORT
    change_port: PortNumber = CHANGE_PORT
    grace_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    """How long packets from and to an address are taken after it was replaced."""
    table_sizes: dict[str, Annotated[int, Field(gt=0)]] = Field(default_factory=dict)
    """Entries to make room for, by table; a table left out has the contract's size."""
    dns: DnsConfig = DnsConfig()

    @property
    def credentials_dir(self) -> Path:
        """Where joining put certificate and key."""
        return self.state_dir / "credentials"

    @property
    def led_through(self) -> bool:
        """Whether packets are led to peers here, or go by edge ports: programs stand at XDP then."""
        return bool(self.peers) or any(port.role in ("edge", "peer") for port in self.ports)

    @property
    def peer_ports(self) -> Mapping[object, PortSharing]:
        """What each peer port is for the peers there, by its interface."""
        return sharing((peer, peer.interfaces) for peer in self.peers)

    @property
    def tenants(self) -> Mapping[str, int]:
        """Whose packets come in, by interface."""
        made = {interface: peer.tenant for peer in self.peers if peer.run for interface in peer.interfaces}
        return {port.name: port.tenant for port in self.ports} | made

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        names = [port.name for port in self.ports] + [self.interface, self.far_interface]
        made = [interface for peer in self.peers if peer.run for interface in peer.interfaces]
        for name in (names := names + made):
            if names.count(name) > 1:
                raise ValueError(f"interface {name} is named twice; name each once")
        once((peer.name for peer in self.peers), "peer")
        return self

    @model_validator(mode="after")
    def _peers_are_attached(self) -> Self:
        ports = {port.name: port for port in self.ports if port.role == "peer"}
        for peer in self.peers:
            if peer.run:
                continue
            for interface in peer.ports:
                if interface not in ports:
                    raise ValueError(
                        f"peer {peer.name} is at {interface}: add [[node.port]] with this name and "
                        'role = "peer"'
                    )
            if len({ports[interface].tenant for interface in peer.ports}) > 1:
                raise ValueError(f"peer {peer.name} is at ports of two tenants: give them one")
        if idle := [interface for interface in ports if interface not in self.peer_ports]:
            raise ValueError(f"port {idle[0]} has the role peer, but no peer: add one in [[node.peer]]")
        return self

    @model_validator(mode="after")
    def _paths_are_at_xdp(self) -> Self:
        if self.led_through:
            hooks = {port.name: port.hook for port in self.ports} | {self.far_interface: self.access_hook}
            if at_tc := [name for name, hook in hooks.items() if hook == "tc"]:
                raise ValueError(
                    f'interface {at_tc[0]} has the hook "tc": a node with edge or peer ports has all its '
                    'programs at XDP, so set "auto" or "xdp"'
                )
        return self
