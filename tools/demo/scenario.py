# SPDX-License-Identifier: Apache-2.0
"""The steps of the demonstration."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Final

from tools.demo.download import Download
from tools.demo.facts import Change, Crossing, DemoError, Moment, Outcome, verify
from tools.demo.observe import (
    CLIENT,
    SERVER,
    accounted,
    drops,
    every,
    moment,
    moment_with,
    moment_without,
    present_moment,
    relayed,
    sockets,
    switch_locators,
)
from tools.demo.setting import SWITCH, Setting, Step
from tools.demo.show import TransferScreen
from tools.lab import Lab, SwitchPlan
from tools.lab.gaps import Arrivals
from tools.lab.tunnels import Tunnels
from tools.lab.underlay import move
from tools.lab.waiting import wait_until
from tools.lab.web import Content, WebServer, random_file

SIZE: Final = 1 << 30

SMALLEST: Final = 200
"""Octets from which on a packet counts as data: acknowledgements and handshakes are smaller."""

AFTERMATH: Final = 2.0
"""Seconds after a change in which a pause counts as its consequence."""

FILE: Final = "big.bin"


def demonstrate(screen: TransferScreen, setting: Setting) -> None:
    """Run it; raises DemoError or LabError when a step fails."""
    screen.introduce(setting)
    switches = [SwitchPlan(SWITCH)] if setting.switched else []
    with Lab(switches=switches, mtu=setting.mtu) as lab:
        screen.say("the lab stands: network namespaces on this machine, nothing of it is seen outside")
        server = WebServer(lab["server"].place, lab.folder / "web", setting.rate)
        with ThreadPoolExecutor(1) as aside, server as web:
            making = aside.submit(random_file, web.root / FILE, SIZE)
            _start(lab, screen)
            content = making.result()
            pace = f"{setting.rate >> 20} MiB a second"
            screen.say(f"nginx on the server serves {FILE}: {content.size:,} random octets, {pace}")
            outcome = _transfer(lab, web, screen, setting, content)
    screen.summary(outcome)
    verify(outcome)
    screen.say("done: one TCP connection outlived every change, and not an octet differs", "bold green")
    screen.explain("The lab is gone: its namespaces, pinned maps, programs and files.")


def _start(lab: Lab, screen: TransferScreen) -> None:
    screen.say("the controller starts; the hosts join it, compile the data plane and load it ...")
    lab.start()
    for host in lab.hosts.values():
        hooks = ", ".join(f"{port.interface} by {port.hook}" for port in host.agent().ports)
        screen.say(f"node {host.name} has joined with a one-time token ({hooks})")
    for switch in lab.switches.values():
        screen.say(f"node {switch.name} was added: BMv2, which the controller programs over P4Runtime")
        for host in lab.hosts.values():
            lab.controller.moorline("node", "set", host.name, "--via", switch.name)
            screen.say(f"moorline node set {host.name} --via {switch.name}", "bold")
    for host, name in ((lab["server"], SERVER), (lab["laptop"], CLIENT)):
        service = host.register(lab.controller, name)
        screen.say(f"service {name} lives on {host.name}: {service.ipv4}, {service.ipv6}")
    screen.explain("These addresses stay. Below them, each host has locators that may change at any time:")
    for host in lab.hosts.values():
        screen.explain(
            f"{host.name} is at {', '.join(str(a.ip) for a in host.uplink.addresses.values())} now."
        )
    for switch in lab.switches.values():
        screen.explain(f"{switch.name} is at {', '.join(switch_locators(lab))}.")


def _transfer(
    lab: Lab, web: WebServer, screen: TransferScreen, setting: Setting, content: Content
) -> Outcome:
    drops_before = drops(lab)
    client = lab["laptop"]
    url = f"http://{SERVER}/{FILE}"
    with (
        _crossing(lab, setting) as crossings,
        Arrivals(client.place, "ml0", SMALLEST) as arrivals,
        Download(client.place, url) as download,
    ):
        screen.say(" ".join(download.words), "bold")
        with screen.progress, _bar(screen, download), sockets(client) as used:
            scid = wait_until(lambda: moment(lab), f"a connection from {CLIENT} to {SERVER} stood").scid
            screen.say(f"connection {scid:016x} stands: every packet carries this identifier (SCID)")
            changes = [_change(lab, screen, download, step) for step in setting.steps]
            sha256 = download.finish(timeout=120)
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
        crossing=crossings[0] if crossings else None,
    )


@contextmanager
def _crossing(lab: Lab, setting: Setting) -> Iterator[list[Crossing]]:
    """Within, look at what the switch does; after it, that is in the list (where there is a switch)."""
    found: list[Crossing] = []
    if not setting.switched:
        yield found
        return
    packets, octets = relayed(lab)
    with ExitStack() as stack:
        tunnels = {
            host.name: stack.enter_context(Tunnels(host.place, host.uplink.interface))
            for host in lab.hosts.values()
        }
        yield found
    now_packets, now_octets = relayed(lab)
    senders = {name: tunnel.sources for name, tunnel in tunnels.items()}
    scids = set[int]().union(*(tunnel.scids for tunnel in tunnels.values()))
    found.append(Crossing(switch_locators(lab), now_packets - packets, now_octets - octets, senders, scids))


def _change(lab: Lab, screen: TransferScreen, download: Download, step: Step) -> Change:
    wait_until(
        lambda: download.received >= step.part * SIZE or not download.running,
        f"{step.part:.0%} of the file had arrived",
        timeout=120,
    )
    if not download.running:
        download.finish(timeout=1)
        raise DemoError(f"curl ended before {step.title}")
    before = present_moment(lab)
    at = time.time()
    took, after = _rotate(lab, screen, before) if step.rotates else _replace(lab, step)
    change = Change(step.title, step.rotates, before, after, at, took)
    screen.changed(change)
    return change


def _replace(lab: Lab, step: Step) -> tuple[float, Moment]:
    """Replace all addresses of the hosts of a step: the seconds that it took, and the connection then."""
    hosts = [lab[name] for name in step.hosts]
    took = move(*(host.uplink for host in hosts))
    wanted = {host.name: {str(a.ip) for a in host.uplink.addresses.values()} for host in hosts}
    return took, wait_until(lambda: moment_with(lab, wanted), f"the controller knew of it ({step.title})")


def _rotate(lab: Lab, screen: TransferScreen, before: Moment) -> tuple[float, Moment]:
    """Order a new SCID: the seconds that the command took, and the connection then."""
    words = ("connection", "rotate", f"{before.scid:016x}")
    screen.say(f"moorline {' '.join(words)}", "bold")
    begin = time.monotonic()
    lab.controller.moorline(*words)
    took = time.monotonic() - begin
    return took, wait_until(lambda: moment_without(lab, before.scid), "the connection had a new SCID")


@contextmanager
def _bar(screen: TransferScreen, download: Download) -> Iterator[None]:
    """Keep the progress bar going, several times a second."""
    task = screen.progress.add_task("curl", total=SIZE)
    with every(0.1, lambda: screen.progress.update(task, completed=download.received)):
        yield
