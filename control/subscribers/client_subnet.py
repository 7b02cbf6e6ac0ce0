# SPDX-License-Identifier: Apache-2.0
"""The EDNS option with the client's subnet (RFC 7871, section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final, Self

from moorline.addresses import Network
from moorline.errors import MoorlineError

OPTION: Final = 8
"""Number of the option."""

_HEADER_OCTETS: Final = 4
_OCTETS: Final = {1: 4, 2: 16}
"""Of an address, by number of its family."""


class ClientSubnetError(MoorlineError):
    """An option that is malformed; its query is answered with FORMERR (section 7.1.2)."""


@dataclass(frozen=True, slots=True)
class ClientSubnet:
    """A subnet, and of how many bits of it an answer depends."""

    network: Network
    scope: int = 0

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the option's data; raises :class:`ClientSubnetError`."""
        if len(data) < _HEADER_OCTETS:
            raise ClientSubnetError(f"a client subnet of {len(data)} octets is cut off")
        family, source, scope = int.from_bytes(data[:2]), data[2], data[3]
        octets = _OCTETS.get(family)
        if octets is None or max(source, scope) > 8 * octets:
            raise ClientSubnetError(f"a client subnet of family {family} with length {source} is unknown")
        address = data[_HEADER_OCTETS:]
        if len(address) != (source + 7) // 8:
            raise ClientSubnetError(f"a client subnet of length {source} has {len(address)} octets")
        try:
            return cls(ip_network((address.ljust(octets, b"\0"), source)), scope)
        except ValueError:
            raise ClientSubnetError("a client subnet has bits behind its length") from None

    def pack(self) -> bytes:
        """The option's data."""
        length = self.network.prefixlen
        family = 1 if self.network.version == 4 else 2
        head = family.to_bytes(2) + bytes([length, self.scope])
        return head + self.network.network_address.packed[: (length + 7) // 8]
