# SPDX-License-Identifier: Apache-2.0
"""Digests as P4Runtime configures, reads and tells them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final

import structlog
from finsy.proto import p4r

from dataplane.bpf.table_map import EntryExists, EntryMissing
from dataplane.contract.codec import canonical
from dataplane.contract.errors import EntryError
from dataplane.contract.p4info import Digest
from dataplane.p4runtime.digests import DigestBuffer, DigestConfig

log = structlog.get_logger(__name__)

NANOSECONDS: Final = 1_000_000_000

Undo = Callable[[], None]


class Learning:
    """The digests of the contract: those that a controller wants are buffered and sent to the primary.

    Args:
        digests: by number, from the P4Info.
        primary: which client that is now.
        send: sends a message to the primary; whether it was taken.
        clock: nanoseconds of a steady clock.
    """

    def __init__(
        self,
        digests: Mapping[int, Digest],
        primary: Callable[[], Hashable | None],
        send: Callable[[p4r.StreamMessageResponse], bool],
        clock: Callable[[], int],
    ) -> None:
        self._digests = digests
        self._primary = primary
        self._send = send
        self._clock = clock
        self._buffers: dict[int, DigestBuffer] = {}
        self._list_ids = dict.fromkeys(digests, 0)
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._told: Hashable | None = None

    # ---- configuration -------------------------------------------------------------------------------------

    def write(self, kind: int, entry: p4r.DigestEntry) -> Undo:
        """INSERT, MODIFY or DELETE; returns how to undo it.

        Raises:
            EntryError: there is no such digest, or a value is negative.
            EntryExists, EntryMissing: it is configured already, or not.
        """
        digest = self._find(entry.digest_id)
        before = self._buffers.get(digest.id)
        if kind == p4r.Update.INSERT:
            config = _config(digest, entry.config)
            if before is not None:
                raise EntryExists(f"the digest {digest.name} is configured already; modify it")
            self._buffers[digest.id] = DigestBuffer(config)
            return partial(self._put, digest.id, None)
        if kind not in (p4r.Update.MODIFY, p4r.Update.DELETE):
            raise EntryError(f"an update of the type {kind} says nothing; give INSERT, MODIFY or DELETE")
        if kind == p4r.Update.DELETE:
            self._existing(digest)
            self._put(digest.id, None)
            return partial(self._put, digest.id, before)
        config = _config(digest, entry.config)
        buffer = self._existing(digest)
        former = buffer.config
        self._configure(digest.id, config)
        return partial(self._configure, digest.id, former)

    def read(self, entry: p4r.DigestEntry) -> Iterator[Callable[[p4r.Entity], None]]:
        """The configuration of one digest, or of all with the number 0; what is not configured is not there.

        Raises:
            EntryError: there is no such digest.
        """
        wanted: Iterable[int] = [self._find(entry.digest_id).id] if entry.digest_id else self._digests
        found = [(number, self._buffers[number].config) for number in wanted if number in self._buffers]
        return (partial(_fill, number, config) for number, config in found)

    def clear(self) -> None:
        """The forwarding state was cleared: nothing is configured."""
        for number in [*self._buffers]:
            self._put(number, None)

    # ---- messages ------------------------------------------------------------------------------------------

    def take(self, digest_id: int, message: bytes) -> None:
        """A message of the data plane: each member in whole octets and network order."""
        buffer = self._buffers.get(digest_id)
        if buffer is None:
            return
        if self._told != self._primary():
            self._told = self._primary()
            for other in self._buffers.values():
                other.forget()
        buffer.take(message, self._clock())
        self._flush(digest_id)

    def acknowledge(self, ack: p4r.DigestListAck) -> None:
        """The primary acted on a list.

        Raises:
            EntryError: there is no such digest.
        """
        buffer = self._buffers.get(self._find(ack.digest_id).id)
        if buffer is not None:
            buffer.acknowledge(ack.list_id)

    def _flush(self, digest_id: int) -> None:
        """Sends the lists that are due, and comes back when the next one is."""
        timer = self._timers.pop(digest_id, None)
        if timer is not None:
            timer.cancel()
        buffer = self._buffers[digest_id]
        now = self._clock()
        while messages := buffer.next_list(now):
            self._list_ids[digest_id] += 1
            list_id = self._list_ids[digest_id]
            if self._send(_digest_list(self._digests[digest_id], list_id, messages)):
                buffer.sent(list_id, messages, now)
        due = buffer.due_ns()
        if due is not None:
            seconds = (due - now) / NANOSECONDS
            self._timers[digest_id] = asyncio.get_running_loop().call_later(seconds, self._flush, digest_id)

    def _put(self, digest_id: int, buffer: DigestBuffer | None) -> None:
        timer = self._timers.pop(digest_id, None)
        if timer is not None:
            timer.cancel()
        if buffer is None:
            self._buffers.pop(digest_id, None)
        else:
            self._buffers[digest_id] = buffer
            self._flush(digest_id)

    def _configure(self, digest_id: int, config: DigestConfig) -> None:
        self._buffers[digest_id].configure(config, self._clock())
        self._flush(digest_id)

    def _find(self, digest_id: int) -> Digest:
        digest = self._digests.get(digest_id)
        if digest is None:
            raise EntryError(f"there is no digest {digest_id}; the P4Info shows which there are")
        return digest

    def _existing(self, digest: Digest) -> DigestBuffer:
        buffer = self._buffers.get(digest.id)
        if buffer is None:
            raise EntryMissing(f"the digest {digest.name} is not configured; insert it first")
        return buffer


def _config(digest: Digest, config: p4r.DigestEntry.Config) -> DigestConfig:
    given = DigestConfig(config.max_timeout_ns, config.max_list_size, config.ack_timeout_ns)
    for name, value in given._asdict().items():
        if value < 0:
            raise EntryError(f"the digest {digest.name}: the {name} {value} is negative; give 0 or more")
    return given


def _fill(digest_id: int, config: DigestConfig, entity: p4r.Entity) -> None:
    entry = entity.digest_entry
    entry.digest_id = digest_id
    entry.config.CopyFrom(p4r.DigestEntry.Config(**config._asdict()))


def _digest_list(digest: Digest, list_id: int, messages: tuple[bytes, ...]) -> p4r.StreamMessageResponse:
    response = p4r.StreamMessageResponse()
    told = response.digest
    told.digest_id, told.list_id, told.timestamp = digest.id, list_id, time.time_ns()
    for message in messages:
        members = told.data.add().struct.members
        at = 0
        for member in digest.members:
            octets = (member.width + 7) // 8
            members.add(bitstring=canonical(int.from_bytes(message[at : at + octets])))
            at += octets
    return response
