# SPDX-License-Identifier: Apache-2.0
"""The host's translation table: virtual addresses, actual addresses, status (up or down); and its directory
of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network

from dataplane.agent.dns_core import Addresses
from moorline.addresses import Network
from moorline.api.v1 import moorline_pb2 as api


class Translations:
    """Rows by SCID, kept serialized: a node may have a million of them."""

    def __init__(self) -> None:
        self._rows: dict[int, bytes] = {}
        self._names = _Names()
        self._endpoints: tuple[api.Endpoint, ...] = ()
        self._prefixes: list[Network] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[api.Translation]:
        """All rows."""
        return map(api.Translation.FromString, self._rows.values())

    def put(self, translation: api.Translation) -> None:
        """Add or replace a row, also that of the SCID of before a rotation."""
        row = api.Translation()
        row.CopyFrom(translation)
        for scid in (row.scid, row.former_scid):
            self.remove(scid)
        row.ClearField("former_scid")
        self._rows[row.scid] = row.SerializeToString()
        self._names.learn(row.peer.service, Addresses(row.peer.ipv4, row.peer.ipv6))

    def remove(self, scid: int) -> None:
        """Take a row away; a service of which none is left is forgotten."""
        row = self._rows.pop(scid, None)
        if row is not None:
            self._names.forget(api.Translation.FromString(row).peer.service)

    def keep_only(self, scids: set[int]) -> None:
        """Take away all other rows."""
        for scid in self._rows.keys() - scids:
            self.remove(scid)

    @property
    def endpoints(self) -> tuple[api.Endpoint, ...]:
        """The services that this node has."""
        return self._endpoints

    @property
    def own_endpoints(self) -> tuple[api.Endpoint, ...]:
        """Those among them that are at the node itself, not at plain hosts behind its gateway ports."""
        return tuple(endpoint for endpoint in self._endpoints if not endpoint.port)

    def endpoint_at(self, address: bytes) -> api.Endpoint | None:
        """The service of this node with this virtual address (4 or 16 octets)."""
        return next((end for end in self._endpoints if address in (end.ipv4, end.ipv6)), None)

    def set_endpoints(self, endpoints: Iterable[api.Endpoint]) -> None:
        """The services that this node has, in the controller's order."""
        former, self._endpoints = self._endpoints, tuple(endpoints)
        for endpoint in self._endpoints:
            self._names.learn(endpoint.service, Addresses(endpoint.ipv4, endpoint.ipv6))
        for endpoint in former:
            self._names.forget(endpoint.service)

    def set_prefixes(self, prefixes: Iterable[str]) -> None:
        """The prefixes of virtual addresses, in text form."""
        self._prefixes = [ip_network(prefix, strict=False) for prefix in prefixes]

    @property
    def prefixes(self) -> tuple[Network, ...]:
        """The prefixes of virtual addresses."""
        return tuple(self._prefixes)

    def name_of(self, address: bytes) -> str | None:
        """The service with this virtual address, if this node has met it."""
        return self._names.name_of(address)

    def addresses_of(self, name: str) -> Addresses | None:
        """A service that this node has, or has met."""
        return self._names.addresses_of(name)

    def is_virtual(self, address: bytes) -> bool:
        """Whether an address (4 or 16 octets) is in a virtual prefix."""
        found = ip_address(address)
        return any(found.version == prefix.version and found in prefix for prefix in self._prefixes)


class _Names:
    """Services by name and by address, each for as long as somebody has learnt it and not forgotten it."""

    def __init__(self) -> None:
        self._by_name: dict[str, tuple[Addresses, int]] = {}
        self._by_address: dict[bytes, str] = {}

    def learn(self, name: str, addresses: Addresses) -> None:
        if not name:
            return
        known, times = self._by_name.get(name, (addresses, 0))
        if known != addresses:  # registered anew
            self._clear(name, known)
        self._by_name[name] = addresses, times + 1
        for address in _present(addresses):
            self._by_address[address] = name

    def forget(self, name: str) -> None:
        found = self._by_name.get(name)
        if found is None:
            return
        addresses, times = found
        if times > 1:
            self._by_name[name] = addresses, times - 1
            return
        del self._by_name[name]
        self._clear(name, addresses)

    def name_of(self, address: bytes) -> str | None:
        return self._by_address.get(address)

    def addresses_of(self, name: str) -> Addresses | None:
        found = self._by_name.get(name)
        return None if found is None else found[0]

    def _clear(self, name: str, addresses: Addresses) -> None:
        for address in _present(addresses):
            if self._by_address.get(address) == name:  # else it is another service's by now
                del self._by_address[address]


def _present(addresses: Addresses) -> list[bytes]:
    return [address for address in (addresses.ipv4, addresses.ipv6) if address]
