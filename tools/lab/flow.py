# SPDX-License-Identifier: Apache-2.0
"""Flows whose every octet is accounted for: numbered datagrams at a pace, and a checked TCP stream."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType
from typing import Final, Self

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from tools.lab.errors import LabError
from tools.lab.gaps import SO_RCVBUFFORCE
from tools.lab.namespace import Namespace

_NUMBER = struct.Struct("!Q")
SETTLE_SECONDS: Final = 1.0
"""How long datagrams may still be on their way after the last was sent, and after any that arrived since."""
LATE_SECONDS: Final = 0.01
"""What a sender makes up for. One that a busy machine held up for longer sends no burst afterwards: queues on
the way are for a flow at its pace."""


@dataclass
class FlowReport:
    """What became of the datagrams of a flow."""

    sent: int = 0
    arrived: dict[int, float] = field(default_factory=dict)
    carried: Counter[bytes] = field(default_factory=Counter)
    """What they had behind their numbers: zeros, but for what was written there on the way."""
    duplicates: int = 0

    @property
    def lost(self) -> list[int]:
        """Numbers of those that never arrived."""
        return [number for number in range(self.sent) if number not in self.arrived]

    @property
    def longest_gap(self) -> float:
        """The longest time between two arrivals, in seconds."""
        times = sorted(self.arrived.values())
        return max((b - a for a, b in pairwise(times)), default=0.0)


class PacedFlow:
    """Numbered UDP datagrams at a steady pace; a context manager, whose ``report`` is whole after it."""

    def __init__(
        self,
        source: Namespace,
        target: Namespace,
        address: str,
        port: int = 7000,
        per_second: int = 1000,
        *,
        urgent: bool = False,
    ) -> None:
        """Prepare a flow to ``address``, which must be an address of the namespace ``target``.

        An urgent one goes before all other work of the machine, so that its gaps are the network's: on two
        busy processors an ordinary one has gaps of several milliseconds where nothing happens.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.report = FlowReport()
        self._interval = 1 / per_second
        self._urgent = urgent
        self._target = (address, port)
        self._receiver = target.socket(family, socket.SOCK_DGRAM)
        self._receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        self._receiver.bind(self._target)
        self._receiver.settimeout(0.1)
        self._sender = source.socket(family, socket.SOCK_DGRAM)
        self._ending = threading.Event()
        self._ended_at = float("inf")
        self._threads = [
            threading.Thread(target=self._run, args=(work,), daemon=True)
            for work in (self._send, self._receive)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._sender.close()
        self._receiver.close()

    def run(self, seconds: float) -> None:
        """Let it flow for so long."""
        self._ending.wait(seconds)

    def _run(self, work: Callable[[], None]) -> None:
        if self._urgent:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # of this thread alone
        work()

    def _send(self) -> None:
        due = time.monotonic()
        while not self._ending.wait(max(0.0, due - time.monotonic())):
            self._sender.sendto(_NUMBER.pack(self.report.sent) + bytes(192), self._target)
            self.report.sent += 1
            due = max(due + self._interval, time.monotonic() - LATE_SECONDS)
        self._ended_at = time.monotonic()

    def _receive(self) -> None:
        report = self.report
        latest = 0.0
        while time.monotonic() < max(self._ended_at, latest) + SETTLE_SECONDS:
            if self._ended_at < float("inf") and len(report.arrived) == report.sent:
                return
            try:
                data = self._receiver.recv(2048)
            except TimeoutError:
                continue
            latest = time.monotonic()
            (number,) = _NUMBER.unpack_from(data)
            report.carried[data[_NUMBER.size :]] += 1
            if number in report.arrived:
                report.duplicates += 1
            else:
                report.arrived[number] = latest


class CheckedStream:
    """A TCP connection that carries keystream at a bounded rate, compared octet by octet where it arrives.

    A context manager; leaving it ends the stream in good order and raises LabError when anything differed.
    """

    CHUNK: Final = 1 << 16

    def __init__(
        self, client: Namespace, server: Namespace, address: str, port: int = 7001, rate: float = 4e6
    ) -> None:
        """``address`` is the server's; ``rate`` in octets a second."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = server.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(1)
        self.client = client.socket(family, socket.SOCK_STREAM)
        self.client.settimeout(30)
        self.client.connect((address, port))
        self.server, _ = listener.accept()
        self.server.settimeout(30)
        listener.close()
        self.sent = 0
        self.received = 0
        self._rate = rate
        self._ending = threading.Event()
        self._failures: list[str] = []
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self.client.close()
        self.server.close()
        if error is None and self._failures:
            raise LabError(self._failures[0])
        if error is None and self.sent != self.received:
            raise LabError(f"the stream ended after {self.received} of {self.sent} octets")

    def _send(self) -> None:
        stream = _keystream()
        begin = time.monotonic()
        try:
            while not self._ending.wait(max(0.0, begin + self.sent / self._rate - time.monotonic())):
                self.client.sendall(stream.update(bytes(self.CHUNK)))
                self.sent += self.CHUNK
            self.client.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._failures.append(f"the stream broke after {self.sent} octets were sent ({error})")

    def _receive(self) -> None:
        stream = _keystream()
        try:
            while data := self.server.recv(self.CHUNK):
                if stream.update(bytes(len(data))) != data:
                    self._failures.append(
                        f"the stream differed within {len(data)} octets from {self.received}"
                    )
                    return
                self.received += len(data)
        except OSError as error:
            self._failures.append(f"the stream broke after {self.received} octets had arrived ({error})")


def _keystream() -> CipherContext:
    return Cipher(algorithms.AES(bytes(16)), modes.CTR(bytes(16))).encryptor()
