# SPDX-License-Identifier: Apache-2.0
"""Addresses as the contract wants them: 16 octets, network order, IPv4 in mapped form (RFC 4291, 2.5.5.2)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from moorline.errors import MoorlineError

MAPPED_PREFIX: Final = bytes(10) + b"\xff\xff"
"""What stands before the four octets of an IPv4 address in mapped form."""

MAPPED_BITS: Final = 8 * len(MAPPED_PREFIX)
"""By so many bits the prefix of an IPv4 network is longer in mapped form."""

NO_ADDRESS: Final = bytes(16)
"""All zeros: no address in a field that must have one."""

AnyAddress = str | bytes | IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class AddressError(MoorlineError):
    """A text or a run of octets that is no IP address."""


def packed(address: AnyAddress) -> bytes:
    """The address in 4 octets (IPv4) or 16 (IPv6), network order.

    Raises:
        AddressError: the text is no address, or the octets are neither 4 nor 16.
    """
    if isinstance(address, IPv4Address | IPv6Address):
        return address.packed
    if isinstance(address, bytes):
        if len(address) in (4, 16):
            return address
        raise AddressError(
            f"an address of {len(address)} octets is neither IPv4 (4) nor IPv6 (16); give one of these"
        )
    try:
        return ip_address(address).packed
    except ValueError:
        raise AddressError(
            f"{address!r} is no IP address; write one such as 192.0.2.1 or 2001:db8::1"
        ) from None


def mapped(address: AnyAddress) -> bytes:
    """The address in 16 octets, IPv4 as ``::ffff:a.b.c.d``; raises :class:`AddressError`."""
    octets = packed(address)
    return octets if len(octets) == 16 else MAPPED_PREFIX + octets


def unmapped(octets: bytes) -> IPv4Address | IPv6Address:
    """The address in 16 octets (or, taken as it is, 4); the reverse of :func:`mapped`."""
    if len(octets) == 16 and octets.startswith(MAPPED_PREFIX):
        return IPv4Address(octets[12:])
    octets = packed(octets)
    return IPv4Address(octets) if len(octets) == 4 else IPv6Address(octets)


def mapped_length(network: Network) -> int:
    """Bits of a network's prefix among the 128 of its addresses in mapped form."""
    return network.prefixlen + (MAPPED_BITS if network.version == 4 else 0)


def mapped_mask(network: Network) -> bytes:
    """The mask of a network's prefix in mapped form, 16 octets."""
    return network.netmask.packed.rjust(16, b"\xff")


def stands_for_ipv4(network: Network) -> bool:
    """Whether an IPv6 network is one of IPv4 in mapped form, and would be taken for that."""
    return (
        network.version == 6
        and network.prefixlen >= MAPPED_BITS
        and network.network_address.packed.startswith(MAPPED_PREFIX)
    )
