# SPDX-License-Identifier: Apache-2.0
"""The host's links and addresses, from the kernel's messages; the locators that follow; their generation."""

from __future__ import annotations

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st

from dataplane.agent.locators import MAX_LOCATORS, OwnLocators, UnderlayPort, find_locators
from dataplane.agent.netlink import (
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    Changed,
    HostTable,
    split,
)
from moorline.paths import Locator

LINK_CHANGED = Changed.LINKS | Changed.ADDRESSES
UP, NO_CARRIER, DOWN = 0x10001, 0x1, 0x0
ONE = bytes([192, 0, 2, 1])
SIX = bytes.fromhex("20010db8") + bytes(11) + b"\1"


def message(kind: int, body: bytes) -> bytes:
    head = struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0)
    return head + body + bytes(-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def link(
    name: str = "eth0",
    index: int = 2,
    flags: int = UP,
    mtu: int = 1500,
    kind: int = RTM_NEWLINK,
    family: int = 0,
) -> bytes:
    body = struct.pack("=BxHiII", family, 1, index, flags, 0)
    body += (
        attribute(3, name.encode() + b"\0") + attribute(4, struct.pack("=I", mtu)) + attribute(1, b"\2" * 6)
    )
    return message(kind, body)


def address(value: bytes, index: int = 2, scope: int = 0, flags: int = 0, kind: int = RTM_NEWADDR) -> bytes:
    family = socket.AF_INET if len(value) == 4 else socket.AF_INET6
    body = struct.pack("=BBBBI", family, 24, flags & 0xFF, scope, index)
    return message(kind, body + attribute(1, value) + attribute(8, struct.pack("=I", flags)))


def table(*messages: bytes) -> HostTable:
    found = HostTable()
    found.apply(b"".join(messages))
    return found


PORTS = [UnderlayPort("eth0", 1), UnderlayPort("eth1", 2)]


def test_locators_are_the_addresses_of_ports_that_are_up() -> None:
    host = table(
        link("eth1", 3, mtu=9000),
        link("eth0", 2),
        address(SIX, 3),
        address(ONE, 2),
        link("lan0", 4),
        address(ONE, 4),
    )
    assert find_locators(host, PORTS) == (Locator(ONE, 1, "eth0", 1500), Locator(SIX, 2, "eth1", 9000))
    for flags in (NO_CARRIER, DOWN):
        host.apply(link("eth0", 2, flags))
        assert [locator.port for locator in find_locators(host, PORTS)] == [2]


def test_of_very_many_addresses_the_first_are_told() -> None:
    many = [bytes([10, 0, 0, number]) for number in range(MAX_LOCATORS + 8)]
    found = find_locators(table(link(), *map(address, many)), PORTS)
    assert [locator.address for locator in found] == many[:MAX_LOCATORS]


def test_an_address_comes_and_goes() -> None:
    host = table(link())
    assert host.apply(address(ONE)) is Changed.ADDRESSES
    assert host.apply(address(ONE)) is Changed.NOTHING  # a renewed lease
    assert host.apply(address(ONE, kind=RTM_DELADDR)) is Changed.ADDRESSES
    assert host.apply(address(ONE, kind=RTM_DELADDR)) is Changed.NOTHING
    assert find_locators(host, PORTS) == ()


def test_addresses_that_nobody_else_can_use_are_none() -> None:
    host = table(link())
    assert host.apply(address(SIX, scope=253)) is Changed.NOTHING  # link
    assert host.apply(address(ONE, scope=254)) is Changed.NOTHING  # host
    assert host.apply(address(SIX, flags=0x40)) is Changed.NOTHING  # tentative
    assert host.apply(address(SIX)) is Changed.ADDRESSES
    assert host.apply(address(SIX, flags=0x08)) is Changed.ADDRESSES  # somebody else has it
    assert find_locators(host, PORTS) == ()


def test_an_interface_that_goes_takes_its_addresses_along() -> None:
    host = table(link(), address(ONE))
    assert host.apply(link(kind=RTM_DELLINK)) == LINK_CHANGED
    assert host.apply(link(index=7)) == LINK_CHANGED
    assert find_locators(host, PORTS) == ()


def test_a_link_seen_by_its_bridge_is_no_change() -> None:
    host = table(link(), address(ONE))
    assert host.apply(link(kind=RTM_DELLINK, family=socket.AF_BRIDGE)) is Changed.NOTHING
    assert host.apply(link()) is Changed.NOTHING
    assert host.apply(link(mtu=1400)) == LINK_CHANGED
    assert len(find_locators(host, PORTS)) == 1


def test_a_burst_is_one_change() -> None:
    assert table().apply(link() + address(ONE) + message(RTM_NEWROUTE, bytes(12))) == (
        LINK_CHANGED | Changed.ROUTES
    )


@given(st.binary(max_size=200))
def test_garbage_changes_nothing_for_the_worse(data: bytes) -> None:
    host = table(link(), address(ONE))
    host.apply(data)
    assert sum(16 + len(body) for _, body in split(data)) <= len(data)


@given(st.data())
def test_a_message_that_is_cut_off_is_left_out(data: st.DataObject) -> None:
    whole = link() + address(ONE)
    host = table(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert find_locators(host, PORTS) == ()


# ---- generations -------------------------------------------------------------------------------------------

HERE, THERE = (Locator(ONE, 1, "eth0", 1500),), (Locator(SIX, 1, "eth0", 1500),)


@given(st.lists(st.tuples(st.sampled_from([HERE, THERE, ()]), st.integers(0, 10**19)), max_size=20))
def test_generations_only_grow_whatever_the_clock_does(steps: list[tuple[tuple[Locator, ...], int]]) -> None:
    own = OwnLocators(generation=1000)
    for found, clock in steps:
        before, differs = own.generation, found != own.locators
        assert own.update(found, clock) == differs
        assert own.locators == found
        assert own.generation > before if differs else own.generation == before


def test_a_generation_is_the_time_where_that_is_later() -> None:
    own = OwnLocators(generation=5)
    own.update(HERE, 1_000)
    assert own.generation == 1_000
    own.update(THERE, 1_000)
    assert own.generation == 1_001
