# SPDX-License-Identifier: Apache-2.0
"""Throughput and round trips through Moorline, beside the kernel's VXLAN device and beside plain routing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Address
from statistics import median
from typing import Any

from tools.bench.report import Row
from tools.bench.rounds import difference, interleave, ratio
from tools.lab.lab import HostPlan, Lab
from tools.lab.namespace import Namespace
from tools.lab.waiting import wait_until

ROUNDS = 7
SECONDS = 2
PINGS = 400
_VXLAN = {"laptop": "10.99.0.1", "server": "10.99.0.2"}


def throughput() -> list[Row]:
    """``tcp.throughput_ratio_vxlan`` and ``tcp.throughput_ratio_plain``."""
    with _site() as (lab, virtual):
        _lay_vxlan(lab)
        client = lab["laptop"].place
        plain = str(lab["server"].uplink.addresses[4].ip)
        samples = interleave(
            {
                "moorline": partial(iperf, client, virtual),
                "vxlan": partial(iperf, client, _VXLAN["server"]),
                "plain": partial(iperf, client, plain),
            },
            ROUNDS,
        )
    rate = samples["moorline"].median / 1e9
    return [
        Row(
            "tcp.throughput_ratio_vxlan", rate, "Gbit/s", "kernel VXLAN", ratio(samples, "moorline", "vxlan")
        ),
        Row(
            "tcp.throughput_ratio_plain", rate, "Gbit/s", "plain routing", ratio(samples, "moorline", "plain")
        ),
    ]


def throughput_xdp() -> list[Row]:
    """``tcp.throughput_ratio_plain_xdp``: the hook fixed to XDP, beside plain routing without offloads."""
    port = {"port": [{"name": "up0", "role": "underlay", "hook": "xdp"}]}
    with _site(port) as (lab, virtual), Lab() as bare:
        for host in bare.hosts.values():
            _switch_offloads_off(host.place, "up0")
            _switch_offloads_off(bare.router, host.uplink.router_interface)
        bare.run_beside(bare["server"].place.start("iperf3", "iperf3", "-s"))
        plain = str(bare["server"].uplink.addresses[4].ip)
        wait_for_iperf(bare["laptop"].place, plain)
        samples = interleave(
            {
                "moorline": partial(iperf, lab["laptop"].place, virtual),
                "plain": partial(iperf, bare["laptop"].place, plain),
            },
            ROUNDS,
        )
    rate = samples["moorline"].median / 1e9
    peer = "plain routing, offloads off"
    return [Row("tcp.throughput_ratio_plain_xdp", rate, "Gbit/s", peer, ratio(samples, "moorline", "plain"))]


def round_trip() -> list[Row]:
    """``rtt.added_us``: median ping through Moorline less median plain ping of the same round."""
    with _site() as (lab, virtual):
        client = lab["laptop"].place
        plain = str(lab["server"].uplink.addresses[4].ip)
        samples = interleave(
            {"moorline": partial(ping, client, virtual), "plain": partial(ping, client, plain)}, ROUNDS
        )
    added = difference(samples, "moorline", "plain")
    return [Row("rtt.added_us", added, "us", "plain routing", added)]


@contextmanager
def _site(settings: Mapping[str, Any] | None = None) -> Iterator[tuple[Lab, str]]:
    """A running lab with a service on each host and iperf3 on the server, whose virtual address it yields."""
    plans = [HostPlan("server", settings=settings), HostPlan("laptop", settings=settings)]
    with Lab(plans) as lab:
        lab.start()
        served = lab["server"].register(lab.controller, "files.bench")
        lab["laptop"].register(lab.controller, "laptop.bench")
        lab.run_beside(lab["server"].place.start("iperf3", "iperf3", "-s"))
        virtual = str(IPv4Address(served.ipv4))
        wait_for_iperf(lab["laptop"].place, virtual)
        yield lab, virtual


def wait_for_iperf(client: Namespace, address: str) -> None:
    """Wait until iperf3 answers there."""

    def answers() -> bool:
        return client.run("iperf3", "-c", address, "-t", "1", check=False).returncode == 0

    wait_until(answers, f"iperf3 answered at {address}", 20)


def iperf(client: Namespace, address: str, *words: str, before: Sequence[str] = ()) -> float:
    """Bits a second that arrived, over one TCP stream; ``words`` are more of the command, ``before`` stand
    before it.
    """
    done = client.run(
        *before, "iperf3", "-c", address, *words, "-t", str(SECONDS), "-O", "0.5", "-J", timeout=30
    )
    return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"])


def ping(client: Namespace, address: str, *words: str, before: Sequence[str] = ()) -> float:
    """Median round trip in microseconds; ``words`` are more of the command, ``before`` stand before it."""
    done = client.run(*before, "ping", "-c", str(PINGS), "-i", "0.002", *words, address, timeout=30)
    return 1000 * median(float(found) for found in re.findall(r"time=([\d.]+) ms", done.stdout))


def _lay_vxlan(lab: Lab) -> None:
    hosts = {name: lab[name] for name in _VXLAN}
    for name, host in hosts.items():
        (other,) = (hosts[other] for other in hosts if other != name)
        link = ("ip", "link", "add", "vx0", "type", "vxlan", "id", "42", "dstport", "4789")
        ends = ("local", str(host.uplink.addresses[4].ip), "remote", str(other.uplink.addresses[4].ip))
        host.place.run(*link, *ends)
        host.place.run("ip", "address", "add", f"{_VXLAN[name]}/24", "dev", "vx0")
        host.place.run("ip", "link", "set", "vx0", "up")
    wait_for_iperf(lab["laptop"].place, _VXLAN["server"])


def _switch_offloads_off(place: Namespace, interface: str) -> None:
    place.run("ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
