# SPDX-License-Identifier: Apache-2.0
"""Service paths: what a hop costs, beside the same peers in a star, and how soon a new graph leads packets.

::

    user ---+
            gate ------ router ------ north: one, three
    server -+ five         |
                         south: two, four --- far

Peers are namespaces with one cable, whose XDP program returns each frame by which it came. Each arrangement
is a graph for an address of its own of the user, so that all stand at once and are measured in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Interface
from statistics import median
from typing import Final

from moorline.api.v1 import graphs_pb2 as api
from tools.bench.network import iperf, ping, wait_for_iperf
from tools.bench.report import Row
from tools.bench.rounds import difference, interleave, ratio
from tools.lab import HostPlan, Lab, barrage
from tools.lab.edges import EdgeHost
from tools.lab.flow import PacedFlow
from tools.lab.forwarders import attach
from tools.lab.star import star_command
from tools.lab.waiting import wait_until

ROUNDS: Final = 7
BARRAGE_SECONDS: Final = 1.0
BARRAGE_PORT: Final = 7009
SETTLE_SECONDS: Final = 0.1
APPLICATIONS: Final = 21
PER_SECOND: Final = 2000

PEERS: Final = {"north": ("one", "three"), "south": ("two", "four"), "gate": ("five",)}
CHAIN: Final = ("one", "two", "three")
FIVE: Final = ("one", "two", "three", "four", "five")
STAR: Final = "star"
ARRANGEMENTS: Final = {"hop": CHAIN[:1], "chain": CHAIN, STAR: CHAIN}
"""Names of graphs, and their peers."""

URGENT: Final = ("chrt", "--fifo", "1")
"""Before a command: it goes before all other work of the machine, so that what is measured is the network."""

ONE_BY_ONE: Final = ("-A", "-i", "0.0005", "-c", "1000")
"""Pings each of which follows the answer to the former one: pauses let other work empty the caches."""

FORWARDERS: Final = "one peer; peers are XDP programs that return frames"


def hops() -> list[Row]:
    """``chain.*``: rates and round trips over one peer, over three, and over the same three in a star."""
    with _site() as lab:
        addresses = _arranged(lab)
        user, server = lab.edges["user"], lab.edges["server"]
        rates = interleave(_of_each(addresses, partial(_packets_per_second, user, server)), ROUNDS)
        trips = interleave(_of_each(addresses, partial(_round_trip, user, server)), ROUNDS)
        streams = {name: at for name, at in addresses.items() if name != "hop"}
        bits = interleave(_of_each(streams, partial(_throughput, user, server)), ROUNDS)
    added = difference(trips, "chain", "hop") / (len(CHAIN) - 1)
    return [
        Row(
            "chain.pps_ratio_hops_3",
            rates["chain"].median,
            "packet/s",
            FORWARDERS,
            ratio(rates, "chain", "hop"),
        ),
        Row("chain.added_us_per_hop", added, "us", FORWARDERS, added),
        Row(
            "chain.vs_star_throughput",
            bits["chain"].median / 1e9,
            "Gbit/s",
            "star",
            ratio(bits, "chain", STAR),
        ),
        Row("chain.vs_star_rtt", trips["chain"].median, "us", "star", ratio(trips, "chain", STAR)),
    ]


def apply() -> list[Row]:
    """``graph.apply_ms``: from the call that applies a new graph to the first packet by it."""
    with _site() as lab:
        user, far = lab.edges["user"], lab.edges["far"]
        flow = PacedFlow(user.place, far.place, far.ipv4, per_second=PER_SECOND, urgent=True)
        with flow:
            flow.run(0.5)
            times = [_apply_ms(lab, flow, number) for number in range(APPLICATIONS)]
    return [Row("graph.apply_ms", median(times), "ms", "", median(times))]


@contextmanager
def _site() -> Iterator[Lab]:
    """A running site with all peers up."""
    plans = [HostPlan("gate", edges=("user", "server")), HostPlan("north"), HostPlan("south", edges=("far",))]
    with Lab(plans) as lab:
        peers = attach(lab, PEERS)
        lab.controller.command = star_command("gate", STAR)
        lab.start()
        wait_until(lambda: _peers_up(lab) == len(peers), "all peers were up", 30)
        yield lab


def _peers_up(lab: Lab) -> int:
    return sum(row["state"] == "up" for row in lab.controller.ask("peer", "list"))


def _arranged(lab: Lab) -> dict[str, str]:
    """Apply the arrangements and wait until each carries packets; the user's address by arrangement."""
    user, server = lab.edges["user"], lab.edges["server"]
    lab.run_beside(server.place.start("iperf3", *URGENT, "iperf3", "-s"))
    wait_for_iperf(user.place, server.ipv4)
    found: dict[str, str] = {}
    for name, peers in ARRANGEMENTS.items():
        own = IPv4Interface((user.addresses[4].ip + 1 + len(found), 24))
        user.place.add_address("eth0", own)
        found[name] = str(own.ip)
        _apply(lab, name, found[name], server.ipv4, peers)
        _round_trip(user, server, found[name])
    return found


def _apply(lab: Lab, name: str, customer: str, server: str, peers: tuple[str, ...]) -> None:
    applies = f"[{{prefixes: [{customer}/32], servers: [{server}/32]}}]"
    text = f"name: {name}\napplies: {applies}\nforward: [{', '.join(peers)}]\n"
    lab.controller.graphs.ApplyGraph(api.ApplyGraphRequest(text=text, source=name), timeout=30)


def _of_each(addresses: dict[str, str], measure: Callable[[str], float]) -> dict[str, Callable[[], float]]:
    return {name: partial(measure, address) for name, address in addresses.items()}


def _packets_per_second(user: EdgeHost, server: EdgeHost, address: str) -> float:
    """Small datagrams from ``address``; the work of all nodes is on one processor."""
    where = (server.ipv4, BARRAGE_PORT)
    return barrage.packets_per_second(user.place, address, server.place, where, BARRAGE_SECONDS)


def _round_trip(user: EdgeHost, server: EdgeHost, address: str) -> float:
    return ping(user.place, server.ipv4, *ONE_BY_ONE, "-I", address, before=URGENT)


def _throughput(user: EdgeHost, server: EdgeHost, address: str) -> float:
    return iperf(user.place, server.ipv4, "-B", address, before=URGENT)


def _apply_ms(lab: Lab, flow: PacedFlow, number: int) -> float:
    """Apply a graph for the flow, which goes nowhere without, and delete it again."""
    user, far = lab.edges["user"], lab.edges["far"]
    name = f"five-{number}"
    before, begin = len(flow.report.arrived), time.monotonic()
    _apply(lab, name, user.ipv4, far.ipv4, FIVE)
    wait_until(lambda: len(flow.report.arrived) > before, "packets went by the graph")
    first = list(flow.report.arrived.values())[before]
    lab.controller.graphs.DeleteGraph(api.DeleteGraphRequest(name=name), timeout=30)
    wait_until(lambda: _silent(flow), "no packets went any more")
    return (first - begin) * 1000


def _silent(flow: PacedFlow) -> bool:
    before = len(flow.report.arrived)
    flow.run(SETTLE_SECONDS)
    return len(flow.report.arrived) == before
