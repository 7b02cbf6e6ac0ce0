# SPDX-License-Identifier: Apache-2.0
"""Plays a vector to a target and says, line by line, what differs from what it expects."""

from __future__ import annotations

from dataclasses import replace

from moorline.wire import Event

from .model import Outcome, Step, Vector
from .target import Count, PortEvents, Target
from .world import ACCESS

ETHERNET = 14
VLAN_TAG = 4
VLAN_TYPES = (b"\x81\x00", b"\x88\xa8")


def applies(vector: Vector, target: Target) -> bool:
    """Whether the vector holds for the target."""
    return not vector.hooks or target.hook in vector.hooks


def run(vector: Vector, target: Target) -> list[str]:
    """Play the vector; the differences found, empty when there are none."""
    target.load(vector.entries)
    differences: list[str] = []
    for number, step in enumerate(vector.steps, start=1):
        before = target.port_events()
        outcome = target.send(step.port, step.frame)
        found = _compare(_expected(vector, step, target), outcome, target)
        found += _compare_events(step, outcome, before, target.port_events())
        differences += [f"step {number}: {difference}" for difference in found]
    for counter in vector.counters:
        count = target.direct_counter(counter.table, counter.key, counter.priority)
        if count != (counter.packets, counter.bytes):
            differences.append(
                f"counter of {counter.table} {dict(counter.key)}: "
                f"{tuple(count)} instead of {(counter.packets, counter.bytes)}"
            )
    return differences


def _expected(vector: Vector, step: Step, target: Target) -> Outcome:
    event = vector.differs.get(target.hook)
    return step.expected if event is None else replace(step.expected, event=event)


def _compare(expected: Outcome, outcome: Outcome, target: Target) -> list[str]:
    if outcome.event is not expected.event:
        return [f"{outcome.event.name} instead of {expected.event.name}"]
    found = []
    if outcome.egress != expected.egress:
        found.append(f"left by port {outcome.egress} instead of {expected.egress}")
    if outcome.packet_in != expected.packet_in:
        found.append(f"{outcome.packet_in} instead of {expected.packet_in}")
    complete = target.frames_complete or expected.egress == ACCESS.number
    want, got = comparable(expected.packet, complete), comparable(outcome.packet, complete)
    if want != got:
        found.append(f"packet {_text(got)} instead of {_text(want)}")
    return found


def comparable(frame: bytes | None, complete: bool) -> bytes | None:
    """The part of a frame that a target must get right: all, or what is behind the link layer."""
    if frame is None or complete:
        return frame
    start = ETHERNET
    while frame[start - 2 : start] in VLAN_TYPES:
        start += VLAN_TAG
    return frame[start:]


def _compare_events(step: Step, outcome: Outcome, before: PortEvents, after: PortEvents) -> list[str]:
    """``RX`` and exactly one other event, at the port of arrival, with the octets that arrived."""
    once = Count(1, len(step.frame))
    expected = {(step.port, Event.RX): once, (step.port, outcome.event): once}
    zero = Count(0, 0)
    found = []
    for key in sorted({*before, *after, *expected}):
        was, now = before.get(key, zero), after.get(key, zero)
        delta = Count(now.packets - was.packets, now.bytes - was.bytes)
        want = expected.get(key, zero)
        if delta != want:
            found.append(
                f"port_events {key[0]} {key[1].name} moved by {tuple(delta)} instead of {tuple(want)}"
            )
    return found


def _text(frame: bytes | None) -> str:
    return "none" if frame is None else frame.hex()
