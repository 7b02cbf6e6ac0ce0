# SPDX-License-Identifier: Apache-2.0
"""Routes of a host with several IPv6 uplinks: a table for each, in step with the host's own."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent.marks import PROTOCOL
from dataplane.agent.uplink_routes import FIRST_TABLE, RULE_PRIORITY, UplinkInterface, UplinkRoutes
from tests.unit.agent.netlink_message import Message

MAIN, STATIC, KERNEL = 254, 4, 2
ONE, TWO = UplinkInterface(2, "up0", 5), UplinkInterface(3, "up1", 6)

Entry = tuple[str, str, int, int, int, int]
"""Destination, gateway, metric, interface, table, protocol."""

HOST: tuple[Entry, ...] = (
    ("2001:db8:1::/64", "", 256, 2, MAIN, KERNEL),
    ("::/0", "2001:db8:1::1", 100, 2, MAIN, STATIC),
    ("2001:db8:2::/64", "", 256, 3, MAIN, KERNEL),
    ("::/0", "2001:db8:2::1", 600, 3, MAIN, STATIC),
    ("2001:db8:9::/64", "", 256, 9, MAIN, KERNEL),
    ("2001:db8:8::/64", "", 256, 2, 77, STATIC),
)


class FakeNetlink:
    """Routes and rules of a host; refuses a gateway that no route of the same table leads to."""

    def __init__(self) -> None:
        self.routes: set[Entry] = set(HOST)
        self.rules = {("mgmt", 10, STATIC)}

    async def route(self, command: str, **fields: Any) -> Any:
        if command == "dump":
            return self._dump_routes()
        gateway = fields.get("gateway", "")
        entry = (
            fields["dst"], gateway, fields["priority"], fields["oif"], fields["table"], fields["proto"],
        )  # fmt: skip
        if command == "del":
            self.routes.remove(entry)
            return []
        if gateway and not any(e[3:5] == entry[3:5] and not e[1] for e in self.routes):
            raise NetlinkError(errno.EHOSTUNREACH)
        self.routes.add(entry)
        return []

    async def rule(self, command: str, **fields: Any) -> Any:
        if command == "dump":
            return self._dump_rules()
        rule = (fields["oifname"], fields["table"], fields["protocol"])
        (self.rules.add if command == "add" else self.rules.remove)(rule)
        return []

    async def _dump_routes(self) -> AsyncIterator[Message]:
        for destination, gateway, metric, index, table, protocol in sorted(self.routes):
            address, length = destination.split("/")
            attributes = {"RTA_DST": address if length != "0" else None, "RTA_GATEWAY": gateway or None}
            attributes |= {"RTA_PRIORITY": metric, "RTA_OIF": index, "RTA_TABLE": table}
            fields = {"type": 1, "dst_len": int(length), "table": table & 0xFF, "proto": protocol}
            yield Message(fields, attributes)

    async def _dump_rules(self) -> AsyncIterator[Message]:
        for name, table, protocol in sorted(self.rules):
            attributes = {"FRA_OIFNAME": name, "FRA_TABLE": table, "FRA_PROTOCOL": protocol}
            yield Message({}, attributes | {"FRA_PRIORITY": RULE_PRIORITY})

    def made(self) -> set[Entry]:
        return {route for route in self.routes if route[5] == PROTOCOL}


def mirrored(*uplinks: UplinkInterface) -> set[Entry]:
    """What the tables of ``uplinks`` must hold, from the host's main table."""
    tables = {uplink.index: uplink.table for uplink in uplinks}
    return {(*e[:4], tables[e[3]], PROTOCOL) for e in HOST if e[4] == MAIN and e[3] in tables}


async def test_each_uplink_has_its_own_routes_and_a_rule():
    netlink = FakeNetlink()
    await UplinkRoutes(netlink).keep([ONE, TWO])
    assert netlink.made() == mirrored(ONE, TWO)
    assert netlink.rules == {
        ("mgmt", 10, STATIC),
        ("up0", FIRST_TABLE + 5, PROTOCOL),
        ("up1", FIRST_TABLE + 6, PROTOCOL),
    }


async def test_they_follow_the_hosts_routes():
    netlink = FakeNetlink()
    routes = UplinkRoutes(netlink)
    await routes.keep([ONE, TWO])
    netlink.routes -= {("::/0", "2001:db8:2::1", 600, 3, MAIN, STATIC)}
    netlink.routes |= {("::/0", "2001:db8:2::2", 600, 3, MAIN, STATIC)}
    await routes.keep([ONE, TWO])
    assert {e[1] for e in netlink.made() if e[3] == TWO.index} == {"", "2001:db8:2::2"}


@pytest.mark.parametrize("left", [[], [ONE]], ids=["no uplink", "one uplink"])
async def test_a_host_with_less_than_two_is_as_it_was(left: list[UplinkInterface]):
    netlink = FakeNetlink()
    await UplinkRoutes(netlink).keep([ONE, TWO])
    await UplinkRoutes(netlink).keep(left)  # another agent, after the first was killed
    assert netlink.routes == set(HOST)
    assert netlink.rules == {("mgmt", 10, STATIC)}
