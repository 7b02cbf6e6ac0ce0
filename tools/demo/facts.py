# SPDX-License-Identifier: Apache-2.0
"""What the demonstration observes, and what must hold at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from moorline.errors import MoorlineError
from tools.lab.web import Content


class DemoError(MoorlineError):
    """A step of the demonstration that did not come out as it must."""


@dataclass(frozen=True)
class Moment:
    """The connection as the controller shows it at one moment."""

    scid: int
    client_locators: tuple[str, ...]
    server_locators: tuple[str, ...]


@dataclass
class Change:
    """One change during the transfer: of addresses, or of the SCID, by order."""

    title: str
    rotates: bool
    before: Moment
    after: Moment
    at: float
    """Seconds since the epoch."""
    took: float
    """Seconds from the first to the last request for it."""
    gap: float = 0.0
    """Seconds without data."""


@dataclass(frozen=True)
class Crossing:
    """What the switch in the middle did during the transfer."""

    locators: Sequence[str]
    packets: int
    octets: int
    """Relayed, in both directions, with all headers."""
    senders: Mapping[str, Mapping[str, int]]
    """For each host, how many tunnel packets came to it from which outer address."""
    scids: Set[int]
    """With which SCIDs these came."""


@dataclass(frozen=True)
class Outcome:
    """All that was seen."""

    content: Content
    sha256: str
    scid: int
    changes: Sequence[Change]
    sockets: Sequence[str]
    """curl's local endpoints in the order seen: one, if the connection was never opened again."""
    requests: Sequence[Mapping[str, Any]]
    """nginx's access log."""
    quiet_gap: float
    """Seconds without data where nothing changed: nginx's own pacing."""
    drops: Mapping[tuple[str, str], int]
    """Packets dropped during the transfer, by node and reason."""
    accounted: int
    """Octets from server to client as the data plane counted them."""
    crossing: Crossing | None
    """None where no switch is in the middle."""


def verify(outcome: Outcome) -> None:
    """Raise DemoError for the first thing that is not as it must be."""
    for wrong in _wrong(outcome):
        raise DemoError(wrong)


def _wrong(outcome: Outcome) -> Iterator[str]:
    if outcome.sha256 != outcome.content.sha256:
        yield f"the file arrived changed: SHA-256 {outcome.sha256} instead of {outcome.content.sha256}"
    if len(outcome.sockets) != 1:
        yield f"the TCP connection was opened again: curl used {', '.join(outcome.sockets)}"
    seen = [(entry["requests"], entry["status"]) for entry in outcome.requests]
    if seen != [(1, 200)]:
        yield f"nginx saw other than one request on one connection: {outcome.requests}"
    scid = outcome.scid
    for change in outcome.changes:
        yield from _wrong_change(change, scid)
        scid = change.after.scid
    if outcome.accounted < outcome.content.size:
        yield f"the data plane accounted for {outcome.accounted} octets of a file of {outcome.content.size}"
    if outcome.crossing is not None:
        yield from _wrong_crossing(outcome.crossing, outcome.content.size)
        others = outcome.crossing.scids - {outcome.scid, *(change.after.scid for change in outcome.changes)}
        if others:
            yield f"there were packets of other connections: {', '.join(f'{scid:016x}' for scid in others)}"


def _wrong_change(change: Change, scid: int) -> Iterator[str]:
    if change.before.scid != scid:
        yield f"before {change.title}: the SCID changed from {scid:016x} to {change.before.scid:016x}"
    if change.rotates and change.after.scid == scid:
        yield f"{change.title}: the SCID is still {scid:016x}"
    if not change.rotates and change.after.scid != scid:
        yield f"{change.title}: the SCID changed from {scid:016x} to {change.after.scid:016x}"
    if not change.rotates and change.after == change.before:
        yield f"{change.title}: the controller still shows the locators from before"


def _wrong_crossing(crossing: Crossing, size: int) -> Iterator[str]:
    if crossing.octets < size:
        yield f"the switch relayed {crossing.octets} octets of a file of {size}"
    for host, senders in crossing.senders.items():
        others = [address for address in senders if address not in crossing.locators]
        if not senders:
            yield f"no packets came to the {host}"
        if others:
            yield f"not all packets came to the {host} from the switch: some were from {', '.join(others)}"
