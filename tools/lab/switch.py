# SPDX-License-Identifier: Apache-2.0
"""A software switch in a network namespace: BMv2's ``simple_switch_grpc``, wherever that is on the PATH.

It starts without a program: who connects to it brings one, over P4Runtime.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from dataplane.agent.features import Feature
from dataplane.agent.features import switch as set_feature
from tools.lab.errors import LabError
from tools.lab.namespace import Namespace
from tools.lab.process import Process
from tools.lab.waiting import wait_until

PROGRAM: Final = "simple_switch_grpc"
DEVICE: Final = 1
CPU_PORT: Final = 510
"""As in p4/constants.p4."""

START_SECONDS: Final = 20.0
_PORT_REFUSED: Final = "Add port operation failed"
_TCP_LISTEN: Final = "0A"
_UNIX_LISTEN: Final = "00010000"
"""What /proc/PID/net shows of a socket that listens."""


def find_switch() -> str | None:
    """Where ``simple_switch_grpc`` is, if it is on the PATH."""
    return shutil.which(PROGRAM)


class Switch:
    """A switch with its ports: started, killed, started again; a context manager.

    Args:
        name: of its log and its socket.
        namespace: path of the network namespace that the interfaces are in.
        interfaces: by port number; they must be there, and up, when it starts.
        folder: where its log and its socket go.
        address: where it serves P4Runtime, as gRPC writes it (``0.0.0.0:9559``, in its namespace); by default
            at a socket in ``folder``, which is reached from every namespace.
    """

    def __init__(
        self, name: str, namespace: Path, interfaces: Mapping[int, str], folder: Path, address: str = ""
    ) -> None:
        self.name = name
        self.address = address or f"unix:{folder / name}.sock"
        self._namespace = namespace
        self._interfaces = dict(interfaces)
        self._log = folder / f"{name}.log"
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        """The running program."""
        if self._process is None:
            raise LabError(f"the switch {self.name} has not been started")
        return self._process

    def start(self) -> Self:
        """Start it and wait until it serves; LabError with its last words when it ends instead."""
        program = find_switch()
        if program is None:
            raise LabError(f"{PROGRAM} is not on the PATH: install BMv2 (github.com/p4lang/behavioral-model)")
        if self._process is not None and self._process.running:
            raise LabError(f"the switch {self.name} runs already")
        enter = ["nsenter", f"--net={self._namespace}", "--"]
        # libpcap gives each packet of its 2 MB the room of the longest, 64 KB with these offloads on: it
        # would lose a burst of more than 32 packets.
        for interface in self._interfaces.values():
            _run(*enter, "ethtool", "-K", interface, "tso", "off", "gso", "off", "gro", "off")
        ports = [
            word for port, interface in self._interfaces.items() for word in ("-i", f"{port}@{interface}")
        ]
        general = ["--no-p4", "--device-id", str(DEVICE), "--log-console", "--log-level", "warn"]
        own = ["--grpc-server-addr", self.address, "--cpu-port", str(CPU_PORT)]
        # Ahead of all other work: it holds 64 packets for a port, and drops more while it waits for its turn.
        command = ["chrt", "--rr", "1", *enter, program, *ports, *general, "--", *own]
        self._log.write_bytes(b"")
        self._process = Process(f"the switch {self.name}", command, self._log)
        try:
            wait_until(self._serves, f"the switch {self.name} served at {self.address}", START_SECONDS)
            if _PORT_REFUSED in self._log.read_text():  # it would go on without the port
                raise LabError(
                    f"the switch {self.name} cannot open its ports; are they up? {self.process.tail()}"
                )
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """End it in good order."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serves(self) -> bool:
        self.process.check_running()
        sockets = Path(f"/proc/{self.process.pid}/net")
        scheme, _, place = self.address.rpartition(":")
        if scheme == "unix":
            return any(line[7:] == [place] and line[3] == _UNIX_LISTEN for line in _lines(sockets / "unix"))
        listening = f"{int(place):04X}"
        return any(
            line[1].endswith(f":{listening}") and line[3] == _TCP_LISTEN
            for family in ("tcp", "tcp6")
            for line in _lines(sockets / family)
        )


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command)} failed: {done.stderr.strip()}")


def _lines(table: Path) -> list[list[str]]:
    return [line.split() for line in table.read_text().splitlines()[1:]]


def send_whole_packets(place: Namespace, interface: str) -> None:
    """A host's interface towards a switch completes checksums and segments itself: BMv2 takes neither on."""
    place.call(lambda: set_feature(interface, Feature.TRANSMIT_CHECKSUMS, on=False))
