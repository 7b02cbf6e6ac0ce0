# SPDX-License-Identifier: Apache-2.0
"""The servers under test: a node's agent with its data plane, and BMv2's ``simple_switch_grpc``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

from finsy.proto import p4r

from moorline.wire import Tunnel
from tests.conformance.p4runtime.session import ELECTIONS, Session, entry
from tests.conformance.p4runtime.traffic import Wire, Wires, mapped
from tools.lab import HostPlan, Lab, cleanup
from tools.lab.namespace import Namespace
from tools.lab.switch import Switch

UNDERLAY: Final = 1
ACCESS: Final = 2
ADDRESS: Final = "192.0.2.1"
"""Ports and address of the switch."""

FIRST_ELECTION: Final = 1 << 64
"""Above a controller's, which is the time in nanoseconds."""


class Target:
    """A server under test, at a gRPC address."""

    def __init__(self, name: str, address: str, wires: Wires) -> None:
        self.name = name
        self._address = address
        self._wires = wires
        self._elections = count(FIRST_ELECTION, ELECTIONS)

    @property
    def own(self) -> tuple[p4r.TableEntry, ...]:
        """The rows that frames over its wires need, where nobody else writes them."""
        return ()

    def session(self) -> Session:
        """A session with the next election id; its ``prepare`` writes the rows again that traffic needs."""
        return Session(self._address, next(self._elections), self._wires, self.own)

    def start_anew(self) -> None:
        """Starts a switch anew; an agent needs that never."""


class SwitchTarget(Target):
    """A switch, which is given its program and its rows by the suite."""

    def __init__(self, switch: Switch, wires: Wires) -> None:
        super().__init__("bmv2", switch.address, wires)
        self._switch = switch
        self._give_program()

    @property
    def own(self) -> tuple[p4r.TableEntry, ...]:
        return (
            entry("port_role", [bytes([UNDERLAY])], "underlay"),
            entry("port_role", [bytes([ACCESS])], "access", [b"\0", b"\0"]),
            entry("terminate", [mapped(ADDRESS), bytes([Tunnel.GENEVE])], "open"),
        )

    def start_anew(self) -> None:
        self._switch.kill()
        self._switch.start()
        self._give_program()

    def _give_program(self) -> None:
        with self.session() as session:
            assert session.set_config("VERIFY_AND_COMMIT") == "OK"


@contextmanager
def agent() -> Iterator[Target]:
    """A node's agent in a lab; the controller has programmed it once, and has gone."""
    with Lab([HostPlan("node")]) as lab:
        lab.start()
        lab.controller.stop()
        host = lab["node"]
        ports = {port.role: port for port in host.agent().ports}
        uplink = host.uplink
        underlay = Wire(
            ports["underlay"].number, lab.router, uplink.router_interface, host.place.mac(uplink.interface)
        )
        access = Wire(ports["access"].number, host.place, "ml0", host.place.mac(ports["access"].interface))
        wires = Wires(underlay, access, str(uplink.addresses[4].ip))
        yield Target("agent", f"unix:{host.socket}", wires)


@contextmanager
def bmv2(folder: Path) -> Iterator[Target]:
    """A switch without a program, with two cables in a namespace of its own."""
    place = Namespace(cleanup.unique_name(), folder)
    try:
        interfaces = {UNDERLAY: "underlay", ACCESS: "access"}
        for interface in interfaces.values():
            place.request("link", "add", ifname=interface, kind="veth", peer={"ifname": f"{interface}x"})
            for end in (interface, f"{interface}x"):
                place.set_link(end, state="up")
        wires = Wires(
            *(Wire(port, place, f"{name}x", place.mac(name)) for port, name in interfaces.items()), ADDRESS
        )
        with Switch("bmv2", place.path, interfaces, folder) as switch:
            yield SwitchTarget(switch, wires)
    finally:
        place.close()
