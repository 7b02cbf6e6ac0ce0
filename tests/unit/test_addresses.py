# SPDX-License-Identifier: Apache-2.0
"""Addresses and networks in mapped form."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis.strategies import integers, ip_addresses

from moorline.addresses import MAPPED_PREFIX, mapped, mapped_length, mapped_mask, stands_for_ipv4, unmapped


@pytest.mark.parametrize(
    ("network", "length", "mask"),
    [
        ("0.0.0.0/0", 96, "ff" * 12 + "00000000"),
        ("198.51.100.64/26", 122, "ff" * 15 + "c0"),
        ("192.0.2.1/32", 128, "ff" * 16),
        ("::/0", 0, "00" * 16),
        ("2001:db8::/29", 29, "fffffff8" + "00" * 12),
        ("2001:db8::1/128", 128, "ff" * 16),
    ],
)
def test_a_network_in_mapped_form(network: str, length: int, mask: str) -> None:
    """Its prefix in bits and as a mask."""
    assert mapped_length(ip_network(network)) == length
    assert mapped_mask(ip_network(network)).hex() == mask


@pytest.mark.parametrize(
    ("network", "does"),
    [("::ffff:192.0.2.0/120", True), ("::ffff:0:0/96", True), ("::ffff:0:0/95", False), ("::/0", False)],
)
def test_networks_that_stand_for_ipv4(network: str, does: bool) -> None:
    """None that has other addresses too."""
    assert stands_for_ipv4(ip_network(network, strict=False)) is does
    assert not stands_for_ipv4(ip_network("192.0.2.0/24"))


@given(ip_addresses(v=4), integers(0, 32))
def test_length_and_mask_agree_on_ipv4(address: IPv4Address, bits: int) -> None:
    """The network in mapped form is a network with that mask."""
    network = IPv4Network((address, bits), strict=False)
    within = IPv6Network((mapped(network.network_address), mapped_length(network)))
    assert within.netmask.packed == mapped_mask(network)


@given(ip_addresses())
def test_an_address_and_its_mapped_form(address: IPv4Address | IPv6Address) -> None:
    """IPv4 stands behind the prefix of mapped addresses, and comes back as IPv4."""
    octets = mapped(address)
    if address.version == 4:
        assert octets == MAPPED_PREFIX + address.packed
    if address.version == 4 or not octets.startswith(MAPPED_PREFIX):
        assert unmapped(octets) == address
