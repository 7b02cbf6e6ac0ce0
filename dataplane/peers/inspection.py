# SPDX-License-Identifier: Apache-2.0
"""What a content filter does with packets that may hold a name, sans-IO: packets in, packets out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from dnslib import RCODE, DNSError, DNSRecord
from dnslib.label import DNSLabelError

from dataplane.peers import names_in
from dataplane.peers.blocked import Blocked
from dataplane.peers.packets import (
    TCP,
    UDP,
    Segment,
    answer_datagram,
    raised_ttl,
    read,
    reset_to_sender,
    reset_to_target,
)

DNS, HTTP, TLS = 53, 80, 443
FLOWS: Final = 65536
"""Connections that are remembered, the last used; of one forgotten the next packet begins anew."""

_WINDOW: Final = 1 << 31
_SENT_AGAIN: Final = 1 << 20
"""So many octets at most lie behind what was let go on when they are sent again; those of another connection
are anywhere."""


class Onward(NamedTuple):
    """A packet that goes on to the server."""

    packet: bytes


class Back(NamedTuple):
    """A packet for the customer."""

    packet: bytes


Output = Onward | Back


@dataclass(slots=True)
class _Flow:
    """A connection from its first octets that have been seen; ``data`` are those without a gap.

    ``end`` is the sequence number behind all that was let go on.
    """

    first: int
    data: bytearray = field(default_factory=bytearray)
    held: list[Segment] = field(default_factory=list)
    passed: bool = False
    end: int = 0
    refused: bool = False


class Inspection:
    """All connections of a filter."""

    def __init__(self, blocked: Blocked) -> None:
        self._blocked = blocked
        self._flows: OrderedDict[tuple[bytes, bytes, int, int], _Flow] = OrderedDict()

    def packet(self, octets: bytes) -> Iterator[Output]:
        """One packet of a customer; its TTL was lowered on the way here, and is lowered once more behind."""
        segment = read(octets)
        if segment is None:
            yield Onward(raised_ttl(octets))
        elif segment.protocol == UDP:
            yield from self._datagram(segment)
        elif segment.protocol == TCP and segment.payload:
            yield from self._dns_over_tcp(segment) if segment.target_port == DNS else self._stream(segment)
        else:
            yield Onward(raised_ttl(octets))

    def _datagram(self, segment: Segment) -> Iterator[Output]:
        name = names_in.in_dns(segment.payload) if segment.target_port == DNS else None
        if name is None or not self._blocked.forbids(segment.source, name):
            yield Onward(raised_ttl(segment.packet))
        elif (answer := _no_such_name(segment.payload)) is not None:
            yield Back(answer_datagram(segment, answer))

    def _dns_over_tcp(self, segment: Segment) -> Iterator[Output]:
        """Every segment has to hold whole questions, as those of all resolvers do."""
        rest = segment.payload
        while rest:
            length = int.from_bytes(rest[:2])
            name = names_in.in_dns(rest[2 : 2 + length]) if len(rest) >= 2 + length else None
            if name is None or self._blocked.forbids(segment.source, name):
                yield from _refuse(segment)
                return
            rest = rest[2 + length :]
        yield Onward(raised_ttl(segment.packet))

    def _stream(self, segment: Segment) -> Iterator[Output]:
        key = (segment.source, segment.target, segment.source_port, segment.target_port)
        flow = self._flows.get(key)
        if flow is None or self._begins_anew(flow, segment):
            flow = self._flows[key] = _Flow(segment.sequence)
            if len(self._flows) > FLOWS:
                self._flows.popitem(last=False)
        self._flows.move_to_end(key)
        if flow.refused:
            yield from _refuse(segment)
        elif flow.passed:
            yield from _let_go_on(flow, segment)
        else:
            yield from self._consider(flow, segment)

    @staticmethod
    def _begins_anew(flow: _Flow, segment: Segment) -> bool:
        """Whether another connection has the ports, or the next request of this one begins."""
        if not flow.passed:
            ahead = segment.sequence - flow.first & 0xFFFFFFFF
            return names_in.LONGEST < ahead < 0xFFFFFFFF - names_in.LONGEST
        if 0 < flow.end - segment.sequence & 0xFFFFFFFF <= _SENT_AGAIN:
            return False
        if segment.target_port == HTTP:
            return names_in.starts_request(segment.payload)
        # Of a connection that goes on, no more comes here than was under way.
        return segment.sequence - flow.end & 0xFFFFFFFF > names_in.LONGEST

    def _consider(self, flow: _Flow, segment: Segment) -> Iterator[Output]:
        flow.held.append(segment)
        _put_together(flow)
        find = names_in.in_tls if segment.target_port == TLS else names_in.in_http
        try:
            name = find(bytes(flow.data))
        except names_in.MoreError:
            if sum(len(held.payload) for held in flow.held) <= names_in.LONGEST:
                return  # the customer sends on without an answer: a window is longer than this
            name = None
        held = sorted(flow.held, key=lambda one: one.sequence - flow.first & 0xFFFFFFFF)
        flow.held, flow.data = [], bytearray()
        if name is not None and self._blocked.forbids(segment.source, name):
            flow.refused = True
            yield Back(reset_to_sender(segment))
            yield Onward(reset_to_target(held[0]))  # the server has seen none of them
            return
        flow.passed, flow.end = True, flow.first
        for one in held:
            yield from _let_go_on(flow, one)


def _put_together(flow: _Flow) -> None:
    """Make ``data`` as long as what is held allows; what came before the first seen, again, comes first."""
    for one in flow.held:
        if (one.sequence - flow.first) & 0xFFFFFFFF >= _WINDOW:
            flow.first = one.sequence
    data = bytearray()
    for one in sorted(flow.held, key=lambda one: (one.sequence - flow.first) & 0xFFFFFFFF):
        at = (one.sequence - flow.first) & 0xFFFFFFFF
        if at > len(data):
            break
        data[at : at + len(one.payload)] = one.payload
    flow.data = data


def _let_go_on(flow: _Flow, segment: Segment) -> Iterator[Output]:
    end = segment.sequence + len(segment.payload) & 0xFFFFFFFF
    if end - flow.end & 0xFFFFFFFF < _WINDOW:
        flow.end = end
    yield Onward(raised_ttl(segment.packet))


def _no_such_name(question: bytes) -> bytes | None:
    """The answer that there is no such name; None where the name cannot be said again."""
    answer = DNSRecord.parse(question).reply(ra=1, aa=0)
    answer.header.rcode = RCODE.NXDOMAIN
    try:
        return bytes(answer.pack())
    except (DNSError, DNSLabelError):  # a name that was read may be too long to be written
        return None


def _refuse(segment: Segment) -> Iterator[Output]:
    """End a connection at both ends."""
    yield Back(reset_to_sender(segment))
    yield Onward(reset_to_target(segment))
