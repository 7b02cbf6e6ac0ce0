# SPDX-License-Identifier: Apache-2.0
"""What the demonstration looks at while curl runs."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Final

from moorline.api.v1 import moorline_pb2 as api
from tools.demo.facts import DemoError, Moment
from tools.demo.setting import SWITCH
from tools.lab import Lab
from tools.lab.programs import Host
from tools.lab.waiting import wait_until

CLIENT: Final = "laptop.demo"
SERVER: Final = "files.demo"
"""The two services."""


def moment(lab: Lab) -> Moment | None:
    """The connection as the controller shows it now."""
    seen = lab.controller.connection(CLIENT, SERVER)
    if seen is None:
        return None
    client, server = (tuple(str(ip_address(o)) for o in end.locators) for end in (seen.client, seen.server))
    return Moment(seen.scid, client, server)


def present_moment(lab: Lab) -> Moment:
    """The same of a connection that must exist."""
    seen = moment(lab)
    if seen is None:
        raise DemoError(f"the controller shows no connection from {CLIENT} to {SERVER}")
    return seen


def moment_with(lab: Lab, wanted: Mapping[str, set[str]]) -> Moment | None:
    """The connection, once the controller shows just the ``wanted`` locators of each host."""
    seen = present_moment(lab)
    shown = {"server": seen.server_locators, "laptop": seen.client_locators}
    return seen if all(set(shown[name]) == addresses for name, addresses in wanted.items()) else None


def moment_without(lab: Lab, scid: int) -> Moment | None:
    """The connection, once its SCID is another."""
    seen = present_moment(lab)
    return seen if seen.scid != scid else None


def switch_locators(lab: Lab) -> tuple[str, ...]:
    """The underlay addresses of the switch."""
    return tuple(str(ip_address(locator.address)) for locator in lab.controller.node(SWITCH).locators)


def relayed(lab: Lab) -> tuple[int, int]:
    """Packets and octets that the switch has sent on so far."""
    answer = lab.controller.nodes.ListPortEvents(api.ListPortEventsRequest(node=SWITCH), timeout=10)
    sent = [event for event in answer.events if event.event == "tx"]
    return sum(event.packets for event in sent), sum(event.bytes for event in sent)


def drops(lab: Lab) -> Counter[tuple[str, str]]:
    """Packets dropped so far, by node and reason."""
    found: Counter[tuple[str, str]] = Counter()
    for name in (*lab.hosts, *lab.switches):
        for (_, event), packets in lab.controller.events(name).items():
            if event.startswith("drop_"):
                found[name, event.removeprefix("drop_")] += packets
    return found


def accounted(lab: Lab, least: int) -> int:
    """Octets that the server's data plane counted on the connection, once they have been read."""

    def count() -> int:
        counted = int(lab.controller.connection(CLIENT, SERVER).server_to_client.bytes)
        return counted if counted >= least else 0

    return wait_until(count, f"{least:,} octets were accounted for on the connection")


@contextmanager
def sockets(client: Host) -> Iterator[Sequence[str]]:
    """Local endpoints of TCP connections to port 80 on the client, each noted when first seen."""
    seen: list[str] = []

    def look() -> None:
        listed = client.place.run("ss", "-Htn", "dport = 80").stdout.splitlines()
        seen.extend(local for local in (line.split()[3] for line in listed) if local not in seen)

    with every(0.25, look):
        yield seen


@contextmanager
def every(seconds: float, action: Callable[[], object]) -> Iterator[None]:
    """Within, do ``action`` again and again in a thread."""
    ending = threading.Event()

    def repeat() -> None:
        while not ending.wait(seconds):
            action()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
