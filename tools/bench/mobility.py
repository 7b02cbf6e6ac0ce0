# SPDX-License-Identifier: Apache-2.0
"""What a new connection and an address change cost those who use them."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import closing
from ipaddress import IPv4Address
from itertools import pairwise, product
from statistics import median, quantiles

from tools.bench.lookups import drive
from tools.bench.p4runtime import Reader, Tables
from tools.bench.report import Row
from tools.lab.flow import PacedFlow
from tools.lab.lab import Lab
from tools.lab.programs import Host
from tools.lab.waiting import wait_until

NEW_CONNECTIONS = 200
CHANGES = 20
PER_SECOND = 2000
SERVICES_EACH = 100
"""Services on each of two nodes: their pairs make 10,000 connections."""


def first_packet() -> list[Row]:
    """``connect.first_packet_ms``: SYN to SYN-ACK of connections that nobody has looked up."""
    with Lab() as lab:
        lab.start()
        lab["laptop"].register(lab.controller, "laptop.bench")
        served = [lab["server"].register(lab.controller, f"s{i}.bench") for i in range(NEW_CONNECTIONS)]
        with closing(lab["server"].place.socket(socket.AF_INET, socket.SOCK_STREAM)) as listener:
            listener.bind(("0.0.0.0", 7002))  # noqa: S104 - inside a namespace of the lab
            listener.listen(NEW_CONNECTIONS)
            times = [_connect_ms(lab["laptop"], str(IPv4Address(s.ipv4)), 7002) for s in served]
    p99 = quantiles(times, n=100)[98]
    return [
        Row("connect.first_packet_ms", median(times), "ms", "", median(times)),
        Row("connect.first_packet_ms.p99", p99, "ms", "", p99),
    ]


def _connect_ms(host: Host, address: str, port: int) -> float:
    with closing(host.place.socket(socket.AF_INET, socket.SOCK_STREAM)) as client:
        begin = time.perf_counter()
        client.connect((address, port))
        return (time.perf_counter() - begin) * 1000


def address_change_gap() -> list[Row]:
    """``address_change.gap_ms``: the server moves under a paced UDP flow, then the laptop, in turn."""
    with Lab() as lab:
        lab.start()
        served = lab["server"].register(lab.controller, "files.bench")
        lab["laptop"].register(lab.controller, "laptop.bench")
        address = str(IPv4Address(served.ipv4))
        trip = _round_trip_s(lab, address)
        moments: list[float] = []
        places = lab["laptop"].place, lab["server"].place
        flow = PacedFlow(*places, address, per_second=PER_SECOND, urgent=True)
        with flow:
            flow.run(0.5)
            for turn in range(CHANGES):
                moments.append(time.monotonic())
                lab[("server", "laptop")[turn % 2]].uplink.move(elsewhere=turn % 4 > 1)
                flow.run(0.5)
        arrivals = sorted(flow.report.arrived.values())
    gaps = [1000 * (_gap_after(arrivals, moment) - trip) for moment in moments]
    return [Row("address_change.gap_ms", median(gaps), "ms", "one round trip", median(gaps))]


def _round_trip_s(lab: Lab, address: str) -> float:
    """Round trip of a TCP connect through Moorline, once the connection stands."""
    with closing(lab["server"].place.socket(socket.AF_INET, socket.SOCK_STREAM)) as listener:
        listener.bind((address, 7003))
        listener.listen(20)
        return median(_connect_ms(lab["laptop"], address, 7003) for _ in range(20)) / 1000


def _gap_after(arrivals: Sequence[float], moment: float) -> float:
    """The longest time between two arrivals in the 400 ms after ``moment``, in seconds."""
    return max(b - a for a, b in pairwise(arrivals) if moment - 0.01 < b and a < moment + 0.4)


def entries_per_peer() -> list[Row]:
    """``address_change.entries_per_peer``: entries that differ on the other node, of 10,000 connections."""
    with Lab() as lab:
        lab.start()
        for name in ("server", "laptop"):
            for i in range(SERVICES_EACH):
                lab[name].register(lab.controller, f"{name}{i}.bench")
        names = [(f"laptop{i}.bench", f"server{j}.bench") for i, j in product(range(SERVICES_EACH), repeat=2)]
        drive(lab.controller.socket, names)
        before = _entries(lab["laptop"])
        lab["server"].uplink.move()
        locator = Tables().table_id("locator")

        def moved() -> bool:
            now = _entries(lab["laptop"], [locator])
            return any(before[key] != value for key, value in now.items())

        wait_until(moved, "the laptop's entry for the server changed")
        after = _entries(lab["laptop"])
    changed = sum(before.get(key) != value for key, value in after.items()) + len(
        before.keys() - after.keys()
    )
    return [Row("address_change.entries_per_peer", changed, "entries", "10,000 connections", changed)]


def _entries(host: Host, table_ids: Sequence[int] | None = None) -> dict[tuple[int, bytes], bytes]:
    """Entries of the tables that the controller programs: (table, key) -> action."""
    tables = Tables()
    wanted = table_ids or [tables.table_id(name) for name in ("scid", "connection", "locator")]
    found: dict[tuple[int, bytes], bytes] = {}
    with Reader(f"unix:{host.socket}") as reader:
        for table in wanted:
            for entry in reader.read(table):
                key = b"".join(match.SerializeToString() for match in entry.match)
                found[table, key] = entry.action.SerializeToString()
    return found
