# SPDX-License-Identifier: Apache-2.0
"""What targets do with the same packets, fact by fact, so that they can be laid side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import ndiff

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from moorline.errors import MoorlineError

from .model import Entry, Outcome, Value
from .runner import comparable
from .target import PortEvents, Target, moved
from .world import ACCESS

Facts = dict[str, str]
"""What became of packets, by what is told: ``1 event``, ``1 packet`` (hexadecimal), ``counter scid ...``."""

Arrival = tuple[int, bytes]
"""Port and frame."""

NOTHING = "-"


def observe(target: Target, entries: Sequence[Entry], arrivals: Sequence[Arrival], complete: bool) -> Facts:
    """Play frames to a target that holds these entries.

    ``complete``: packets to a neighbour are told with their link layer, which not every target knows.
    """
    target.load(entries)
    facts: Facts = {}
    for number, (port, frame) in enumerate(arrivals, start=1):
        before = target.port_events()
        try:
            outcome = target.send(port, frame)
        except MoorlineError as error:
            facts[f"{number} event"] = str(error)
            return facts
        told = _outcome(outcome, complete)
        told["counters"] = _events(before, target.port_events())
        facts |= {f"{number} {name}": value for name, value in told.items()}
    for entry in entries:
        count = target.direct_counter(entry.table, entry.key, entry.priority)
        facts[f"counter {entry.table} {key_text(entry.key)}"] = f"{count.packets} ({count.bytes} octets)"
    return facts


def differing(seen: Sequence[Facts]) -> list[str]:
    """The names of the facts in which targets differ."""
    names = dict.fromkeys(name for facts in seen for name in facts)
    return [name for name in names if len({facts.get(name, NOTHING) for facts in seen}) > 1]


def key_text(key: Mapping[str, Value]) -> str:
    """An entry's key on one line."""
    return " ".join(str(value) for value in key.values())


def packets_text(names: Sequence[str], packets: Sequence[str], complete: bool) -> str:
    """Packets decoded by scapy; lines of the first stand alone, of another only where it differs from it."""
    decoded = [_decoded(packet, complete) for packet in packets]
    lines = [f"  {names[0]}:", *(f"    {line}" for line in decoded[0])]
    for name, other in zip(names[1:], decoded[1:], strict=True):
        changes = [line for line in ndiff(decoded[0], other) if line[0] in "+-"]
        lines += [f"  {name}:", *(f"    {line}" for line in changes or ["the same"])]
    return "\n".join(lines)


def _decoded(packet: str, complete: bool) -> list[str]:
    if packet == NOTHING:
        return [packet]
    octets = bytes.fromhex(packet)
    layer = Ether if complete else IP if octets[0] >> 4 == 4 else IPv6
    text = str(layer(octets).show(dump=True))
    return [line for line in text.splitlines() if line.strip()]


def _outcome(outcome: Outcome, complete: bool) -> Facts:
    packet = comparable(outcome.packet, complete or outcome.egress == ACCESS.number)
    packet_in = outcome.packet_in
    return {
        "event": outcome.event.name,
        "egress": NOTHING if outcome.egress is None else str(outcome.egress),
        "packet": NOTHING if packet is None else packet.hex(),
        "packet-in": NOTHING if packet_in is None else f"port {packet_in.port}, MTU {packet_in.mtu}",
    }


def _events(before: PortEvents, after: PortEvents) -> str:
    parts = (
        f"{port} {event.name} +{count.packets} ({count.bytes} octets)"
        for (port, event), count in sorted(moved(before, after).items())
    )
    return ", ".join(parts) or NOTHING
