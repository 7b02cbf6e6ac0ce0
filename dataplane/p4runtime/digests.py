# SPDX-License-Identifier: Apache-2.0
"""Digests on their way to the primary (P4Runtime specification, "DigestEntry").

Sans-IO: time is a parameter in nanoseconds of any steady clock. Messages are told apart by their octets.
"""

from __future__ import annotations

from itertools import islice
from typing import Final, NamedTuple

MOST_WAITING: Final = 1024
"""The longest list: what a controller may not have limited, or not so low."""

MOST_UNACKNOWLEDGED: Final = 1 << 16
"""Messages remembered as sent; beyond, the oldest lists are forgotten and may be sent again."""


class DigestConfig(NamedTuple):
    """What a controller wants of one digest, as in ``p4.v1.DigestEntry.Config``."""

    max_timeout_ns: int = 0
    max_list_size: int = 0
    ack_timeout_ns: int = 0


class _Sent(NamedTuple):
    at_ns: int
    messages: tuple[bytes, ...]


class DigestBuffer:
    """The messages of one digest: those that wait for their list, and those sent but not acknowledged."""

    def __init__(self, config: DigestConfig) -> None:
        self.config = config
        self._waiting: dict[bytes, int] = {}  # in order, since when
        self._sent: dict[int, _Sent] = {}  # by list id, the oldest first
        self._unacknowledged: set[bytes] = set()

    def configure(self, config: DigestConfig, now_ns: int) -> None:
        """From now on something else is wanted; what has expired until now stays so."""
        self._expire(now_ns)
        self.config = config

    def take(self, message: bytes, now_ns: int) -> None:
        """Takes a message of the data plane, unless it waits already or was sent and not acknowledged."""
        self._expire(now_ns)
        if message in self._unacknowledged or message in self._waiting or len(self._waiting) >= MOST_WAITING:
            return
        self._waiting[message] = now_ns

    def due_ns(self) -> int | None:
        """When the next list is to be sent; ``None`` while nothing waits."""
        if not self._waiting:
            return None
        first = next(iter(self._waiting.values()))
        return first if len(self._waiting) >= self._list_size() else first + self.config.max_timeout_ns

    def next_list(self, now_ns: int) -> tuple[bytes, ...]:
        """The messages of the list that is due now, which wait no longer; empty if none is."""
        due = self.due_ns()
        if due is None or due > now_ns:
            return ()
        messages = tuple(islice(self._waiting, self._list_size()))
        for message in messages:
            del self._waiting[message]
        return messages

    def sent(self, list_id: int, messages: tuple[bytes, ...], now_ns: int) -> None:
        """A list went to the primary: its messages are not sent again until they are acknowledged."""
        if not self.config.ack_timeout_ns:
            return
        self._sent[list_id] = _Sent(now_ns, messages)
        self._unacknowledged.update(messages)
        while len(self._unacknowledged) > MOST_UNACKNOWLEDGED:
            self.acknowledge(next(iter(self._sent)))

    def acknowledge(self, list_id: int) -> None:
        """The primary acted on a list; one that is not known says nothing."""
        sent = self._sent.pop(list_id, None)
        if sent is not None:
            self._unacknowledged.difference_update(sent.messages)

    def forget(self) -> None:
        """Another client is the primary: it knows of nothing."""
        self._sent.clear()
        self._unacknowledged.clear()

    def _list_size(self) -> int:
        return min(self.config.max_list_size or MOST_WAITING, MOST_WAITING)

    def _expire(self, now_ns: int) -> None:
        while self._sent:
            list_id, sent = next(iter(self._sent.items()))
            if now_ns - sent.at_ns < self.config.ack_timeout_ns:
                break
            self.acknowledge(list_id)
