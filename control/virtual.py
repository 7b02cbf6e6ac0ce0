# SPDX-License-Identifier: Apache-2.0
"""Virtual addresses of services: one IPv4 and one IPv6 address each, out of the configured prefixes."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address

from control.errors import AlreadyExistsError, ExhaustedError, InvalidRequestError
from moorline.addresses import Network


class AddressPool:
    """Gives a name the same pair of addresses again as long as nobody else took it meanwhile.

    Both addresses have the same number within their prefix; the search for a free one begins at a hash of the
    name, so that a service whose lease lapsed comes back where programs remember it. A plain host has the
    addresses that it is set to.
    """

    def __init__(self, ipv4: IPv4Network, ipv6: IPv6Network) -> None:
        self._ipv4 = ipv4
        self._ipv6 = ipv6
        # Without the network's own address and, in IPv4, broadcast.
        self._size = min(ipv4.num_addresses - 2, ipv6.num_addresses - 1)
        self._taken: set[bytes] = set()

    @property
    def prefixes(self) -> tuple[str, str]:
        """Both prefixes in text form."""
        return str(self._ipv4), str(self._ipv6)

    def take(self, name: str, links: Collection[Network] = ()) -> tuple[bytes, bytes]:
        """Addresses for ``name`` (4 and 16 octets), none of them on ``links``.

        Raises:
            ExhaustedError: none is left.
        """
        number = int.from_bytes(sha256(name.encode()).digest()[:8], "big") % self._size
        tried = self._size if len(self._taken) >= 2 * self._size else 0
        while tried < self._size:
            pair = self._ipv4[number + 1].packed, self._ipv6[number + 1].packed
            step = self._step(pair, links)
            if not step:
                self._taken.update(pair)
                return pair
            tried += min(step, self._size - number)
            number = number + step if number + step < self._size else 0
        raise ExhaustedError(
            f"no virtual address is left in {self._ipv4} for {name}: unregister services, or configure "
            "a larger ipv4_prefix"
        )

    def claim(self, name: str, addresses: Collection[bytes]) -> tuple[bytes, bytes]:
        """Take the addresses of a plain host; returns those of IPv4 and IPv6, empty where there is none.

        Raises:
            InvalidRequestError: they are no addresses of the prefixes, or two of one family.
            AlreadyExistsError: one is taken.
        """
        found = {len(address): address for address in addresses}
        if not {*found} <= {4, 16} or len(found) < len(addresses):
            raise InvalidRequestError(
                f"{len(addresses)} addresses for {name}: give one of 4 octets, one of 16, or both"
            )
        for address in found.values():
            text = ip_address(address)
            prefix = self._ipv4 if text.version == 4 else self._ipv6
            if text not in prefix or text in (prefix.network_address, prefix.broadcast_address):
                raise InvalidRequestError(f"{text} is no virtual address: choose one of {prefix} for {name}")
            if address in self._taken:
                raise AlreadyExistsError(f"virtual address {text} is taken: choose another one for {name}")
        self._taken.update(found.values())
        return found.get(4, b""), found.get(16, b"")

    def restore(self, ipv4: bytes, ipv6: bytes) -> None:
        """Mark the addresses of a stored service as taken."""
        self._taken |= {ipv4, ipv6} - {b""}

    def release(self, ipv4: bytes, ipv6: bytes) -> None:
        """Give back what :meth:`take`, :meth:`claim` or :meth:`restore` took."""
        self._taken -= {ipv4, ipv6}

    def _step(self, pair: tuple[bytes, bytes], links: Collection[Network]) -> int:
        """How far the next pair is that may be free; 0: this one is."""
        for address in pair if links else ():
            at = ip_address(address)
            for link in links:
                if at in link:
                    return int(link.broadcast_address) - int(at) + 1
        return 1 if self._taken.intersection(pair) else 0
