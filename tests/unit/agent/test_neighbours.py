# SPDX-License-Identifier: Apache-2.0
"""Neighbours that the kernel asks for in vain while a host has an address and no route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from dataplane.agent.neighbours import Neighbours
from moorline.addresses import mapped
from tests.unit.agent.netlink_message import Message

UNDERLAY, OTHER = 2, 3
INCOMPLETE, REACHABLE = 0x01, 0x02
PEER, GATEWAY, ON_LINK = "192.0.2.9", "10.0.0.1", "10.0.0.7"


class FakeNetlink:
    """The neighbour table of a host that reaches what is not 10.0.0.0/24 by a router."""

    def __init__(self, *entries: tuple[int, str, int]) -> None:
        self.entries = list(entries)

    async def neigh(self, command: str, **fields: Any) -> Any:
        if command == "dump":
            return self._dump()
        assert command == "del"
        self.entries = [e for e in self.entries if e[:2] != (fields["ifindex"], fields["dst"])]
        return []

    async def _dump(self) -> AsyncIterator[Message]:
        for index, address, state in self.entries:
            yield Message({"ifindex": index, "state": state}, {"NDA_DST": address})

    async def route(self, _command: str, dst: str) -> list[Message]:
        gateway = None if dst.startswith("10.0.0.") else GATEWAY
        return [Message({}, {"RTA_OIF": UNDERLAY, "RTA_GATEWAY": gateway})]


@pytest.mark.parametrize(
    ("entry", "stays"),
    [
        ((UNDERLAY, PEER, INCOMPLETE), False),
        ((UNDERLAY, PEER, REACHABLE), True),
        ((OTHER, PEER, INCOMPLETE), True),
        ((UNDERLAY, ON_LINK, INCOMPLETE), True),
        ((UNDERLAY, "192.0.2.77", INCOMPLETE), True),
    ],
    ids=["beyond a router", "resolved", "of another interface", "on the link", "of no peer"],
)
async def test_who_is_asked_in_vain_is_let_go_of(entry: tuple[int, str, int], stays: bool):
    netlink = FakeNetlink(entry)
    peers = [mapped(bytes(map(int, address.split(".")))) for address in (PEER, ON_LINK)]
    await Neighbours(netlink).release(peers, frozenset({UNDERLAY}))
    assert netlink.entries == ([entry] if stays else [])
