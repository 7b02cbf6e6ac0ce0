# SPDX-License-Identifier: Apache-2.0
"""One lab for all tests: its start, with a compilation on every host, is most of the work.

``server`` has files.demo and ``laptop`` laptop.demo. ``roamer`` has two uplinks, ``six`` knows IPv6
only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tools.lab import HostPlan, Lab
from tools.lab.programs import MOORLINE, Service
from tools.lab.web import WebServer
from tools.nursery import nursery

HOSTS = (
    HostPlan("server"),
    HostPlan("laptop"),
    HostPlan("roamer", uplinks=2),
    HostPlan("six", families=(6,)),
)
Register = Callable[[str, str], Service]


@pytest.fixture(scope="session", autouse=True)
def _nursery() -> Iterator[None]:
    """Programs of labs begin where all that they load is loaded."""
    with nursery():
        yield


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with Lab(HOSTS) as lab:
        _start_as_users_do(lab)
        # The first services of their hosts: programs that bind no address have theirs.
        lab["server"].register(lab.controller, "files.demo")
        lab["laptop"].register(lab.controller, "laptop.demo")
        yield lab


def _start_as_users_do(lab: Lab) -> None:
    """Each program is once the command that is installed, in a Python of its own."""
    programs = (lab.controller, *lab.hosts.values())
    for program in programs:
        program.command = (MOORLINE,)
    lab.start()
    for program in programs:
        program.command = ()


@pytest.fixture(scope="session")
def register(lab: Lab) -> Register:
    """Registers a service: ``register("server", "files.demo")``."""

    def register(host: str, name: str) -> Service:
        return lab[host].register(lab.controller, name)

    return register


@pytest.fixture(scope="session")
def files(lab: Lab) -> Service:
    return lab["server"].service(lab.controller, "files.demo")


@pytest.fixture(scope="session")
def laptop(lab: Lab) -> Service:
    return lab["laptop"].service(lab.controller, "laptop.demo")


@pytest.fixture(scope="session")
def web(lab: Lab, files: Service) -> Iterator[WebServer]:
    """An nginx on the host of files.demo."""
    with WebServer(files.host.place, lab.folder / "web", rate=12 << 20) as server:
        yield server


_numbers = count(1)


@pytest.fixture
def fresh_pair(register: Register) -> tuple[Service, Service]:
    """A client on the laptop and a server on the server that have never talked to one another."""
    number = next(_numbers)
    return register("laptop", f"client{number}.test"), register("server", f"server{number}.test")
