# SPDX-License-Identifier: Apache-2.0
"""The steps of the demonstration of service graphs."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any, Final

from tools.demo.download import Download
from tools.demo.graph.costs import compare
from tools.demo.graph.facts import Cost, Outcome, Takeover, verify
from tools.demo.graph.show import GraphScreen
from tools.demo.graph.site import (
    ACCESS,
    ADDRESS,
    BLOCKED_NAME,
    DEVICE,
    GRAPH,
    SERVER,
    SITE_NAME,
    STAR,
    VNI,
    customers_file,
    graph_file,
    plans,
    rules_file,
)
from tools.demo.observe import drops, every
from tools.lab import Lab
from tools.lab.devices import TUNNEL, Device
from tools.lab.gaps import Arrivals
from tools.lab.name_server import name_server
from tools.lab.star import star_command
from tools.lab.waiting import wait_until
from tools.lab.web import Content, WebServer, random_file

SIZE: Final = 48 << 20
RATE: Final = 12 << 20
"""Octets of the download, and how many a second the server and later the cache's customer take."""

KILL_AT: Final = 0.3
SMALLEST: Final = 200
"""Octets from which on a packet counts as data."""

AFTERMATH: Final = 3.0
_PAGE: Final = "hello.txt"
_FILE: Final = "big.bin"


def demonstrate(screen: GraphScreen) -> None:
    """Run it; raises DemoError or LabError when a step fails."""
    screen.introduce()
    with tempfile.TemporaryDirectory() as folder, Lab(plans(Path(folder)), devices=(DEVICE,)) as lab:
        _start(lab, screen)
        web = WebServer(lab.edges[SERVER].place, lab.folder / "web", RATE)
        (web.root / _PAGE).write_text("hello\n")
        content = random_file(web.root / _FILE, SIZE)
        with _names(lab), web:
            outcome = _show(lab, screen, content, rules_file(Path(folder), "fw1"))
        screen.summary(outcome)
        verify(outcome)
    screen.say("done: everything came out as it must; nothing is left of the lab", "bold green")


def _start(lab: Lab, screen: GraphScreen) -> None:
    screen.say("the controller starts; four nodes join it, load the data plane and start their peers ...")
    lab.controller.command = star_command(ACCESS, STAR)
    lab.start()
    device = lab.devices[DEVICE]
    endpoint = str(lab[ACCESS].uplink.addresses[4].ip)
    server = lab.edges[SERVER].addresses[4].network
    device.tunnel(endpoint, VNI, ADDRESS, str(server))
    wait_until(
        lambda: all(row["state"] == "up" for row in lab.controller.ask("peer", "list")), "all peers were up"
    )
    screen.quote(_command(lab, screen, "peer", "list"))
    _command(lab, screen, "customer", "apply", str(customers_file(lab.folder, device.outer)))
    screen.explain(f"The phone is a customer's: packets of {ADDRESS.ip} in its tunnel are let in, no others.")
    begin = time.monotonic()
    _command(lab, screen, "graph", "apply", str(graph_file(lab.folder, GRAPH, lab.edges[SERVER].ipv4)))
    screen.explain(
        f"Applied within {(time.monotonic() - begin) * 1000:.0f} ms, the command's own start included."
    )


@contextmanager
def _names(lab: Lab) -> Iterator[None]:
    """Let the phone find the server by its names, and the cache."""
    address = lab.edges[SERVER].ipv4
    names = (SITE_NAME, BLOCKED_NAME)
    for name in names:
        lab.add_name(name, address)
    resolver = lab.controller.place.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with name_server(resolver, lab.controller.address, dict.fromkeys(names, (address,))):
        yield


def _show(lab: Lab, screen: GraphScreen, content: Content, rules: Path) -> Outcome:
    device = lab.devices[DEVICE]
    screen.quote(_command(lab, screen, "graph", "trace", GRAPH, "--path", _first_path(lab)))
    allowed = _fetch(screen, device, SITE_NAME)
    blocked = _fetch(screen, device, BLOCKED_NAME)
    takeover = _take_over(lab, screen, device, rules)
    again, shortcut, past = _short_cut(lab, screen, device)
    chain, star = _compare(lab, screen, device)
    screen.quote(_command(lab, screen, "graph", "list"))
    return Outcome(
        content=content,
        allowed=allowed,
        blocked=blocked,
        takeover=takeover,
        again=again,
        shortcut=shortcut,
        past=past,
        hops=_graph(lab)["paths"],
        chain=chain,
        star=star,
        drops=drops(lab),
    )


def _command(lab: Lab, screen: GraphScreen, *words: str) -> str:
    """Run a command of Moorline's before the eyes of all; what it wrote."""
    screen.say(f"moorline {' '.join(words)}", "bold")
    return lab.controller.moorline(*words).stdout


def _graph(lab: Lab) -> Mapping[str, Any]:
    found: Mapping[str, Any] = lab.controller.ask("graph", "show", GRAPH)
    return found


def _first_path(lab: Lab) -> str:
    paths: list[Mapping[str, Any]] = _graph(lab)["paths"]
    return str(paths[0]["path"])


