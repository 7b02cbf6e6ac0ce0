# SPDX-License-Identifier: Apache-2.0
"""The tables that a model of the document looks into."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from typing import Any, Final, NamedTuple

from moorline.matches import Masked, Prefix
from moorline.wire import Tunnel
from tools.vectors.model import Entry, matched, number

from .rules import MAPPED

Params = Mapping[str, Any]


class Action(NamedTuple):
    """What an entry says."""

    name: str
    params: Params


KEYS: Final = {
    "connection": ("tenant", "src", "dst"),
    "terminate": ("outer_dst", "tunnel"),
    "shortcut": ("tenant", "src", "dst", "protocol", "src_port", "dst_port"),
    "device": ("source", "tunnel", "key"),
    "path_hop": ("spi", "si", "instance"),
    "affinity": ("group", "customer"),
    "resume": ("ingress_port", "header", "label", "src_mac"),
}
"""Fields of the keys that have several."""

ADDRESS_BITS: Final = 128


class Tables:
    """What a data plane that holds these entries finds in its tables."""

    def __init__(self, entries: Iterable[Entry], tunnels: Container[int]) -> None:
        """``tunnels``: the kinds that may be opened."""
        exact: defaultdict[str, dict[Any, Action]] = defaultdict(dict)
        rules: list[tuple[int, Mapping[str, Any], Action]] = []
        routes: list[tuple[int, int, int, Action]] = []
        for entry in entries:
            key = {name: matched(value) for name, value in entry.key.items()}
            action = Action(entry.action, {name: number(value) for name, value in entry.params.items()})
            if entry.table == "classifier":
                rules.append((entry.priority, key, action))
            elif entry.table == "route":
                prefix = key["destination"]
                assert isinstance(prefix, Prefix)
                tenant = key["tenant"]
                assert isinstance(tenant, int)
                routes.append((prefix.length, tenant, int.from_bytes(prefix.value), action))
            else:
                names = KEYS.get(entry.table, tuple(key))
                parts = tuple(key[name] for name in names)
                exact[entry.table][parts if len(parts) > 1 else parts[0]] = action
        self._exact = exact
        self._rules = sorted(rules, key=lambda rule: -rule[0])
        self._routes = sorted(routes, key=lambda route: -route[0])
        opened = [(at, kind) for at, kind in exact["terminate"] if kind in tunnels]
        self.opened4 = frozenset((at[12:], kind) for at, kind in opened if at.startswith(MAPPED))
        self.opened6 = frozenset((at, kind) for at, kind in opened if not at.startswith(MAPPED))

    def find(self, table: str, *key: int | bytes) -> Action | None:
        """The entry of a table that is matched as a whole."""
        return self._exact[table].get(key if len(key) > 1 else key[0])

    def params(self, table: str, *key: int | bytes) -> Params | None:
        """The parameters of such an entry."""
        found = self.find(table, *key)
        return None if found is None else found.params

    def is_own(self, address: bytes) -> bool:
        """Whether it is one of the node's own addresses on a link of its hosts."""
        return (address, int(Tunnel.NONE)) in self._exact["terminate"]

    def classify(self, packet: Mapping[str, int]) -> Action | None:
        """The rule of highest priority that fits."""
        for _, key, action in self._rules:
            if all(_fits(packet[name], wanted) for name, wanted in key.items()):
                return action
        return None

    def route(self, tenant: int, destination: bytes) -> Action | None:
        """The route with the longest prefix."""
        address = int.from_bytes(destination)
        for length, whose, value, action in self._routes:
            if whose == tenant and address >> ADDRESS_BITS - length == value >> ADDRESS_BITS - length:
                return action
        return None


def _fits(value: int, wanted: int | bytes | Masked | Prefix) -> bool:
    if isinstance(wanted, Masked):
        return value & int.from_bytes(wanted.mask) == int.from_bytes(wanted.value)
    assert not isinstance(wanted, Prefix)
    return value == (int.from_bytes(wanted) if isinstance(wanted, bytes) else wanted)
