# SPDX-License-Identifier: Apache-2.0
"""The section ``[controller]`` of the configuration file."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from socket import getfqdn
from typing import Annotated, Literal

from pydantic import Field

from control.subscribers.locations import EndpointsConfig
from control.subscribers.radius_config import RadiusConfig
from moorline.config import Section
from moorline.wire import CONTROLLER_PORT, JOIN_PORT

_ROOT = Path(__file__).resolve().parent.parent

PortNumber = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=31_536_000)]


class ControllerConfig(Section):
    """Settings of ``moorline controller``."""

    state_dir: Path = Path("/var/lib/moorline/controller")
    """Holds the store, the authority's key and the controller's credentials; mode 0700."""

    socket: Path = Path("/run/moorline/controller.sock")
    """Unix socket for the local operator: whoever may open it may do everything."""

    listen: str = "[::]"
    """Address on which both ports listen; IPv6 in brackets."""

    port: PortNumber = CONTROLLER_PORT
    """API, TLS with client certificates; 0 picks a free one."""

    join_port: PortNumber = JOIN_PORT
    """Admission of new nodes, TLS without client certificates; 0 picks a free one."""

    advertise: str = Field(default_factory=getfqdn, min_length=1)
    """Host name or address under which nodes reach this controller; written into join tokens."""

    ipv4_prefix: IPv4Network = IPv4Network("198.18.0.0/15")
    ipv6_prefix: IPv6Network = IPv6Network("fd6d:6f6f:726c::/64")
    """Virtual addresses of services are taken from these."""

    default_rule: Literal["allow", "deny"] = "allow"
    """What holds for a pair of services that no rule matches."""

    idle_timeout_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    """A channel without traffic for so long is taken down until a program sends; 0: never."""

    reject_seconds: Annotated[int, Field(ge=1, le=30)] = 5
    """How long the data plane itself refuses a denied or unknown pair, after its last packet; never longer
    than ``control.rejects.LIFE``."""

    grace_seconds: Seconds = 5.0
    """How long packets from a node's former addresses are accepted after it moved."""

    accounting_seconds: Seconds = 30.0
    """Time between two readings of the counters of all connections."""

    token_ttl_seconds: Annotated[int, Field(ge=1, le=31_536_000)] = 3600
    """How long a join token holds when its maker does not say."""

    p4info: Path = _ROOT / "p4" / "moorline.p4info.txtpb"
    """The contract; a data plane with another one is not programmed."""

    p4json: Path = _ROOT / "p4" / "moorline.json"
    """What implements the contract on a BMv2 switch; given to switches that have no pipeline."""

    endpoints: EndpointsConfig = EndpointsConfig()
    """Where the tunnels of user devices are best opened."""

    radius: RadiusConfig = RadiusConfig()
    """Who tells of customers' sessions."""

    @property
    def store_path(self) -> Path:
        """The SQLite file."""
        return self.state_dir / "store.sqlite"

    @property
    def credentials_dir(self) -> Path:
        """The controller's own ``ca.pem``, ``cert.pem``, ``key.pem``."""
        return self.state_dir / "credentials"
