# SPDX-License-Identifier: Apache-2.0
"""Next hops that are kept resolved for programs at XDP, also over a restart of the agent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent.marks import PROTOCOL
from dataplane.agent.neighbours import Neighbours
from moorline.addresses import mapped

NEAR, FAR, LOST = (mapped(bytes([10, 0, net, 1])) for net in (1, 2, 3))
GATEWAY = "10.0.9.1"
UP0 = frozenset({3})


class Message(dict[str, Any]):
    def get_attr(self, name: str) -> Any:
        return self.get(name)


class Kernel:
    """Routes 10.0.1.0/24 directly and 10.0.2.0/24 by a gateway, both out of interface 3."""

    def __init__(self) -> None:
        self.entries: dict[tuple[int, str], dict[str, Any]] = {}
        self.asked: list[str] = []
        self.dumps = 0

    async def route(self, _command: str, dst: str) -> list[Message]:
        if dst.startswith("10.0.3."):
            raise NetlinkError(101, "network is unreachable")
        gateway = GATEWAY if dst.startswith("10.0.2.") else None
        return [Message(RTA_OIF=3, RTA_GATEWAY=gateway)]

    async def neigh(self, command: str, **fields: Any) -> Any:
        if command == "dump":
            self.dumps += 1
            return self._dump()
        self.asked.append(f"{command} {fields['dst']}")
        key = (fields["ifindex"], fields["dst"])
        if command == "del":
            self.entries.pop(key, None)
        else:
            self.entries[key] = fields
        return None

    async def _dump(self) -> AsyncIterator[Message]:
        for (index, address), fields in self.entries.items():
            yield Message(ifindex=index, NDA_DST=address, NDA_PROTOCOL=fields.get("NDA_PROTOCOL"))


async def test_the_next_hops_are_kept_and_no_others() -> None:
    kernel = Kernel()
    neighbours = Neighbours(kernel)
    await neighbours.keep([NEAR, FAR, LOST], UP0)
    assert set(kernel.entries) == {(3, "10.0.1.1"), (3, GATEWAY)}
    assert {fields["NDA_PROTOCOL"] for fields in kernel.entries.values()} == {PROTOCOL}
    kernel.asked.clear()
    await neighbours.keep([NEAR, FAR, LOST], UP0)
    assert kernel.asked == []
    await neighbours.keep([FAR], UP0)
    assert kernel.asked == ["del 10.0.1.1"]
    await neighbours.keep([FAR], frozenset({4}))
    assert kernel.entries == {}


async def test_what_the_kernel_dropped_with_an_address_is_kept_again() -> None:
    kernel = Kernel()
    neighbours = Neighbours(kernel)
    await neighbours.keep([FAR], UP0)
    kernel.entries[3, GATEWAY] = {}  # dropped, and found by the kernel for a packet of its own
    await neighbours.keep([FAR], UP0)
    assert kernel.entries[3, GATEWAY]["NDA_PROTOCOL"] == PROTOCOL


async def test_the_next_agent_takes_over_what_was_kept_and_leaves_the_rest_alone() -> None:
    kernel = Kernel()
    await Neighbours(kernel).keep([NEAR, FAR], UP0)
    kernel.entries[3, "10.0.8.8"] = {}  # somebody else's
    kernel.asked.clear()
    after = Neighbours(kernel)
    await after.keep([], UP0, and_no_others=False)  # no peer has been named yet
    assert kernel.asked == []
    await after.keep([FAR], UP0)
    assert kernel.asked == ["del 10.0.1.1"]
    assert set(kernel.entries) == {(3, GATEWAY), (3, "10.0.8.8")}


async def test_where_none_is_wanted_the_kernel_is_asked_until_none_is_there() -> None:
    kernel = Kernel()
    await Neighbours(kernel).keep([NEAR], UP0)  # an earlier agent's
    neighbours = Neighbours(kernel)
    await neighbours.keep([], UP0, and_no_others=False)
    assert kernel.entries
    for _ in range(3):
        await neighbours.keep([], UP0)
    assert (kernel.entries, kernel.dumps) == ({}, 3)
    await neighbours.keep([NEAR], UP0)
    assert kernel.entries
