# SPDX-License-Identifier: Apache-2.0
"""The host's side: a veth pair, its near end with the virtual addresses, its far end the access port."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from socket import AF_INET, AF_INET6
from typing import Any, Final

import structlog
from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent.features import Feature, switch
from dataplane.agent.netlink import HostTable, Link
from dataplane.agent.spread import keep_flows_together, spread_receiving
from dataplane.agent.sysctl import write_sysctl
from dataplane.agent.watch import read_host
from dataplane.bpf.attach import driver_of
from moorline.addresses import Network
from moorline.api.v1 import moorline_pb2 as api
from moorline.errors import MoorlineError
from moorline.wire import OVERHEAD_IPV6

log = structlog.get_logger(__name__)

SMALLEST_MTU: Final = 1280
"""Below, there is no IPv6 (RFC 8200, section 5)."""

DEFAULT_UNDERLAY_MTU: Final = 1500
_IFF_NOARP: Final = 0x80
_IFA_F_NODAD: Final = 0x02
_SCOPE_LINK: Final = 253


class AccessError(MoorlineError):
    """The interface for virtual addresses cannot be made."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both ends of the pair."""

    near: Link
    far: Link


def inner_mtu(underlay: Iterable[int]) -> int:
    """The MTU of the virtual interface for underlay ports of these MTUs.

    It leaves room for the larger outer header, IPv6, so that it stays the same whichever family a path has.
    """
    return max(min(underlay, default=DEFAULT_UNDERLAY_MTU) - OVERHEAD_IPV6, SMALLEST_MTU)


class AccessPair:
    """Makes the pair, or takes over the one that an earlier agent made, and keeps addresses and routes on it.

    Args:
        netlink: a ``pyroute2.AsyncIPRoute``.
        near: name of the end with the virtual addresses.
        far: name of the other end, the access port.
    """

    def __init__(self, netlink: Any, near: str, far: str) -> None:
        self._netlink = netlink
        self._near = near
        self._far = far

    async def ensure(self, mtu: int, *, checksums_in_software: bool) -> Pair:
        """The pair, up and set.

        Args:
            mtu: of the near end, in octets.
            checksums_in_software: whether packets must carry whole checksums because the program at the far
                end reads them at XDP.

        Raises:
            AccessError: the kernel refused, or an interface of this name is something else.
        """
        try:
            return await self._ensure(mtu, checksums_in_software)
        except NetlinkError as error:
            raise AccessError(
                f"interface {self._near} cannot be made ({error.args[-1]}): see that veth is in the kernel"
            ) from error

    async def _ensure(self, mtu: int, checksums_in_software: bool) -> Pair:
        host = read_host()
        if host.link_named(self._near) is None:
            await self._netlink.link("add", ifname=self._near, kind="veth", peer={"ifname": self._far})
            host = read_host()
        pair = self._find(host)
        # The kernel must not speak on the pair by itself: every packet on it is one of a program.
        write_sysctl(f"ipv6/conf/{self._near}/addr_gen_mode", "1")
        write_sysctl(f"ipv6/conf/{self._near}/accept_ra", "0")
        write_sysctl(f"ipv6/conf/{self._near}/accept_dad", "0")
        write_sysctl(f"ipv6/conf/{self._far}/disable_ipv6", "1")
        # Routes to all peers lead out here, so that the strict test would do too; the loose one would not.
        write_sysctl(f"ipv4/conf/{self._near}/rp_filter", "0")
        await self._netlink.link("set", index=pair.far.index, mtu=max(mtu, pair.far.mtu), state="up")
        await self._netlink.link(
            "set", index=pair.near.index, mtu=mtu, flags=_IFF_NOARP | 1, change=_IFF_NOARP | 1
        )
        await spread_receiving(self._near, self._far)
        await keep_flows_together(self._netlink, pair.near)
        switch(self._near, Feature.RECEIVE_JOINING, on=True)
        switch(self._near, Feature.TRANSMIT_CHECKSUMS, on=not checksums_in_software)
        return self._find(read_host())

    def _find(self, host: HostTable) -> Pair:
        near, far = host.link_named(self._near), host.link_named(self._far)
        if near is None or far is None or driver_of(self._near) != "veth":
            raise AccessError(
                f"interface {self._near} is there, but no veth pair with {self._far}: remove or rename it"
            )
        return Pair(near, far)

    async def set_mtu(self, host: HostTable, mtu: int) -> None:
        """Change the MTU of both ends, as they are in ``host``."""
        for link in (pair := self._find(host)).far, pair.near:
            if link.mtu != mtu:
                await self._netlink.link("set", index=link.index, mtu=mtu)

    async def set_endpoints(self, endpoints: Sequence[api.Endpoint], prefixes: Sequence[Network]) -> None:
        """Put the endpoints' addresses on the near end, and lead the virtual prefixes there.

        Programs that do not choose a source address get that of the first endpoint.
        """
        host = read_host()
        near = self._find(host).near
        present = set(host.addresses.get(near.index, {}))
        wanted = [a for endpoint in endpoints for a in (endpoint.ipv4, endpoint.ipv6) if a]
        for address in wanted:
            if address not in present:
                await self._address("replace", near.index, address)
        for prefix in prefixes:
            octets = 4 if prefix.version == 4 else 16
            source = next((address for address in wanted if len(address) == octets), None)
            if source is not None:
                await self._route(near.index, prefix, source)
        for address in present.difference(wanted):
            await self._address("del", near.index, address)

    async def _address(self, command: str, index: int, address: bytes) -> None:
        await self._netlink.addr(
            command,
            index=index,
            address=str(ip_address(address)),
            prefixlen=len(address) * 8,
            family=AF_INET if len(address) == 4 else AF_INET6,
            **({"flags": _IFA_F_NODAD} if command != "del" and len(address) == 16 else {}),
        )

    async def _route(self, index: int, prefix: Network, source: bytes) -> None:
        await self._netlink.route(
            "replace",
            dst=str(prefix),
            oif=index,
            prefsrc=str(ip_address(source)),
            family=AF_INET if prefix.version == 4 else AF_INET6,
            scope=_SCOPE_LINK if prefix.version == 4 else 0,
        )

    async def remove(self) -> None:
        """Take the pair away; nothing happens where there is none."""
        link = read_host().link_named(self._near)
        if link is not None and driver_of(self._near) == "veth":
            await self._netlink.link("del", index=link.index)
