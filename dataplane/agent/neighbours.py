# SPDX-License-Identifier: Apache-2.0
"""The neighbours on the way to peers: kept resolved for programs at XDP, which can find one but not ask for
one, and let go of where the kernel asks for one in vain.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from socket import AF_INET, AF_INET6
from typing import Any, Final

import structlog
from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent.dumps import dump
from dataplane.agent.marks import PROTOCOL
from moorline.addresses import unmapped

log = structlog.get_logger(__name__)

Hop = tuple[int, str]
"""A neighbour: interface and address."""

_NUD_INCOMPLETE: Final = 0x01
_NUD_VALID: Final = 0xDE
"""Any state but those of an address that is being asked for, or that nobody has."""

_NTF_EXT_MANAGED: Final = 1
"""The kernel resolves the neighbour by itself, now and whenever its entry ages (Linux 5.16)."""


class Neighbours:
    """Managed neighbour entries for a set of addresses."""

    def __init__(self, netlink: Any) -> None:
        self._netlink = netlink
        self._idle = False

    async def keep(
        self,
        destinations: Iterable[bytes],
        interfaces: frozenset[int],
        on_links: Iterable[Hop] = (),
        *,
        and_no_others: bool = True,
    ) -> None:
        """Have the next hops to these addresses (16 octets) resolved that lead out of these interfaces, and
        the hosts ``on_links``, named by interface and address.

        Unless ``and_no_others``, those kept before stay: packets may go there although nobody said so yet.
        """
        wanted = set(on_links)
        for destination in destinations:
            hop = await self._next_hop(str(unmapped(destination)))
            if hop is not None and hop[0] in interfaces:
                wanted.add(hop)
        if self._idle and not wanted:
            return
        kept = await self._kept()
        for hop in wanted - kept:
            await self.manage(hop)
        for hop in kept - wanted if and_no_others else ():
            await self.let_go(hop)
        self._idle = not wanted and and_no_others

    async def manage(self, hop: Hop) -> None:
        """Have one more neighbour resolved, now and from now on; :meth:`keep` has to know of it."""
        self._idle = False
        await self._neighbour("replace", hop, NDA_FLAGS_EXT=_NTF_EXT_MANAGED, NDA_PROTOCOL=PROTOCOL)

    async def let_go(self, hop: Hop) -> None:
        """Forget a neighbour."""
        await self._neighbour("del", hop)

    async def is_resolved(self, hop: Hop) -> bool:
        """Whether a neighbour's link-layer address is known."""
        index, address = hop
        try:
            found = await self._netlink.neigh("get", dst=address, ifindex=index)
        except NetlinkError:
            return False  # gone, with its interface or by another's hand
        return any(entry["state"] & _NUD_VALID for entry in found)

    async def resolved(self) -> set[Hop]:
        """Those of the neighbours kept resolved whose link-layer address is known."""
        return {
            (found["ifindex"], found.get_attr("NDA_DST"))
            for found in await dump(self._netlink, "neigh")
            if found.get_attr("NDA_PROTOCOL") == PROTOCOL and found["state"] & _NUD_VALID
        }

    async def _kept(self) -> set[Hop]:
        """The entries of this agent or an earlier one that still stand.

        The kernel drops all of an interface with the last address there.
        """
        return {
            (found["ifindex"], found.get_attr("NDA_DST"))
            for found in await dump(self._netlink, "neigh")
            if found.get_attr("NDA_PROTOCOL") == PROTOCOL
        }

    async def release(self, destinations: Iterable[bytes], interfaces: frozenset[int]) -> None:
        """Let go of packets that wait for these addresses (16 octets) to answer on these interfaces, though
        the way to them is another.

        As long as a host has an address and no route, the kernel takes every destination for one on the link.
        Its queue keeps the packets for three seconds, and TCP does not send again what is still in a queue.
        """
        sought = {str(unmapped(destination)) for destination in destinations}
        waiting = [
            (found["ifindex"], found.get_attr("NDA_DST"))
            for found in await dump(self._netlink, "neigh")
            if found["state"] == _NUD_INCOMPLETE and found["ifindex"] in interfaces
        ]
        for asked in waiting:
            hop = await self._next_hop(asked[1]) if asked[1] in sought else None
            if hop not in (None, asked):
                await self._neighbour("del", asked)

    async def next_hop(self, destination: str, interface: int) -> Hop | None:
        """The next hop to an address out of one interface: interface and address."""
        return await self._next_hop(destination, oif=interface)

    async def _next_hop(self, destination: str, **by: int) -> Hop | None:
        try:
            for route in await self._netlink.route("get", dst=destination, **by):
                return route.get_attr("RTA_OIF"), route.get_attr("RTA_GATEWAY") or destination
        except NetlinkError:
            pass  # no route now; a change of routes asks again
        return None

    async def _neighbour(self, command: str, hop: Hop, **extra: int) -> None:
        index, address = hop
        family = AF_INET if ip_address(address).version == 4 else AF_INET6
        try:
            await self._netlink.neigh(command, dst=address, ifindex=index, family=family, state=0, **extra)
        except NetlinkError as error:
            if command != "del":
                log.warning("neighbour_not_kept", address=address, code=error.code)
