# SPDX-License-Identifier: Apache-2.0
"""Who may write to a data plane: election ids (P4Runtime 1.4, section 5). Sans-IO."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum, auto

from finsy.proto import U128, p4r, rpc_code


class Outcome(Enum):
    """What an arbitration update means."""

    PRIMARY = auto()
    NOBODY = auto()
    """There is no primary, and our bid is too low to be one: bid again."""
    BACKUP = auto()
    DEMOTED = auto()
    """Somebody took over from us."""


class Election:
    """Our bids for one data plane, over one stream after another.

    Args:
        now: the time in nanoseconds, which the bids of all controllers go by.
    """

    def __init__(self, now: Callable[[], int] = time.time_ns) -> None:
        self._now = now
        self._bid = 0
        self._primary = False
        self._demoted = False

    def first_bid(self) -> int:
        """The bid on a new stream: above all of before; but once somebody took over, below theirs, lest two
        controllers take the data plane from one another for ever.
        """
        self._primary = False
        self._bid = self._bid + 1 if self._demoted else self._now()
        return self._bid

    def next_bid(self, update: p4r.MasterArbitrationUpdate) -> int:
        """The bid after :attr:`Outcome.NOBODY`, above all that the data plane has seen."""
        self._bid = max(self._now(), U128.decode(update.election_id) + 1)
        return self._bid

    def outcome(self, update: p4r.MasterArbitrationUpdate) -> Outcome:
        """What the data plane says."""
        if update.status.code == rpc_code.OK:
            self._primary, self._demoted = True, False
            return Outcome.PRIMARY
        if update.status.code == rpc_code.NOT_FOUND:
            return Outcome.NOBODY
        if self._primary:
            self._primary, self._demoted = False, True
            return Outcome.DEMOTED
        return Outcome.BACKUP
