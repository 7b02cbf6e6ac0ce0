# SPDX-License-Identifier: Apache-2.0
"""What an arrangement of peers costs: measured between the device and the server."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from statistics import median
from typing import Final

from tools.demo.facts import DemoError
from tools.demo.graph.facts import Cost
from tools.lab import Lab, Namespace

ROUNDS: Final = 3
SECONDS: Final = 1.5
PINGS: Final = 200
_UNDERLAY: Final = "up0"


def compare(lab: Lab, device: Namespace, chain: str, star: str) -> tuple[Cost, Cost]:
    """Measure two ways in turn, by the addresses that they lead to, with ``iperf3 -s`` there."""
    costs: dict[str, list[Cost]] = {chain: [], star: []}
    for _ in range(ROUNDS):
        for server, found in costs.items():
            found.append(_cost(lab, device, server))
    return _middle(costs[chain]), _middle(costs[star])


def _middle(costs: Sequence[Cost]) -> Cost:
    return Cost(
        median(cost.bits_per_second for cost in costs),
        median(cost.round_trip_ms for cost in costs),
        median(cost.crossings for cost in costs),
    )


def _cost(lab: Lab, device: Namespace, server: str) -> Cost:
    before = _crossings(lab)
    trips = _round_trips(device, server)
    crossed = _crossings(lab) - before
    return Cost(_rate(device, server), median(trips), crossed / len(trips))


def _round_trips(device: Namespace, server: str) -> list[float]:
    """Milliseconds of each echo."""
    said = device.run("ping", "-c", str(PINGS), "-i", "0.005", server, timeout=30).stdout
    trips = [float(found) for found in re.findall(r"time=([\d.]+) ms", said)]
    if not trips:
        raise DemoError(f"{server} answers no ping through the peers")
    return trips


def _rate(device: Namespace, server: str) -> float:
    """Bits a second that arrived over one TCP connection."""
    done = device.run("iperf3", "-c", server, "-t", str(SECONDS), "-O", "0.5", "-J", timeout=40)
    return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"])


def _crossings(lab: Lab) -> int:
    """Packets in tunnels that nodes have had from the underlay so far."""
    found = 0
    for name in lab.hosts:
        events = lab.controller.events(name)
        found += events.get((_UNDERLAY, "rx"), 0) - events.get((_UNDERLAY, "pass"), 0)
    return found
