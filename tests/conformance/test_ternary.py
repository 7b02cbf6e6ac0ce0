# SPDX-License-Identifier: Apache-2.0
"""The C lookups of ternary tables find what a sorted list gives, while entries come and go."""

from __future__ import annotations

import random
import struct
from typing import NamedTuple

import pytest

from moorline.matches import Masked, Prefix
from tools.classes import Lookups

ETHERNET = bytes(14)
FIELDS = {
    **{"src": 16, "dst": 16, "tenant": 4, "ingress_port": 2, "vlan": 2, "src_mac": 6},
    **{"src_port": 2, "dst_port": 2, "protocol": 1},
}
"""Octets in C."""
BITS = {"tenant": 24, "ingress_port": 9, "vlan": 12}
"""Width in the contract, where it is less than in C."""

Key = dict[str, int]


@pytest.fixture(scope="module")
def lookups() -> Lookups:
    return Lookups()


def packed(key: Key) -> bytes:
    return struct.pack(
        "=16s16sIHH6sHHB5x",
        *(key[name].to_bytes(16, "big") for name in ("src", "dst")),
        *(key[name] for name in ("tenant", "ingress_port", "vlan")),
        key["src_mac"].to_bytes(6, "big"),
        *(key[name] for name in ("src_port", "dst_port", "protocol")),
    )


class Rule(NamedTuple):
    spi: int
    priority: int
    masks: Key
    values: Key

    def matches(self, key: Key) -> bool:
        return all(key[name] & mask == self.values[name] for name, mask in self.masks.items())

    @property
    def match(self) -> dict[str, Masked]:
        return {
            name: Masked(self.values[name].to_bytes(FIELDS[name], "big"), mask.to_bytes(FIELDS[name], "big"))
            for name, mask in self.masks.items()
        }


def ones(field: str) -> int:
    return (1 << BITS.get(field, 8 * FIELDS[field])) - 1


def some_key(source: random.Random) -> Key:
    """Of few, so that rules meet."""
    return {name: source.choice((0, 1, 2, 0x103)) & ones(name) for name in FIELDS}


def some_rules(source: random.Random, count: int, masks: int) -> list[Rule]:
    def some_mask() -> Key:
        return {name: source.choice((1, 3, ones(name))) for name in FIELDS if source.random() < 0.3}

    chosen, rules = [some_mask() for _ in range(masks)], {}
    priorities = source.sample(range(1, 10 * count), count)
    for spi, priority in enumerate(priorities, 1):
        mask, key = source.choice(chosen), some_key(source)
        rule = Rule(spi, priority, mask, {name: key[name] & bits for name, bits in mask.items()})
        rules[priority] = rule
    return list(rules.values())


def spi_of(rules: list[Rule], key: Key) -> int:
    matching = ((rule.priority, rule.spi) for rule in rules if rule.matches(key))
    return max(matching, default=(0, 0))[1]


@pytest.mark.parametrize("masks", [1, 5, 60])
def test_classes_while_rules_come_and_go(lookups: Lookups, masks: int) -> None:
    source = random.Random(masks)
    program, tables = lookups.program("class_of"), lookups.tables
    keys = [some_key(source) for _ in range(60)]
    rules = some_rules(source, 300, masks)
    standing: list[Rule] = []

    def all_right() -> None:
        for key in keys:
            assert program.run(ETHERNET + packed(key), 1)[0] == spi_of(standing, key)

    for number, rule in enumerate(rules):
        path = {"spi": rule.spi, "si": 255, "mtu": 1}
        tables.write("classifier", rule.match, "set_path", path, rule.priority)
        standing.append(rule)
        if number % 20 == 0:
            all_right()
    all_right()
    source.shuffle(standing)
    while standing:
        rule = standing.pop()
        tables.remove("classifier", rule.match, rule.priority)
        if len(standing) % 20 == 0:
            all_right()


def test_another_action_is_seen_by_flows_that_are_known(lookups: Lookups) -> None:
    program, tables = lookups.program("class_of"), lookups.tables
    key = some_key(random.Random(1))
    for spi in (5, 6):
        tables.write("classifier", {}, "set_path", {"spi": spi, "si": 255, "mtu": 1}, 1)
        assert program.run(ETHERNET + packed(key), 1)[0] == spi
    row = tables.get("classifier", {}, 1)
    assert row is not None
    assert row.packets == 2
    tables.remove("classifier", {}, 1)
    assert program.run(ETHERNET + packed(key), 1)[0] == 0


def address(text_or_number: int) -> bytes:
    return text_or_number.to_bytes(16, "big")


def test_the_longest_prefix_wins(lookups: Lookups) -> None:
    source = random.Random(7)
    program, tables = lookups.program("way_of"), lookups.tables
    routes: dict[tuple[int, int, int], int] = {}
    for node in range(1, 400):
        length = source.choice((0, 8, 96, 104, 112, 120, 126, 128))
        number = source.choice((0, 0xFFFF << 32)) | source.getrandbits(6) << 120 | source.getrandbits(3)
        value = number >> (128 - length) << (128 - length)
        routes[source.choice((1, 2)), value, length] = node
    for (tenant, value, length), node in routes.items():
        match = {"tenant": tenant, "destination": Prefix(address(value), length)}
        tables.write("route", match, "route_node", {"node": node})

    def node_of(tenant: int, destination: int) -> int:
        for length in range(128, -1, -1):
            node = routes.get((tenant, destination >> (128 - length) << (128 - length), length))
            if node:
                return node
        return 0

    def all_right() -> None:
        for _ in range(300):
            destination = source.choice(list(routes) or [(0, 0, 0)])[1] ^ source.getrandbits(2)
            tenant = source.choice((1, 2, 3))
            frame = ETHERNET + address(destination) + struct.pack("=II", tenant, 0)
            assert program.run(frame, 1)[0] == node_of(tenant, destination)

    all_right()
    for key in source.sample(list(routes), len(routes) // 2):
        tables.remove("route", {"tenant": key[0], "destination": Prefix(address(key[1]), key[2])})
        del routes[key]
    all_right()
    for row in list(tables.rows("route")):
        tables.remove("route", row.match)
    routes.clear()
    all_right()
