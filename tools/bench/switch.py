# SPDX-License-Identifier: Apache-2.0
"""Packets a second through BMv2: Moorline's relay beside plain Ethernet switching, of the same packets.

Each switch works in several threads, and what sends and receives here takes some 5 us for a packet of either:
on a machine with few processors the rates are those of all their time together.
"""

from __future__ import annotations

import select
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from pyroute2 import netns

from control.southbound.contract import Contract, Row
from tools.bench.report import Row as Figure
from tools.bench.rounds import interleave, ratio
from tools.contract import ETHERNET_SWITCH, MOORLINE, Program
from tools.lab import cleanup
from tools.lab.errors import LabError
from tools.lab.switch import Switch, find_switch
from tools.vectors import files, wires
from tools.vectors.bmv2_target import next_hops, rows_of
from tools.vectors.model import Step
from tools.vectors.namespace import entered
from tools.vectors.switch_client import SwitchClient

ROUNDS: Final = 25
PACKETS: Final = 6_000
"""Of one switch in a round."""

UNDER_WAY: Final = 60
"""Most packets at a time: a queue of the switch's holds 64, and loses what comes beyond."""

BURST: Final = 30

UNDERLAY_MTU: Final = 1500
PATIENCE_SECONDS: Final = 5.0
ETH_P_ALL: Final = 3
_SO_TIMESTAMPNS: Final = 35
_STAMP: Final = struct.Struct("qq")
_FRAME_OCTETS: Final = 2048
"""Room for one."""


def relay() -> list[Figure]:
    """``bmv2.relay.pps_ratio_l2``; nothing where there is no BMv2."""
    if find_switch() is None:
        return []
    vector = files.read("relay/swap")
    step = vector.steps[0]
    own, plain = (Contract.load(program.p4info) for program in (MOORLINE, ETHERNET_SWITCH))
    relaying = [*rows_of(own, vector.entries), *next_hops(own)]
    with (
        _running(MOORLINE, own, relaying, step) as relays,
        _running(ETHERNET_SWITCH, plain, _stations(plain, step), step) as switches,
    ):
        samples = interleave({"relay": relays.rate, "l2": switches.rate}, ROUNDS)
    value = samples["relay"].median
    peer = "plain Ethernet switching"
    return [Figure("bmv2.relay.pps_ratio_l2", value, "packet/s", peer, ratio(samples, "relay", "l2"))]


def _stations(contract: Contract, step: Step) -> list[Row]:
    """What an Ethernet switch knows of the frame's two addresses."""
    source = contract.row("source", {"address": step.frame[6:12]}, "known", {})
    port = {"port": step.expected.egress or 0}
    return [source, contract.row("destination", {"address": step.frame[:6]}, "forward", port)]


class _Line:
    """The way of a frame through a switch, from the wire before it to the wire behind it."""

    def __init__(self, step: Step) -> None:
        self._frame = step.frame
        self._before = wires.Wire(step.port)
        self._behind = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._behind.setblocking(False)
        self._behind.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._behind.bind((wires.outer(step.expected.egress or 0), ETH_P_ALL))

    def close(self) -> None:
        """Let go of both wires."""
        self._before.close()
        self._behind.close()

    def rate(self) -> float:
        """Packets a second, from the first that is sent to the last that comes out.

        Raises:
            LabError: the switch lost some.
        """
        sent = 0
        stamps: list[float] = []
        started = time.time()
        while len(stamps) < PACKETS:
            if sent < PACKETS and sent - len(stamps) <= UNDER_WAY - BURST:
                for _ in range(BURST):
                    self._before.send(self._frame)
                sent += BURST
            if not select.select([self._behind], [], [], PATIENCE_SECONDS)[0]:
                raise LabError(f"the switch lost {sent - len(stamps)} packets; is it overloaded?")
            stamps += self._arrivals()
        return PACKETS / (stamps[-1] - started)

    def _arrivals(self) -> Iterator[float]:
        """When packets came out, by the kernel's clock: those that have not been told of yet."""
        while True:
            try:
                _, beside, _, _ = self._behind.recvmsg(_FRAME_OCTETS, socket.CMSG_SPACE(_STAMP.size))
            except BlockingIOError:
                return
            seconds, nanoseconds = _STAMP.unpack(beside[0][2])
            yield seconds + nanoseconds / 1e9


@contextmanager
def _running(program: Program, contract: Contract, rows: Iterable[Row], step: Step) -> Iterator[_Line]:
    """A switch that runs the program with these entries, between two wires of its own."""
    cleanup.sweep()
    name = cleanup.unique_name()
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        netns.create(name)
        stack.callback(netns.remove, name)
        with entered(name):
            interfaces = wires.lay((step.port, step.expected.egress or 0), UNDERLAY_MTU)
        place = cleanup.NAMESPACES / name
        switch = stack.enter_context(Switch(program.name, place, interfaces, folder))
        client = SwitchClient(switch.address, contract, lambda _packet_in, _frame: None)
        stack.callback(client.close)
        client.push(program.switch)
        client.insert(rows)
        with entered(name):
            line = _Line(step)
        stack.callback(line.close)
        yield line
