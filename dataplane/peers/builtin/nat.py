# SPDX-License-Identifier: Apache-2.0
"""A NAT: the kernel's, from the customers' addresses to its own."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from dataplane.peers.config import PeerConfig
from dataplane.peers.recipe import IN, OUT, Recipe


def recipe(config: PeerConfig, _folder: Path, _cache: Path) -> Recipe:
    """A customer keeps one address; what comes from outside without having been asked for is dropped."""
    rules = [_translate(config.addresses, version) for version in (4, 6)]
    translating = "\n".join(filter(None, rules))
    return Recipe(
        passing=f"""\
        iifname "{OUT}" ct direction original drop
        iifname "{IN}" ct state invalid drop""",
        more=f"""\
    chain translating {{
        type nat hook postrouting priority srcnat; policy accept;
{translating}
    }}""",
    )


def _translate(addresses: Sequence[IPv4Address | IPv6Address], version: int) -> str:
    family, kind = ("ip", "nfproto ipv4") if version == 4 else ("ip6", "nfproto ipv6")
    own = [address for address in addresses if address.version == version]
    if not own:
        return f'        oifname "{OUT}" meta {kind} drop'
    places = ", ".join(f"{place} : {address}" for place, address in enumerate(own))
    return f'        oifname "{OUT}" snat {family} to jhash {family} saddr mod {len(own)} map {{ {places} }}'
