# SPDX-License-Identifier: Apache-2.0
"""Traffic of which nothing may be lost: numbered datagrams, and iperf3 with its own numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from tools.lab import Lab
from tools.lab.flow import PacedFlow
from tools.lab.programs import Service
from tools.lab.waiting import wait_until

IPERF3 = ("iperf3", "--json", "--udp", "--length", "100", "--bitrate", "200K", "--time", "0", "--client")
"""As long as it is let; slow enough, and of packets that are small enough, for its socket's buffer to hold
what comes within a second: for so long a busy machine may keep it waiting.
"""

_runs = count(1)


def go_on(flow: PacedFlow, datagrams: int = 200) -> None:
    """Wait until so many more have arrived."""
    before = len(flow.report.arrived)
    wait_until(
        lambda: len(flow.report.arrived) >= before + datagrams, f"{datagrams} more datagrams had arrived", 30
    )


@contextmanager
def nothing_lost(lab: Lab, server: Service, per_second: int = 1000) -> Iterator[PacedFlow]:
    """Within, datagrams flow from the laptop to ``server``; not one of them may be lost or come twice."""
    # Ahead of the flow: of what comes before a connection stands only so many packets are held.
    lab.controller.lookup("laptop.demo", server.name)
    with PacedFlow(lab["laptop"].place, server.host.place, server.ipv4, per_second=per_second) as flow:
        go_on(flow)
        yield flow
        go_on(flow)
    assert not flow.report.lost, flow.report.lost
    assert not flow.report.duplicates


@contextmanager
def iperf3_loses_nothing(lab: Lab, server: Service) -> Iterator[None]:
    """Within, iperf3 sends UDP from the laptop to ``server``; by its own count nothing may be lost."""
    place = server.host.place
    with place.start(
        f"iperf3-{next(_runs)}", "iperf3", "--json", "--server", "--one-off", "--bind", server.ipv4
    ) as far:
        wait_until(lambda: place.run("ss", "-Htln", "sport = 5201").stdout, "iperf3 listened")
        with lab["laptop"].place.start("iperf3", *IPERF3, server.ipv4) as near:
            connected = ("ss", "-Hun", "state", "established", "sport", "=", ":5201")
            wait_until(lambda: place.run(*connected).stdout, "iperf3 sent")
            yield
            near.check_running()
            near.stop()
        far.wait(10)
    seen = json.loads(far.log.read_text())["end"]["streams"][0]["udp"]
    assert seen["packets"] > 0
    assert seen["lost_packets"] == 0, f"{seen['lost_packets']} of {seen['packets']}"
