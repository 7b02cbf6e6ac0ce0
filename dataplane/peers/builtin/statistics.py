# SPDX-License-Identifier: Apache-2.0
"""Statistics: what each customer's address sent and received, and caps on it; counted by the kernel.

What flows carry past the peer is handed over at their end: sets of their own count it, and a customer with a
cap gets a quota of his own then, which begins with all that he has used.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple

from dataplane.peers.base import PeerError
from dataplane.peers.config import PeerConfig, UsageCap
from dataplane.peers.flows import Flow, Traffic
from dataplane.peers.recipe import IN, OUT, Recipe

SIZE: Final = 65535
"""Addresses of each family that are told apart; those beyond are not counted, and have no cap."""

_Address = IPv4Address | IPv6Address

_FAMILIES: Final = ((4, "ip", "ipv4_addr"), (6, "ip6", "ipv6_addr"))


@dataclass(slots=True)
class AddressUsage:
    """Of one customer's address, in IP packets."""

    sent_packets: int = 0
    sent_octets: int = 0
    received_packets: int = 0
    received_octets: int = 0


class _Way(NamedTuple):
    """One direction: where packets come in, which address is the customer's, and the set that counts it."""

    interface: str
    end: str
    name: str


_WAYS: Final = (_Way(IN, "saddr", "sent"), _Way(OUT, "daddr", "received"))


def recipe(config: PeerConfig, _folder: Path, _cache: Path) -> Recipe:
    """Caps first: what they drop is not counted."""
    sets, rules = [], []
    for number, cap in enumerate(config.caps):
        for version, family, kind in _FAMILIES:
            if customers := [str(prefix) for prefix in cap.customers if prefix.version == version]:
                name, own = _cap(number, version), _own_quotas(number, version)
                sets += [_set(name, kind), f"    map {own} {{ type {kind} : quota; size {SIZE}; }}"]
                those = f"{{ {', '.join(customers)} }}"
                for way in _WAYS:
                    customer = f"{family} {way.end}"
                    update = f"update @{name} {{ {customer} quota {_over(cap)} }} drop"
                    rules.append(f'        iifname "{way.interface}" quota name {customer} map @{own} drop')
                    rules.append(f'        iifname "{way.interface}" {customer} {those} {update}')
    for version, family, kind in _FAMILIES:
        for way in _WAYS:
            name = f"{way.name}{version}"
            sets += [_set(name, kind), _set(_past(name), kind)]
            rules.append(f'        iifname "{way.interface}" update @{name} {{ {family} {way.end} counter }}')
    if config.shortcut is not None:
        rules.insert(
            0, "        ct state invalid drop"
        )  # whoever looks at connections has the kernel follow them
    return Recipe(passing="\n".join(rules), more="\n".join(sets))


def _set(name: str, kind: str) -> str:
    return f"    set {name} {{ type {kind}; flags dynamic; size {SIZE}; }}"


def _cap(number: int, version: int) -> str:
    return f"cap{number}_{version}"


def _own_quotas(number: int, version: int) -> str:
    return f"own{number}_{version}"


def _past(name: str) -> str:
    """The set for what went past the peer."""
    return f"{name}_past"


def _over(cap: UsageCap) -> str:
    return f"over {cap.megabytes} mbytes"


def usage(listing: str) -> dict[_Address, AddressUsage]:
    """What ``nft -j list table inet moorline`` says of each address; raises :class:`PeerError`."""
    found: defaultdict[_Address, AddressUsage] = defaultdict(AddressUsage)
    for (name, address), traffic in _Standing.read(listing).counters.items():
        if name.startswith("sent"):
            found[address].sent_packets += traffic.packets
            found[address].sent_octets += traffic.octets
        elif name.startswith("received"):
            found[address].received_packets += traffic.packets
            found[address].received_octets += traffic.octets
    return dict(found)


