# SPDX-License-Identifier: Apache-2.0
"""What the agent wants of a feature peer, whoever runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dataplane.peers.config import PeerConfig
from moorline.errors import MoorlineError


class PeerError(MoorlineError):
    """A feature peer that does not work."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a peer can take traffic, and if not, why, in one sentence."""

    problem: str = ""

    @property
    def up(self) -> bool:
        """Whether it can."""
        return not self.problem


class FeaturePeer(Protocol):
    """A feature peer at ports of this node.

    The agent calls :meth:`attach` and :meth:`start` at its own start, and again whenever :meth:`health` is
    bad: both find out what stands already, leave that alone, and do the rest.
    """

    @property
    def config(self) -> PeerConfig:
        """What the operator said of it."""

    @property
    def macs(self) -> tuple[bytes, ...]:
        """Its own link-layer address at each port."""

    def watch(self, changed: Callable[[], None]) -> None:
        """Call back whenever :meth:`health` should be asked at once."""

    async def attach(self) -> None:
        """Tie it to the ports; raises :class:`PeerError`."""

    async def start(self) -> None:
        """Let its programs run; raises :class:`PeerError`."""

    async def health(self) -> Health:
        """How it is now."""

    async def stop(self) -> None:
        """Take it away, with all that was made for it."""

    def close(self) -> None:
        """Look after it no more; what was made for it stays, and goes on."""
