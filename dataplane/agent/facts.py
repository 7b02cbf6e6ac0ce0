# SPDX-License-Identifier: Apache-2.0
"""The rows that are facts of the host: what its ports are, where it opens packets, what it sends from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, Protocol

from dataplane.contract.keys import Matched
from moorline.addresses import mapped
from moorline.feature_peers import PortSharing
from moorline.paths import Locator
from moorline.wire import PeerHeader, Tunnel

OWN_TABLES: Final = ("uplink", "terminate", "port_role")
"""The tables that the agent alone writes, in the order in which a change is written."""

NO_SHARING: Final = PortSharing(PeerHeader.NONE, by_mac=False)

Fields = tuple[tuple[str, int], ...]
"""Names with values; addresses as integers too, so that rows compare whatever their octets look like."""

RowKey = tuple[str, Fields]
RowValue = tuple[str, Fields]
Rows = dict[RowKey, RowValue]
"""Table and match, with action and parameters."""


class Row(Protocol):
    """A row as it is read."""

    @property
    def match(self) -> Mapping[str, Matched]:
        """The key."""

    @property
    def action(self) -> str:
        """The action's name."""

    @property
    def params(self) -> Mapping[str, bytes]:
        """The action's parameters."""


class Tables(Protocol):
    """``dataplane.contract.rows.Tables``, as far as it is needed here."""

    def write(
        self, table: str, match: Mapping[str, int | bytes], action: str, params: Mapping[str, int | bytes]
    ) -> None:
        """Insert or modify."""

    def remove(self, table: str, match: Mapping[str, int | bytes]) -> None:
        """Delete."""

    def get(self, table: str, match: Mapping[str, int | bytes]) -> Row | None:
        """Read one."""

    def rows(self, table: str) -> Iterator[Row]:
        """Read all."""


@dataclass(frozen=True, slots=True)
class PortFact:
    """A port and its role; ``hops`` is what an access or edge port takes off the TTL.

    ``sharing`` tells of a peer port how its peers are told apart; ``tunnels`` are those of user devices that
    are opened at an underlay port.
    """

    number: int
    role: Literal["underlay", "gateway", "access", "edge", "peer"]
    tenant: int = 0
    hops: int = 0
    sharing: PortSharing = NO_SHARING
    tunnels: tuple[Tunnel, ...] = ()


def port_rows(ports: Iterable[PortFact]) -> Rows:
    """``port_role`` for each port."""
    rows: Rows = {}
    for port in ports:
        key = ("port_role", (("ingress_port", port.number),))
        tenant = ("tenant", port.tenant)
        match port.role:
            case "underlay":
                rows[key] = ("underlay", ())
            case "edge":
                rows[key] = ("edge", (tenant, ("hops", port.hops)))
            case "peer":
                header, by_mac = port.sharing.header, port.sharing.by_mac
                rows[key] = ("peer", (tenant, ("header", header), ("by_mac", by_mac)))
            case _:
                rows[key] = ("access", (tenant, ("hops", port.hops)))
    return rows


def locator_rows(
    own: Sequence[Locator],
    former: Iterable[bytes] = (),
    tunnels: Mapping[int, Sequence[Tunnel]] = MappingProxyType({}),
) -> Rows:
    """``uplink`` and ``terminate`` for the node's locators.

    Args:
        own: the present locators; a port sends from its first address of each family.
        former: addresses (4 or 16 octets) of the locators before, at which packets in flight still arrive.
        tunnels: of user devices, by port; opened at its present addresses only.
    """
    rows: Rows = {}
    for port in dict.fromkeys(locator.port for locator in own):
        ours = [locator for locator in own if locator.port == port]
        params = (
            ("src4", _first(ours, 4)),
            ("src6", _first(ours, 16)),
            ("vlan", 0),
            ("mtu", min(ours[0].mtu, 0xFFFF)),
        )
        rows["uplink", (("port", port),)] = ("set_source", params)
    opened = [(at.address, tunnel) for at in own for tunnel in (Tunnel.GENEVE, *tunnels.get(at.port, ()))]
    for address, tunnel in [*opened, *((address, Tunnel.GENEVE) for address in former)]:
        outer = int.from_bytes(mapped(address))
        rows["terminate", (("outer_dst", outer), ("tunnel", int(tunnel)))] = ("open", ())
    return rows


def gateway_rows(addresses: Iterable[bytes]) -> Rows:
    """``terminate`` for addresses (4 or 16 octets) of gateway and edge ports: plain packets to them are the
    host's.
    """
    return {
        ("terminate", (("outer_dst", int.from_bytes(mapped(address))), ("tunnel", int(Tunnel.NONE)))): (
            "open",
            (),
        )
        for address in addresses
    }


def _exact(match: Mapping[str, Matched]) -> Mapping[str, bytes]:
    """The key of a row of a table whose match fields are all exact."""
    return {name: value for name, value in match.items() if isinstance(value, bytes)}


class HostFacts:
    """Keeps the agent's own tables equal to what is wanted, from whatever an earlier agent left."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._present: Rows = {
            (table, _integers(_exact(row.match))): (row.action, _integers(row.params))
            for table in OWN_TABLES
            for row in tables.rows(table)
        }

    def forget(self) -> None:
        """The tables were emptied."""
        self._present.clear()

    def apply(self, wanted: Rows) -> int:
        """Remove what is not wanted, which makes room, and write what differs; the number of touched rows."""
        gone = [key for key in self._present if key not in wanted]
        for key in gone:
            self._tables.remove(key[0], dict(key[1]))
            del self._present[key]
        changed = [key for key, value in wanted.items() if not self._stands(key, value)]
        changed.sort(key=lambda key: OWN_TABLES.index(key[0]))
        for key in changed:
            action, params = wanted[key]
            self._tables.write(key[0], dict(key[1]), action, dict(params))
            self._present[key] = wanted[key]
        return len(changed) + len(gone)

    def _stands(self, key: RowKey, value: RowValue) -> bool:
        present = self._present.get(key)
        return present is not None and present[0] == value[0] and dict(present[1]) == dict(value[1])


def _integers(values: Mapping[str, bytes]) -> Fields:
    return tuple((name, int.from_bytes(value)) for name, value in values.items())


def _first(locators: Iterable[Locator], octets: int) -> int:
    return next((int.from_bytes(found.address) for found in locators if len(found.address) == octets), 0)