def handed_over(caps: Sequence[UsageCap], listing: str, flow: Flow, there: Traffic, back: Traffic) -> str:
    """Commands of nft that count what a flow has carried past the peer.

    Customers are those ends of the flow that the peer has seen send or receive. Between the listing and these
    commands a cap may miss some packets.

    Args:
        caps: the peer's.
        listing: as for :func:`usage`.
        flow: from either end.
        there: what it carried in its own direction.
        back: the answers.

    Raises:
        PeerError: the listing is none.
    """
    stands = _Standing.read(listing)
    commands: list[str] = []
    for customer, sent, received in ((flow.source, there, back), (flow.destination, back, there)):
        counted = (f"sent{customer.version}", sent), (f"received{customer.version}", received)
        if not any((name, customer) in stands.counters for name, _ in counted):
            continue
        for name, traffic in counted:
            commands += _counter(stands, _past(name), customer, traffic)
        for number, cap in enumerate(caps):
            if any(prefix.version == customer.version and customer in prefix for prefix in cap.customers):
                commands += _quota(stands, number, cap, customer, sent.octets + received.octets)
    return "".join(f"{command}\n" for command in commands)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What the sets hold: by set, and address."""

    counters: Mapping[tuple[str, _Address], Traffic]
    quotas: Mapping[tuple[str, _Address], int]
    """Octets used."""

    named: Mapping[str, int]
    """Octets used, by the name of a quota of one customer's own."""

    @classmethod
    def read(cls, listing: str) -> _Standing:
        try:
            items = json.loads(listing)["nftables"]
            quotas = {
                (name, address): int(content["quota"]["used"]) * _UNITS[content["quota"]["used_unit"]]
                for name, address, content in _elements(items, "quota")
            }
            counters = {
                (name, address): Traffic(content["counter"]["packets"], content["counter"]["bytes"])
                for name, address, content in _elements(items, "counter")
            }
            named = {item["quota"]["name"]: item["quota"]["used"] for item in items if "quota" in item}
        except (ValueError, KeyError, TypeError) as error:
            raise PeerError(f"nft lists counters in a form that is not known ({error}): report it") from error
        return cls(counters, quotas, named)


_UNITS: Final = {"bytes": 1, "kbytes": 1 << 10, "mbytes": 1 << 20}


def _elements(items: list[dict[str, Any]], what: str) -> Iterator[tuple[str, _Address, dict[str, Any]]]:
    for item in items:
        for element in item.get("set", {}).get("elem", ()):
            if what in element["elem"]:
                yield item["set"]["name"], ip_address(element["elem"]["val"]), element["elem"]


def _counter(stands: _Standing, name: str, customer: _Address, traffic: Traffic) -> Iterator[str]:
    before = stands.counters.get((name, customer))
    if before is not None:
        yield f"delete element inet moorline {name} {{ {customer} }}"
    packets, octets = before or (0, 0)
    counter = f"counter packets {packets + traffic.packets} bytes {octets + traffic.octets}"
    yield f"add element inet moorline {name} {{ {customer} {counter} }}"


def _quota(stands: _Standing, number: int, cap: UsageCap, customer: _Address, octets: int) -> Iterator[str]:
    """A quota of the customer's own, in the place of what may be there: one in a set cannot be written."""
    quotas = _own_quotas(number, customer.version)
    name = f"{quotas}_{customer.packed.hex()}"
    used = stands.named.get(name)
    if used is None:
        used = stands.quotas.get((_cap(number, customer.version), customer), 0)
    else:
        yield f"delete element inet moorline {quotas} {{ {customer} }}"
        yield f"delete quota inet moorline {name}"
    used = min(used + octets, cap.megabytes * _UNITS["mbytes"])  # the kernel takes no more
    yield f"add quota inet moorline {name} {{ {_over(cap)} used {used} bytes }}"
    yield f'add element inet moorline {quotas} {{ {customer} : "{name}" }}'
