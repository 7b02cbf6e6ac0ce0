# SPDX-License-Identifier: Apache-2.0
"""The host's own packets to plain hosts behind its gateway ports go through the pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from ipaddress import ip_interface
from socket import AF_INET, AF_INET6
from typing import Any

import pytest

from dataplane.agent.gateway_routes import AS_GATEWAY, HANDED_ON, MAIN, OWN, TABLE, GatewayLink, GatewayRoutes
from dataplane.agent.marks import PROTOCOL
from tests.unit.agent.netlink_message import Message

NEAR = 4
LINK = GatewayLink("lan0", (ip_interface("10.77.200.1/24"), ip_interface("fd77:200::1/64")))
FOREIGN = {"family": AF_INET, "priority": OWN, "table": MAIN, "protocol": 4, "dst": "10.0.0.0", "dst_len": 8}


class Kernel:
    """Keeps what it is given, and dumps it as pyroute2 does."""

    def __init__(self) -> None:
        self.rules: list[dict[str, Any]] = [FOREIGN]
        self.routes: list[dict[str, Any]] = []
        self.done: list[str] = []
        self.dumps = 0

    async def rule(self, command: str, **request: Any) -> Any:
        return self._apply(self.rules, self._rules, command, request)

    async def route(self, command: str, **request: Any) -> Any:
        return self._apply(self.routes, self._routes, command, request)

    def _apply(self, kept: list[dict[str, Any]], dump: Any, command: str, request: dict[str, Any]) -> Any:
        if command == "dump":
            self.dumps += 1
            return dump(request["family"])
        self.done.append(command)
        if command == "add":
            kept.append(request)
        else:
            kept.remove(request)
        return None

    async def _rules(self, family: int) -> AsyncIterator[Message]:
        for rule in [rule for rule in self.rules if rule["family"] == family]:
            attributes = {f"FRA_{name.upper()}": value for name, value in rule.items()}
            yield Message({"dst_len": rule.get("dst_len", 0)}, attributes)

    async def _routes(self, family: int) -> AsyncIterator[Message]:
        yield Message({"type": 1, "dst_len": 0}, {"RTA_TABLE": MAIN, "RTA_OIF": 2})
        for route in [route for route in self.routes if route["family"] == family]:
            address, length = route["dst"].split("/")
            attributes = {"RTA_DST": address, "RTA_OIF": route["oif"], "RTA_PREFSRC": route["prefsrc"]}
            yield Message({"type": 1, "dst_len": int(length)}, attributes | {"RTA_TABLE": route["table"]})


async def test_own_packets_go_to_the_pipeline_and_the_gateways_do_not() -> None:
    kernel = Kernel()
    routes = GatewayRoutes(kernel)
    await routes.keep([LINK], NEAR, ["10.77.0.9", "fd77::9"])
    kept = [(r["dst"], r["oif"], r["prefsrc"], r["table"], r["proto"]) for r in kernel.routes]
    assert sorted(kept) == [
        ("10.77.200.0/24", NEAR, "10.77.0.9", TABLE, PROTOCOL),
        ("fd77:200::/64", NEAR, "fd77::9", TABLE, PROTOCOL),
    ]
    made = [rule for rule in kernel.rules if rule["family"] == AF_INET and rule is not FOREIGN]
    common = {"family": AF_INET, "protocol": PROTOCOL, "action": "FR_ACT_TO_TBL"}
    link = {"dst": "10.77.200.0", "dst_len": 24}
    assert made == [
        {**common, **link, "priority": HANDED_ON, "table": MAIN, "oifname": "lan0"},
        {**common, **link, "priority": AS_GATEWAY, "table": MAIN, "src": "10.77.200.1", "src_len": 32},
        {**common, **link, "priority": OWN, "table": TABLE, "iifname": "lo"},
    ]
    assert [rule["priority"] for rule in kernel.rules if rule["family"] == AF_INET6] == [
        HANDED_ON,
        AS_GATEWAY,
        OWN,
    ]
    kernel.done.clear()
    await routes.keep([LINK], NEAR, ["10.77.0.9", "fd77::9"])
    assert kernel.done == []


async def test_a_host_without_services_of_its_own_is_as_it_was() -> None:
    kernel = Kernel()
    routes = GatewayRoutes(kernel)
    await routes.keep([LINK], NEAR, ["10.77.0.9"])
    assert {rule["family"] for rule in kernel.rules} == {AF_INET}
    await GatewayRoutes(kernel).keep([LINK], NEAR, [])  # another agent's
    assert kernel.rules == [FOREIGN]
    assert kernel.routes == []


@pytest.mark.parametrize("links", [[], [LINK]])
async def test_services_that_come_to_a_host_cost_no_dumps(links: list[GatewayLink]) -> None:
    kernel = Kernel()
    routes = GatewayRoutes(kernel)
    await routes.keep(links, NEAR, ["10.77.0.9"])
    first = kernel.dumps
    for _ in range(200):
        await routes.keep(links, NEAR, ["10.77.0.9"])
    assert (first, kernel.dumps) == (4, 4)  # rules and routes of both families


async def test_what_went_with_its_link_is_made_anew() -> None:
    kernel = Kernel()
    routes = GatewayRoutes(kernel)
    await routes.keep([LINK], NEAR, ["10.77.0.9"])
    made = [*kernel.routes]
    kernel.routes.clear()
    routes.doubt()
    await routes.keep([LINK], NEAR, ["10.77.0.9"])
    assert kernel.routes == made
