# SPDX-License-Identifier: Apache-2.0
"""Virtual addresses of services: one IPv4 and one IPv6 address each, out of the configured prefixes."""

from __future__ import annotations

from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network

from control.errors import ExhaustedError


class AddressPool:
    """Gives a name the same pair of addresses again as long as nobody else took it meanwhile.

    Both addresses have the same number within their prefix; the search for a free one begins at a hash of the
    name, so that a service whose lease lapsed comes back where programs remember it.
    """

    def __init__(self, ipv4: IPv4Network, ipv6: IPv6Network) -> None:
        self._ipv4 = ipv4
        self._ipv6 = ipv6
        # Without the network's own address and, in IPv4, broadcast.
        self._size = min(ipv4.num_addresses - 2, ipv6.num_addresses - 1)
        self._taken: set[int] = set()

    @property
    def prefixes(self) -> tuple[str, str]:
        """Both prefixes in text form."""
        return str(self._ipv4), str(self._ipv6)

    def take(self, name: str) -> tuple[bytes, bytes]:
        """Addresses for ``name`` (4 and 16 octets); raises :class:`ExhaustedError`."""
        if len(self._taken) >= self._size:
            raise ExhaustedError(
                f"no virtual address is left in {self._ipv4} for {name}: unregister services, or configure "
                "a larger ipv4_prefix"
            )
        number = int.from_bytes(sha256(name.encode()).digest()[:8], "big") % self._size
        while number in self._taken:
            number = (number + 1) % self._size
        self._taken.add(number)
        return self._ipv4[number + 1].packed, self._ipv6[number + 1].packed

    def restore(self, ipv4: bytes, ipv6: bytes) -> None:
        """Mark the addresses of a stored service as taken; those of former prefixes are left alone."""
        self._taken |= self._numbers(ipv4, ipv6)

    def release(self, ipv4: bytes, ipv6: bytes) -> None:
        """Give back what :meth:`take` or :meth:`restore` took."""
        self._taken -= self._numbers(ipv4, ipv6)

    def _numbers(self, ipv4: bytes, ipv6: bytes) -> set[int]:
        """Two when one prefix is another than at the time of :meth:`take`, else one."""
        numbers = {
            int.from_bytes(ipv4, "big") - int(self._ipv4.network_address) - 1,
            int.from_bytes(ipv6, "big") - int(self._ipv6.network_address) - 1,
        }
        return {number for number in numbers if 0 <= number < self._size}
