# SPDX-License-Identifier: Apache-2.0
"""What the demonstration of service graphs observes, and what must hold at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tools.demo.facts import DemoError
from tools.lab.web import Content

_TIMED_OUT: Final = 28
"""Status of curl; what the content filter refuses ends at once."""


@dataclass(frozen=True)
class Cost:
    """What one arrangement of the same peers costs."""

    bits_per_second: float
    round_trip_ms: float
    crossings: float
    """How often an echo request and its reply together came to a node from the underlay."""


@dataclass(frozen=True)
class Takeover:
    """A firewall dies during a download, and the spare one takes over."""

    sha256: str
    sockets: int
    """How many TCP connections the device had."""
    gap: float
    """Longest time without data after it, in seconds."""
    packets: int
    """Given to the spare from then on."""


@dataclass(frozen=True)
class Outcome:
    """All that was seen."""

    content: Content
    allowed: int
    """Status of a page that may be seen."""
    blocked: int
    """Status of curl for a page of a blocked name; 0: it came."""
    takeover: Takeover
    again: str
    """SHA-256 of the second download."""
    shortcut: Mapping[str, Any]
    """What went past the peers before the cache."""
    past: int
    """Packets of the device that firewalls saw from then on all the same."""
    hops: Sequence[Mapping[str, Any]]
    """Paths as ``moorline graph show`` has them."""
    chain: Cost
    star: Cost
    drops: Mapping[tuple[str, str], int]


def verify(outcome: Outcome) -> None:
    """Raise DemoError for the first thing that is not as it must be."""
    for wrong in _wrong(outcome):
        raise DemoError(wrong)


def _wrong(outcome: Outcome) -> Iterator[str]:
    wanted = outcome.content.sha256
    if outcome.allowed != 200:
        yield f"a page that may be seen did not come: HTTP status {outcome.allowed}"
    if outcome.blocked in (0, _TIMED_OUT):
        yield f"a page of a blocked name was not refused: curl ended with status {outcome.blocked}"
    if outcome.takeover.sha256 != wanted:
        yield f"the file arrived changed: SHA-256 {outcome.takeover.sha256} instead of {wanted}"
    if outcome.takeover.sockets != 1:
        yield f"the download took {outcome.takeover.sockets} TCP connections, not one"
    if not outcome.takeover.packets:
        yield "the spare firewall saw nothing"
    if outcome.again != wanted:
        yield f"the cached file arrived changed: SHA-256 {outcome.again} instead of {wanted}"
    if outcome.shortcut["packets"] <= outcome.past:
        yield f"{outcome.shortcut['packets']} packets went by the short-cut, {outcome.past} past it"
    for path in outcome.hops:
        for hop in path["hops"]:
            if not sum(instance["packets"] for instance in hop["instances"]):
                yield f"no packets came to {hop['kind']} on path {path['path']}"
    if outcome.chain.crossings >= outcome.star.crossings:
        yield (
            f"the chain crossed the underlay {outcome.chain.crossings:.1f} times an echo, the star "
            f"{outcome.star.crossings:.1f} times"
        )