def _given(lab: Lab, instance: str) -> int:
    """Packets that an instance was given on all paths so far."""
    found = (hop["instances"] for path in _graph(lab)["paths"] for hop in path["hops"])
    return sum(at["packets"] for instances in found for at in instances if at["name"] == instance)


def _asked(lab: Lab) -> int:
    """Packets from the device that firewalls were given so far."""
    paths = (path for path in _graph(lab)["paths"] if path["path"].startswith("forward"))
    hops = (hop for path in paths for hop in path["hops"] if hop["kind"] == "firewall")
    return sum(at["packets"] for hop in hops for at in hop["instances"])


# ---- pages ------------------------------------------------------------------------------------------------


def _fetch(screen: GraphScreen, device: Device, name: str) -> int:
    """Fetch a page by name: the HTTP status where it may be seen, else that of curl."""
    words = ("curl", "-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}", f"http://{name}/{_PAGE}")
    screen.say(f"phone: curl http://{name}/{_PAGE}", "bold")
    done = device.place.run(*words, check=False)
    if name == BLOCKED_NAME:
        screen.say(f"{name} is on the content filter's list: curl ends with status {done.returncode}")
        return done.returncode
    screen.say(f"HTTP status {done.stdout}")
    return int(done.stdout)


# ---- a firewall dies --------------------------------------------------------------------------------------


def _take_over(lab: Lab, screen: GraphScreen, device: Device, rules: Path) -> Takeover:
    """Firewall fw1 loses its rules and a cable, so that its agent cannot mend it while the download lasts."""
    kept = rules.rename(rules.with_suffix(".kept"))
    url = f"http://{SITE_NAME}/{_FILE}"
    before = _given(lab, "fw2")
    with (
        Arrivals(device.place, TUNNEL, SMALLEST) as arrivals,
        Download(device.place, url) as download,
    ):
        screen.say(f"phone: {' '.join(download.words)}", "bold")
        with _sockets(device) as sockets:
            wait_until(lambda: download.received >= KILL_AT * SIZE, f"{KILL_AT:.0%} of the file had come", 60)
            at = time.time()
            lab[ACCESS].place.run("ip", "link", "set", "fw1-in", "down")
            screen.say("firewall fw1 loses a cable: it is down, and the spare fw2 gets its customers", "bold")
            sha256 = download.finish(timeout=120)
    kept.rename(rules)
    gap = arrivals.longest_gap(at, at + AFTERMATH)
    screen.say(f"curl has ended; the longest time without data was {gap * 1000:.0f} ms")
    wait_until(
        lambda: lab.controller.ask("peer", "show", "fw1")["state"] == "up", "firewall fw1 was up again"
    )
    return Takeover(sha256, len(sockets), gap, _given(lab, "fw2") - before)


@contextmanager
def _sockets(device: Device) -> Iterator[set[str]]:
    """Local endpoints of the device's TCP connections to port 80."""
    seen: set[str] = set()

    def look() -> None:
        listed = device.place.run("ss", "-Htn", "dport = 80").stdout.splitlines()
        seen.update(line.split()[3] for line in listed)

    with every(0.2, look):
        yield seen


# ---- the cache answers ------------------------------------------------------------------------------------


def _short_cut(lab: Lab, screen: GraphScreen, device: Device) -> tuple[str, Mapping[str, Any], int]:
    url = f"http://{SITE_NAME}/{_FILE}"
    words = ("--limit-rate", str(RATE), "--output", "/dev/null", f"http://{SITE_NAME}/{_PAGE}")
    with Download(device.place, url, *words) as download:
        screen.say(f"phone: {' '.join(download.words)}", "bold")
        screen.explain("Two files over one connection, both seen before: the cache answers.")
        found = wait_until(
            lambda: lab.controller.ask("graph", "shortcuts"), "the cache had asked for a short-cut"
        )
        before = _asked(lab)
        screen.say("the cache has both, and asks for a short-cut: requests go past the peers before it")
        screen.quote(_command(lab, screen, "graph", "shortcuts"))
        sha256 = download.finish(timeout=120)
        past = _asked(lab) - before
        shortcut = next(iter(lab.controller.ask("graph", "shortcuts")), found[0])
    return sha256, shortcut, past


# ---- chain and star ---------------------------------------------------------------------------------------


def _compare(lab: Lab, screen: GraphScreen, device: Device) -> tuple[Cost, Cost]:
    """The same peers between the device and two addresses of the server, in a chain and in a star."""
    server = lab.edges[SERVER]
    other = IPv4Interface((server.addresses[4].ip + 1, server.addresses[4].network.prefixlen))
    server.place.add_address(server.interface, other)
    lab.run_beside(server.place.start("iperf3", "iperf3", "-s"))
    wait_until(lambda: bool(server.place.run("ss", "-Htln", "sport = 5201").stdout), "iperf3 listened")
    _command(lab, screen, "graph", "apply", str(graph_file(lab.folder, STAR, str(other.ip))))
    screen.explain(f"To {other.ip} the lab has packets go back to {ACCESS} after each peer: a star.")
    screen.say("chain and star are measured in turn: ping, iperf3 ...")
    return compare(lab, device.place, server.ipv4, str(other.ip))
