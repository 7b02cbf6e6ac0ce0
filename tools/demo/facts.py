# SPDX-License-Identifier: Apache-2.0
"""What the demonstration observes, and what must hold at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """One change of addresses during the transfer."""

    title: str
    before: Moment
    after: Moment
    at: float
    """Seconds since the epoch."""
    took: float
    """Seconds from the first to the last request to the kernel."""
    gap: float = 0.0
    """Seconds without data."""


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


def verify(outcome: Outcome) -> None:
    """Raise DemoError for the first thing that is not as it must be."""
    if outcome.sha256 != outcome.content.sha256:
        raise DemoError(
            f"the file arrived changed: SHA-256 {outcome.sha256} instead of {outcome.content.sha256}"
        )
    if len(outcome.sockets) != 1:
        raise DemoError(f"the TCP connection was opened again: curl used {', '.join(outcome.sockets)}")
    seen = [(entry["requests"], entry["status"]) for entry in outcome.requests]
    if seen != [(1, 200)]:
        raise DemoError(f"nginx saw other than one request on one connection: {outcome.requests}")
    for change in outcome.changes:
        if change.after.scid != outcome.scid:
            raise DemoError(
                f"{change.title}: the SCID changed from {outcome.scid:016x} to {change.after.scid:016x}"
            )
        if change.after == change.before:
            raise DemoError(f"{change.title}: the controller still shows the locators from before")
    if outcome.accounted < outcome.content.size:
        raise DemoError(
            f"the data plane accounted for {outcome.accounted} octets of a file of {outcome.content.size}"
        )
