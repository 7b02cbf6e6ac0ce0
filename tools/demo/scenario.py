# SPDX-License-Identifier: Apache-2.0
"""The steps of the demonstration."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from tools.demo.download import Download
from tools.demo.facts import Change, DemoError, Outcome, verify
from tools.demo.observe import (
    CLIENT,
    SERVER,
    accounted,
    drops,
    every,
    moment,
    moment_with,
    present_moment,
    sockets,
)
from tools.demo.show import Screen
from tools.lab import Lab
from tools.lab.gaps import Arrivals
from tools.lab.underlay import replace_at_once
from tools.lab.waiting import wait_until
from tools.lab.web import Content, WebServer, random_file

SIZE: Final = 1 << 30
RATE: Final = 72 << 20
"""Octets a second: 1 GiB in some fifteen seconds."""

SMALLEST: Final = 200
"""Octets from which on a packet counts as data: acknowledgements and handshakes are smaller."""

AFTERMATH: Final = 2.0
"""Seconds after a change in which a pause counts as its consequence."""

FILE: Final = "big.bin"

Plan = tuple[str, float, tuple[str, ...]]
CHANGES: Final[Sequence[Plan]] = (
    ("the server's address is replaced", 0.20, ("server",)),
    ("the laptop's address is replaced", 0.45, ("laptop",)),
    ("both addresses are replaced at once", 0.70, ("server", "laptop")),
)
"""What changes, after which part of the transfer, on which hosts."""


def demonstrate(screen: Screen) -> None:
    """Run it; raises DemoError or LabError when a step fails."""
    screen.introduce()
    with Lab() as lab:
        screen.say("the lab stands: network namespaces on this machine, nothing of it is seen outside")
        with ThreadPoolExecutor(1) as aside, WebServer(lab["server"].place, lab.folder / "web", RATE) as web:
            making = aside.submit(random_file, web.root / FILE, SIZE)
            _start(lab, screen)
            content = making.result()
            pace = f"{RATE >> 20} MiB a second"
            screen.say(f"nginx on the server serves {FILE}: {content.size:,} random octets, {pace}")
            outcome = _transfer(lab, web, screen, content)
    screen.summary(outcome)
    verify(outcome)
    screen.say("done: one TCP connection outlived every change, and not an octet differs", "bold green")
    screen.explain("The lab is gone: its namespaces, pinned maps, programs and files.")


def _start(lab: Lab, screen: Screen) -> None:
    screen.say("the controller starts; the hosts join it, compile the data plane and load it ...")
    lab.start()
    for host in lab.hosts.values():
        hooks = ", ".join(f"{port.interface} by {port.hook}" for port in host.agent().ports)
        screen.say(f"node {host.name} has joined with a one-time token ({hooks})")
    for host, name in ((lab["server"], SERVER), (lab["laptop"], CLIENT)):
        service = host.register(lab.controller, name)
        screen.say(f"service {name} lives on {host.name}: {service.ipv4}, {service.ipv6}")
    screen.explain("These addresses stay. Below them, each host has a locator that may change at any time:")
    for host in lab.hosts.values():
        screen.explain(
            f"{host.name} is at {', '.join(str(a.ip) for a in host.uplink.addresses.values())} now."
        )


def _transfer(lab: Lab, web: WebServer, screen: Screen, content: Content) -> Outcome:
    drops_before = drops(lab)
    client = lab["laptop"]
    url = f"http://{SERVER}/{FILE}"
    with Arrivals(client.place, "ml0", SMALLEST) as arrivals, Download(client.place, url) as download:
        screen.say(" ".join(download.words), "bold")
        with screen.progress, _bar(screen, download), sockets(client) as used:
            scid = wait_until(lambda: moment(lab), f"a connection from {CLIENT} to {SERVER} stood").scid
            screen.say(f"connection {scid:016x} stands: every packet carries this identifier (SCID)")
            changes = [_change(lab, screen, download, plan) for plan in CHANGES]
            sha256 = download.finish(timeout=60)
        ended = time.time()
        screen.say("curl has ended")
    for change in changes:
        change.gap = arrivals.longest_gap(change.at, change.at + AFTERMATH)
    begin = arrivals.times[0] + 0.5
    return Outcome(
        content=content,
        sha256=sha256,
        scid=scid,
        changes=changes,
        sockets=used,
        requests=wait_until(web.requests, "nginx had logged the request"),
        quiet_gap=arrivals.longest_gap(begin, min(changes[0].at - 0.1, ended)),
        drops=drops(lab) - drops_before,
        accounted=accounted(lab, content.size),
    )


def _change(lab: Lab, screen: Screen, download: Download, plan: Plan) -> Change:
    title, part, names = plan
    wait_until(
        lambda: download.received >= part * SIZE or not download.running,
        f"{part:.0%} of the file had arrived",
        timeout=60,
    )
    if not download.running:
        download.finish(timeout=1)
        raise DemoError(f"curl ended before {title}")
    before = present_moment(lab)
    hosts = [lab[name] for name in names]
    fresh = {host.uplink: host.uplink.fresh(4, elsewhere=True) for host in hosts}
    at = time.time()
    took = replace_at_once(fresh)
    wanted = {name: str(host.uplink.addresses[4].ip) for name, host in zip(names, hosts, strict=True)}
    after = wait_until(lambda: moment_with(lab, wanted), f"the controller knew of it ({title})")
    change = Change(title, before, after, at, took)
    screen.changed(change)
    return change


@contextmanager
def _bar(screen: Screen, download: Download) -> Iterator[None]:
    """Keep the progress bar going, several times a second."""
    task = screen.progress.add_task("curl", total=SIZE)
    with every(0.1, lambda: screen.progress.update(task, completed=download.received)):
        yield
