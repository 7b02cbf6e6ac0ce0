# SPDX-License-Identifier: Apache-2.0
"""Random entries that hang together: those of the scene, with some missing and some values changed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from moorline.wire import Tunnel
from tools.fuzz.graph_scene import GROUP, INSTANCES, OTHER, SPI
from tools.fuzz.scene import ENTRIES, NEXT_HOPS, PLAIN, scene
from tools.vectors.entries import mapped
from tools.vectors.model import Entry, Value
from tools.vectors.world import (
    ACCESS,
    ANY4,
    FORMER4,
    FORMER6,
    GATEWAY,
    GONE,
    INTERNET,
    SECOND,
    TENANT,
    UNASSIGNED,
    UNDERLAY,
    USERS,
    VIRTUAL4_LOCAL,
    VIRTUAL6_LOCAL,
)

UNTOUCHED: Final = 0.2
"""Share of the scenes that are played as they are."""
MISSING: Final = 0.03
CHANGED: Final = 0.15
"""Shares of the entries of the others that are left out, or changed."""

_TENANTS: Final = (TENANT, 0, TENANT + 1, 0xFFFFFF)
_HOPS: Final = (0, 1, 2, 63, 64, 255)
_NODES: Final = (*(entry.key["node"] for entry in ENTRIES if entry.table == "locator"), 0, 99, 0xFFFF)
_SCIDS: Final = (*(entry.key["scid"] for entry in ENTRIES if entry.table == "scid"), 0)
_CARRIED: Final = _SCIDS[:-1]
"""What an entry of ``connection`` may say: a connection has an SCID."""
_PATHS: Final = tuple(NEXT_HOPS)
_ADDRESSES4: Final = (ANY4, VIRTUAL4_LOCAL, GATEWAY.host4, "10.77.0.2", "10.77.0.4")
_ADDRESSES6: Final = ("::", VIRTUAL6_LOCAL, GATEWAY.host6, "fd77::2", "fd77::4")
_SOURCES: Final = ("::", mapped(FORMER4), FORMER6, *(address for _, address in _PATHS))

_POOLS: Final[Mapping[str, Sequence[Value]]] = {
    "tenant": _TENANTS,
    "hops": _HOPS,
    "node": _NODES,
    "node0": _NODES,
    "node1": _NODES,
    "scid": _SCIDS,
    "scid0": _SCIDS,
    "scid1": _SCIDS,
    "local4": _ADDRESSES4,
    "peer4": _ADDRESSES4,
    "local6": _ADDRESSES6,
    "peer6": _ADDRESSES6,
    "previous0": _SOURCES,
    "previous1": _SOURCES,
    "spi": (0, 1, SPI, OTHER, 0xFFFFFF),
    "si": (0, 1, 8, 251, 255),
    "check": (0, 1, 2),
    "group": (GROUP, 0, GROUP + 1),
    "by_destination": (0, 1),
    "instance": (0, *INSTANCES),
    "vlan": (0, 1, 300, 4095, 0x2123),
    "mtu": (0, 68, 104, 124, 200, 576, 1280, 1429, 1448, 1499, 1500),
}
"""Values worth trying, by the name of the parameter. No MTU above the interfaces' own: Linux minds it too."""

_PORTS: Final[Mapping[str, Sequence[Value]]] = {
    "scid": (ACCESS.number, GATEWAY.number, GONE),
    "connection": (ACCESS.number, GATEWAY.number, GONE, 0),
    "route": (INTERNET.number, USERS.number, UNDERLAY.number, SECOND.number),
}
"""Where a table lets packets leave."""


def _is_own(entry: Entry) -> bool:
    """Whether it is an address that is the kernel's, which a switch has not."""
    return entry.table == "terminate" and entry.key["tunnel"] == Tunnel.NONE


class EntryGenerator:
    """An endless supply of sets of entries; the same seed gives the same."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def entries(self, number: int | None = None) -> tuple[Entry, ...]:
        """The next set, no key twice; ``number``: of a round with service graphs, or without any."""
        origin = PLAIN if number is None else tuple(one for one in scene(number) if not _is_own(one))
        if self._random.random() < UNTOUCHED:
            return origin
        every = (*self._added(), *self._varied(origin))
        return tuple({(one.table, one.priority, *one.key.items()): one for one in every}.values())

    def _varied(self, origin: Sequence[Entry]) -> list[Entry]:
        kept = [entry for entry in origin if self._random.random() >= MISSING]
        return [self._changed(entry) if self._random.random() < CHANGED else entry for entry in kept]

    def _added(self) -> list[Entry]:
        """Roles that the scene's ports do not have; the scene's own entries come before them."""
        role = self._random.choice((Entry("port_role", {"ingress_port": UNASSIGNED}, "underlay"), None))
        return [] if role is None else [role]

    def _changed(self, entry: Entry) -> Entry:
        if entry.table == "port_role":
            return self._other_role(entry)
        if entry.table == "locator":
            return self._other_paths(entry)
        if entry.table == "connection" and self._random.random() < 0.2:
            return self._other_verdict(entry)
        params = dict(entry.params)
        pools = {name: _POOLS[name] for name in params if name in _POOLS}
        if "port" in params and entry.table in _PORTS:
            pools["port"] = _PORTS[entry.table]
        if entry.action == "encapsulate":
            pools["scid"] = _CARRIED
        for name in self._random.sample(sorted(pools), k=min(len(pools), self._random.choice((1, 1, 2)))):
            params[name] = self._random.choice(pools[name])
        return replace(entry, params=params)

    def _other_role(self, entry: Entry) -> Entry:
        if self._random.random() < 0.2:
            return Entry(entry.table, entry.key, "underlay")
        if entry.action == "peer":
            return replace(entry, params={**entry.params, "tenant": self._random.choice(_TENANTS)})
        params = {"tenant": self._random.choice(_TENANTS), "hops": self._random.choice(_HOPS)}
        action = "edge" if entry.action == "edge" else "access"
        return Entry(entry.table, entry.key, action, params)

    def _other_paths(self, entry: Entry) -> Entry:
        params = dict(entry.params)
        number = self._random.choice("01")
        params[f"port{number}"], params[f"dst{number}"] = self._random.choice(
            [path for path in _PATHS if path[0] in (UNDERLAY.number, SECOND.number)]
        )
        params[f"previous{number}"] = self._random.choice(_SOURCES)
        return Entry(entry.table, entry.key, entry.action, params)

    def _other_verdict(self, entry: Entry) -> Entry:
        if self._random.random() < 0.5:
            return Entry(entry.table, entry.key, "reject")
        return Entry(entry.table, entry.key, "local", {"port": self._random.choice(_PORTS["connection"])})
