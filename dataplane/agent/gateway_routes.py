# SPDX-License-Identifier: Apache-2.0
"""Leads what the host's own programs say to plain hosts behind a gateway port through the pipeline, too.

The kernel has a route to them by their link, past all rules of who may connect to whom. So, where the host
has services of its own, its own packets to such a link look first into a table that leads to the interface
with the virtual addresses. Exempt is what it says as the gateway (answers to questions for names, say), and
what the pipeline hands to the link.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from socket import AF_INET, AF_INET6
from typing import Any, Final, NamedTuple

import structlog
from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent.dumps import dump
from dataplane.agent.known import Known
from dataplane.agent.marks import PROTOCOL

log = structlog.get_logger(__name__)

TABLE: Final = 60_809_999
MAIN: Final = 254
HANDED_ON, AS_GATEWAY, OWN = 6078, 6079, 6080
"""Priorities of the rules: what leaves by the link's interface, and from the gateway's own address, goes as
the main table says; other packets of the host go as ``TABLE`` says.
"""

_LOCAL: Final = "lo"
"""As input interface of a rule: packets that the host itself sends."""

_UNICAST: Final = 1
_SCOPE_LINK: Final = 253


@dataclass(frozen=True, slots=True)
class GatewayLink:
    """An interface towards plain hosts and the host's own addresses on it."""

    interface: str
    addresses: tuple[IPv4Interface | IPv6Interface, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    family: int
    priority: int
    table: int
    incoming: str
    outgoing: str
    source: str
    destination: str
    length: int

    def request(self) -> dict[str, Any]:
        wanted: dict[str, Any] = {
            "family": self.family,
            "priority": self.priority,
            "table": self.table,
            "protocol": PROTOCOL,
            "action": "FR_ACT_TO_TBL",
        }
        if self.incoming:
            wanted["iifname"] = self.incoming
        if self.outgoing:
            wanted["oifname"] = self.outgoing
        if self.source:
            wanted |= {"src": self.source, "src_len": 32 if self.family == AF_INET else 128}
        if self.destination:
            wanted |= {"dst": self.destination, "dst_len": self.length}
        return wanted


@dataclass(frozen=True, slots=True)
class _Route:
    family: int
    destination: str
    length: int
    interface: int
    source: str

    def request(self) -> dict[str, Any]:
        return {
            "family": self.family,
            "dst": f"{self.destination}/{self.length}",
            "oif": self.interface,
            "prefsrc": self.source,
            "table": TABLE,
            "proto": PROTOCOL,
            "scope": _SCOPE_LINK if self.family == AF_INET else 0,
        }


class _Wanted(NamedTuple):
    rules: set[_Rule]
    routes: set[_Route]


class GatewayRoutes:
    """The table, and the rules that lead to it and past it."""

    def __init__(self, netlink: Any) -> None:
        self._netlink = netlink
        self._known = Known[_Wanted]()

    def doubt(self) -> None:
        """Links changed: compare with what the kernel has, next time."""
        self._known.doubt()

    async def keep(self, links: Collection[GatewayLink], near: int, sources: Collection[str]) -> None:
        """Make them what is needed now.

        Args:
            links: the links of plain hosts.
            near: index of the interface with the virtual addresses.
            sources: the first virtual address of each family; none where the host has no service of its own.
        """
        by_family: dict[int, str] = {AF_INET6 if ":" in source else AF_INET: source for source in sources}
        wanted = _Wanted(set(_rules(links, by_family)), set(_routes(links, near, by_family)))
        await self._known.have(wanted, self._make)

    async def _make(self, wanted: _Wanted) -> bool:
        former_rules = {rule async for rule in self._present_rules()}
        former_routes = {route async for route in self._present_routes()}
        removed = [await self._route("del", route) for route in former_routes - wanted.routes]
        added = [await self._route("add", route) for route in wanted.routes - former_routes]
        # Exceptions come before what they are exceptions to, and go after it.
        first = sorted(wanted.rules - former_rules, key=lambda rule: rule.priority)
        last = sorted(former_rules - wanted.rules, key=lambda rule: -rule.priority)
        led = [await self._rule("add", rule) for rule in first]
        not_led = [await self._rule("del", rule) for rule in last]
        return all(removed + added + led + not_led)

    async def _present_rules(self) -> AsyncIterator[_Rule]:
        for family in (AF_INET, AF_INET6):
            for found in await dump(self._netlink, "rule", family=family):
                priority = found.get_attr("FRA_PRIORITY")
                if found.get_attr("FRA_PROTOCOL") != PROTOCOL or priority not in (HANDED_ON, AS_GATEWAY, OWN):
                    continue
                yield _Rule(
                    family,
                    priority,
                    found.get_attr("FRA_TABLE"),
                    found.get_attr("FRA_IIFNAME") or "",
                    found.get_attr("FRA_OIFNAME") or "",
                    found.get_attr("FRA_SRC") or "",
                    found.get_attr("FRA_DST") or "",
                    found["dst_len"],
                )

    async def _present_routes(self) -> AsyncIterator[_Route]:
        for family in (AF_INET, AF_INET6):
            for found in await dump(self._netlink, "route", family=family):
                if found.get_attr("RTA_TABLE") != TABLE or found["type"] != _UNICAST:
                    continue
                yield _Route(
                    family,
                    found.get_attr("RTA_DST") or "",
                    found["dst_len"],
                    found.get_attr("RTA_OIF") or 0,
                    found.get_attr("RTA_PREFSRC") or "",
                )

    async def _route(self, command: str, route: _Route) -> bool:
        return await self._change(self._netlink.route, command, route.request())

    async def _rule(self, command: str, rule: _Rule) -> bool:
        return await self._change(self._netlink.rule, command, rule.request())

    async def _change(self, change: Any, command: str, request: dict[str, Any]) -> bool:
        try:
            await change(command, **request)
        except NetlinkError as error:
            # It went with its interface, or that has just gone; the next change of the host tries anew.
            log.debug("gateway_routes_not_changed", command=command, code=error.code)
            return False
        return True


def _rules(links: Collection[GatewayLink], sources: dict[int, str]) -> Iterator[_Rule]:
    for link in links:
        for at in link.addresses:
            family = AF_INET if at.version == 4 else AF_INET6
            if family not in sources:
                continue
            destination, length = str(at.network.network_address), at.network.prefixlen
            yield _Rule(family, HANDED_ON, MAIN, "", link.interface, "", destination, length)
            yield _Rule(family, AS_GATEWAY, MAIN, "", "", str(at.ip), destination, length)
            yield _Rule(family, OWN, TABLE, _LOCAL, "", "", destination, length)


def _routes(links: Collection[GatewayLink], near: int, sources: dict[int, str]) -> Iterator[_Route]:
    for link in links:
        for at in link.addresses:
            family = AF_INET if at.version == 4 else AF_INET6
            if family in sources and near:
                network = at.network
                yield _Route(family, str(network.network_address), network.prefixlen, near, sources[family])
