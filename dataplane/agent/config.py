# SPDX-License-Identifier: Apache-2.0
"""Settings of a node: the section ``[node]`` of the configuration file."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from dataplane.bpf.hook import HookChoice
from moorline.config import Section
from moorline.names import InvalidNameError, ServiceName
from moorline.wire import CHANGE_PORT, P4RUNTIME_PORT

MAX_INTERFACE_NAME = 15
"""Octets in the name of a network interface (IFNAMSIZ less the final zero)."""


def _interface(name: str) -> str:
    if not 0 < len(name.encode()) <= MAX_INTERFACE_NAME or "/" in name or any(c.isspace() for c in name):
        raise ValueError(
            f"an interface name has 1 to {MAX_INTERFACE_NAME} octets, without blanks and slashes"
        )
    return name


def _address(text: str) -> str:
    return str(ip_address(text))


def _service(text: str) -> str:
    try:
        return str(ServiceName.parse(text))
    except InvalidNameError as error:
        raise ValueError(str(error)) from None


Interface = Annotated[str, AfterValidator(_interface)]
AddressText = Annotated[str, AfterValidator(_address)]
ServiceText = Annotated[str, AfterValidator(_service)]
PortNumber = Annotated[int, Field(ge=1, le=65535)]


class PortConfig(Section):
    """One network interface of the data plane, ``[[node.port]]``."""

    name: Interface
    role: Literal["underlay", "gateway"] = "underlay"
    """``underlay``: towards other nodes. ``gateway``: towards plain hosts, which have no Moorline; the
    interface has addresses of the virtual prefixes."""

    hook: HookChoice = "auto"
    tenant: Annotated[int, Field(ge=0, lt=1 << 24)] = 0
    """Whose packets come in here; only for gateway ports."""


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
    controller: str | None = None
    """``host:port`` of the controller's API; None: what the join token said."""
    state_dir: Path = Path("/var/lib/moorline/node")
    socket: Path = Path("/run/moorline/node.sock")
    pins: Path = Path("/sys/fs/bpf/moorline/node")
    interface: Interface = "ml0"
    """The interface with the virtual addresses."""
    far_interface: Interface = "ml0p"
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

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        names = [port.name for port in self.ports] + [self.interface, self.far_interface]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"interface {name} is named twice; name each once")
        return self
