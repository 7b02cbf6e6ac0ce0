# SPDX-License-Identifier: Apache-2.0
"""User devices somewhere in the underlay, which tunnel into a site by the kernel's VXLAN device."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Final

from tools.lab.namespace import Namespace
from tools.lab.underlay import Uplink

TUNNEL: Final = "site0"
MTU: Final = 1400
"""Of what goes through the tunnel: the site's own is no smaller with cables of 1500."""

_DEVICE_MAC: Final = "02:6d:6c:ff:ff:ff"
_SITE_MAC: Final = "02:6d:6c:00:00:00"
"""Link-layer addresses inside VXLAN, as the data planes write them (docs/wire-format.md)."""

_PORT: Final = 4789


@dataclass(frozen=True)
class Device:
    """A namespace with a cable to the router, and nothing of Moorline."""

    name: str
    place: Namespace
    uplink: Uplink

    @property
    def outer(self) -> str:
        """Its address in the underlay."""
        return str(self.uplink.addresses[4].ip)

    def tunnel(self, endpoint: str, vni: int, own: IPv4Interface, beyond: str) -> None:
        """Reach ``beyond`` through a tunnel to ``endpoint``, as the inner address ``own``."""
        kind = (
            "type",
            "vxlan",
            "id",
            str(vni),
            "remote",
            endpoint,
            "local",
            self.outer,
            "dstport",
            str(_PORT),
        )
        self.place.run("ip", "link", "add", TUNNEL, "address", _DEVICE_MAC, *kind)
        self.place.sysctl({f"net/ipv6/conf/{TUNNEL}/disable_ipv6": "1"})  # the kernel would speak by itself
        self.place.set_link(TUNNEL, mtu=MTU, state="up")
        self.place.add_address(TUNNEL, own)
        gateway = str(own.network.network_address + 1)
        self.place.run(
            "ip", "neighbour", "add", gateway, "lladdr", _SITE_MAC, "dev", TUNNEL, "nud", "permanent"
        )
        self.place.run("ip", "route", "add", beyond, "via", gateway, "dev", TUNNEL)
