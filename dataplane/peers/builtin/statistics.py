# SPDX-License-Identifier: Apache-2.0
"""Statistics: what each customer's address sent and received, and caps on it; counted by the kernel."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from dataplane.peers.base import PeerError
from dataplane.peers.config import PeerConfig
from dataplane.peers.recipe import IN, OUT, Recipe

SIZE: Final = 65535
"""Addresses of each family that are told apart; those beyond are not counted, and have no cap."""

_FAMILIES: Final = ((4, "ip", "ipv4_addr"), (6, "ip6", "ipv6_addr"))


@dataclass(slots=True)
class AddressUsage:
    """Of one customer's address, in IP packets."""

    sent_packets: int = 0
    sent_octets: int = 0
    received_packets: int = 0
    received_octets: int = 0


def recipe(config: PeerConfig, _folder: Path, _cache: Path) -> Recipe:
    """Caps first: what they drop is not counted."""
    sets, rules = [], []
    for number, cap in enumerate(config.caps):
        for version, family, kind in _FAMILIES:
            if customers := [str(prefix) for prefix in cap.customers if prefix.version == version]:
                name = f"cap{number}_{version}"
                sets.append(_set(name, kind))
                those = f"{{ {', '.join(customers)} }}"
                quota = f"quota over {cap.megabytes} mbytes"
                for interface, end in ((IN, "saddr"), (OUT, "daddr")):
                    update = f"update @{name} {{ {family} {end} {quota} }} drop"
                    rules.append(f'        iifname "{interface}" {family} {end} {those} {update}')
    for version, family, kind in _FAMILIES:
        for interface, end, name in ((IN, "saddr", "sent"), (OUT, "daddr", "received")):
            sets.append(_set(f"{name}{version}", kind))
            rules.append(
                f'        iifname "{interface}" update @{name}{version} {{ {family} {end} counter }}'
            )
    if config.shortcut is not None:
        rules.insert(
            0, "        ct state invalid drop"
        )  # whoever looks at connections has the kernel follow them
    return Recipe(passing="\n".join(rules), more="\n".join(sets))


def _set(name: str, kind: str) -> str:
    return f"    set {name} {{ type {kind}; flags dynamic; size {SIZE}; }}"


def usage(listing: str) -> dict[IPv4Address | IPv6Address, AddressUsage]:
    """What ``nft -j list table inet moorline`` says of each address; raises :class:`PeerError`."""
    found: defaultdict[IPv4Address | IPv6Address, AddressUsage] = defaultdict(AddressUsage)
    try:
        for name, address, packets, octets in _counted(listing):
            if name.startswith("sent"):
                found[address].sent_packets, found[address].sent_octets = packets, octets
            elif name.startswith("received"):
                found[address].received_packets, found[address].received_octets = packets, octets
    except (ValueError, KeyError, TypeError) as error:
        raise PeerError(f"nft lists counters in a form that is not known ({error}): report it") from error
    return dict(found)


def _counted(listing: str) -> Iterator[tuple[str, IPv4Address | IPv6Address, int, int]]:
    for item in json.loads(listing)["nftables"]:
        for element in item.get("set", {}).get("elem", ()):
            content = element["elem"]
            if "counter" in content:
                counter = content["counter"]
                yield item["set"]["name"], ip_address(content["val"]), counter["packets"], counter["bytes"]
