# SPDX-License-Identifier: Apache-2.0
"""How often something may be done. Sans-IO: the time is given."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Limiter:
    """A token bucket: at most ``rate`` a second, ``burst`` at once."""

    rate: float
    burst: float
    _tokens: float = field(init=False)
    _at: float = 0.0

    def __post_init__(self) -> None:
        self._tokens = self.burst

    def allows(self, now: float) -> bool:
        """Whether one more may go at this time (seconds)."""
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
