# SPDX-License-Identifier: Apache-2.0
"""Lets packets leave by the uplink that was chosen for them, where a host has several with IPv6.

Of two default routes the kernel takes the one with the better metric for every IPv6 packet, also for one that
has to leave by the other interface (IPv4 does not), and would ask there for the wrong router. So what leaves
by an uplink looks first into a table that has the routes of this uplink only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from socket import AF_INET6
from typing import Any, Final

import structlog
from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent.dumps import dump
from dataplane.agent.marks import PROTOCOL

log = structlog.get_logger(__name__)

FIRST_TABLE: Final = 60_810_000
"""The table of an uplink is this and its port number."""

RULE_PRIORITY: Final = 6082
_MAIN: Final = 254
_UNICAST: Final = 1


@dataclass(frozen=True, slots=True)
class UplinkInterface:
    """An uplink that is there: interface index and name, and the number of its port."""

    index: int
    name: str
    port: int

    @property
    def table(self) -> int:
        """Number of its routing table."""
        return FIRST_TABLE + self.port


@dataclass(frozen=True, slots=True, order=True)
class _Route:
    """Those without a gateway come first in order: gateways are found by them."""

    gateway: str
    destination: str
    length: int
    metric: int
    index: int
    table: int

    def request(self) -> dict[str, Any]:
        gateway = {"gateway": self.gateway} if self.gateway else {}
        return {
            "family": AF_INET6,
            "dst": f"{self.destination}/{self.length}",
            "priority": self.metric,
            "oif": self.index,
            "table": self.table,
            "proto": PROTOCOL,
            **gateway,
        }


class UplinkRoutes:
    """The tables of the uplinks, and the rules that lead to them."""

    def __init__(self, netlink: Any) -> None:
        self._netlink = netlink
        self._idle = False

    async def keep(self, uplinks: Collection[UplinkInterface]) -> None:
        """Make them what ``uplinks`` need; where there is one, or none, the host is as it was before."""
        several = uplinks if len(uplinks) > 1 else ()
        if self._idle and not several:
            return
        tables = {uplink.index: uplink.table for uplink in several}
        wanted, present = set(), set()
        async for route, protocol in self._routes():
            if route.table == _MAIN and route.index in tables:
                wanted.add(_moved(route, tables[route.index]))
            elif protocol == PROTOCOL and route.table >= FIRST_TABLE:
                present.add(route)
        rules = {(uplink.name, uplink.table) for uplink in several}
        former = {rule async for rule in self._rules()}
        for rule in former - rules:
            await self._rule("del", *rule)
        for gone in sorted(present - wanted, reverse=True):
            await self._change("del", gone)
        for new in sorted(wanted - present):
            await self._change("add", new)
        for rule in rules - former:
            await self._rule("add", *rule)
        self._idle = not several

    async def _routes(self) -> AsyncIterator[tuple[_Route, int]]:
        """All IPv6 routes, one for each next hop, and who made them."""
        for found in await dump(self._netlink, "route", family=AF_INET6):
            if found["type"] != _UNICAST:
                continue
            for hop in found.get_attr("RTA_MULTIPATH") or [found]:
                index = found.get_attr("RTA_OIF") if hop is found else hop["oif"]
                route = _Route(
                    hop.get_attr("RTA_GATEWAY") or "",
                    found.get_attr("RTA_DST") or "::",
                    found["dst_len"],
                    found.get_attr("RTA_PRIORITY") or 0,
                    index or 0,
                    found.get_attr("RTA_TABLE") or found["table"],
                )
                yield route, found["proto"]

    async def _rules(self) -> AsyncIterator[tuple[str, int]]:
        """Interfaces and tables of the rules that an agent made."""
        for found in await dump(self._netlink, "rule", family=AF_INET6):
            name = found.get_attr("FRA_OIFNAME")
            ours = found.get_attr("FRA_PROTOCOL") == PROTOCOL
            if ours and found.get_attr("FRA_PRIORITY") == RULE_PRIORITY:
                yield name, found.get_attr("FRA_TABLE")

    async def _change(self, command: str, route: _Route) -> None:
        try:
            await self._netlink.route(command, **route.request())
        except NetlinkError as error:
            # It went with its interface, or its gateway has; the next change of routes tries anew.
            log.debug("uplink_route_not_changed", command=command, code=error.code)

    async def _rule(self, command: str, name: str, table: int) -> None:
        try:
            await self._netlink.rule(
                command,
                family=AF_INET6,
                oifname=name,
                table=table,
                priority=RULE_PRIORITY,
                protocol=PROTOCOL,
                action="FR_ACT_TO_TBL",
            )
        except NetlinkError as error:
            log.warning("uplink_rule_not_changed", command=command, interface=name, code=error.code)


def _moved(route: _Route, table: int) -> _Route:
    return _Route(route.gateway, route.destination, route.length, route.metric, route.index, table)
