# SPDX-License-Identifier: Apache-2.0
"""How two nodes reach one another: the entry of the table ``locator`` as a function of their locators.

Agent and controller compute the same entry from the same facts, whichever hears of a change first. The
choice is symmetric: the addresses that one end sends from are those that the other end expects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from moorline.addresses import NO_ADDRESS, mapped


@dataclass(frozen=True, slots=True)
class Locator:
    """An underlay address of a node: 4 or 16 octets, on a port of its data plane; ``mtu`` in octets."""

    address: bytes
    port: int
    interface: str
    mtu: int


@dataclass(frozen=True, slots=True)
class Paths:
    """Two paths to a node, the same twice when there is one; addresses in 16 octets, IPv4 mapped.

    ``previous0`` and ``previous1`` are addresses that the node had before its last change (zeros: none), from
    which packets in flight are still accepted. Fields are the parameters of the action ``set_paths``.
    """

    port0: int
    dst0: bytes
    port1: int
    dst1: bytes
    previous0: bytes = NO_ADDRESS
    previous1: bytes = NO_ADDRESS


def choose_paths(
    local: Sequence[Locator], remote: Sequence[Locator], previous: Sequence[bytes] = ()
) -> Paths | None:
    """The paths from a node at ``local`` to one at ``remote``; None where they have no family in common.

    Path 0 joins the first addresses of both ends, IPv4 first. Path 1 differs from it in as much as it can:
    another port is better than only another address, at either end, then IPv4, then the order of the lists.

    Args:
        local: locators of the node that the entry is for.
        remote: locators of the node that is to be reached.
        previous: addresses that the remote node had before (4 or 16 octets); the first two on neither path
            are kept for the grace time.
    """
    pairs = [pair for octets in (4, 16) if (pair := _first_pair(local, remote, octets)) is not None]
    if not pairs:
        return None
    first = pairs[0]
    second = first
    for octets in (4, 16):
        other = _other_pair(local, remote, octets, first)
        if other is not None and _difference(other, first) > _difference(second, first):
            second = other
    dst0, dst1 = mapped(first[1].address), mapped(second[1].address)
    previous0, previous1 = _first_two(
        mapped(address) for address in previous if mapped(address) not in (dst0, dst1)
    )
    return Paths(first[0].port, dst0, second[0].port, dst1, previous0, previous1)


def have_common_family(local: Sequence[Locator], remote: Sequence[Locator]) -> bool:
    """Whether :func:`choose_paths` finds any."""
    return not {len(at.address) for at in local}.isdisjoint(len(at.address) for at in remote)


_Pair = tuple[Locator, Locator]


def _family(locators: Sequence[Locator], octets: int) -> list[Locator]:
    return [locator for locator in locators if len(locator.address) == octets]


def _first_pair(local: Sequence[Locator], remote: Sequence[Locator], octets: int) -> _Pair | None:
    ours, theirs = _family(local, octets), _family(remote, octets)
    return (ours[0], theirs[0]) if ours and theirs else None


def _other_pair(
    local: Sequence[Locator], remote: Sequence[Locator], octets: int, first: _Pair
) -> _Pair | None:
    # Each end chooses for itself (max takes the first of equals), so that both ends come to the same pair.
    ours, theirs = _family(local, octets), _family(remote, octets)
    if not ours or not theirs:
        return None
    return (
        max(ours, key=lambda locator: _distance(locator, first[0])),
        max(theirs, key=lambda locator: _distance(locator, first[1])),
    )


def _distance(one: Locator, other: Locator) -> int:
    if one.port != other.port:
        return 2
    return 1 if one.address != other.address else 0


def _difference(one: _Pair, other: _Pair) -> int:
    return _distance(one[0], other[0]) + _distance(one[1], other[1])


def _first_two(addresses: Iterable[bytes]) -> tuple[bytes, bytes]:
    found = [*dict.fromkeys(addresses), NO_ADDRESS, NO_ADDRESS]
    return found[0], found[1]
