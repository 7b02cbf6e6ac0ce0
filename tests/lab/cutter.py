# SPDX-License-Identifier: Apache-2.0
"""A line between controller and switch that breaks after so many octets, wherever in a message that is."""

from __future__ import annotations

import socket
import struct
import threading
from types import TracebackType
from typing import Self

from tools.lab.namespace import Namespace

_ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER that makes a close a reset, as when a peer dies."""


class Cutter:
    """Listens on loopback in ``place`` and passes everything on to ``target``, which is reached from there.

    ``cuts`` are numbers of octets towards the target: after the first one the line is cut, the next one
    counts on the line after it, and so on; then lines stay. ``longest`` is what the line that carried most
    has carried towards the target.
    """

    def __init__(self, place: Namespace, target: tuple[str, int]) -> None:
        self.cuts: list[int] = []
        self.longest = 0
        self._place = place
        self._target = target
        self._listening = place.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen()
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        """Break all lines that stand."""
        with self._lock:
            ends = [*self._open]
        self._break(*ends)

    def _break(self, *ends: socket.socket) -> None:
        for end in ends:
            with self._lock:
                if end not in self._open:
                    continue
                self._open.discard(end)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            try:
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
            except OSError:
                pass  # the other side was faster
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                ours, _ = self._listening.accept()
            except OSError:
                return
            theirs = self._place.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                theirs.connect(self._target)
            except OSError:
                ours.close()
                theirs.close()
                continue
            with self._lock:
                self._open |= {ours, theirs}
            threading.Thread(target=self._pass_on, args=(ours, theirs, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(theirs, ours, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        passed = 0
        try:
            while content := source.recv(4096):
                if counted and self.cuts and passed + len(content) >= self.cuts[0]:
                    sink.sendall(content[: self.cuts.pop(0) - passed])
                    self.cut()
                    return
                sink.sendall(content)
                passed += len(content)
                if counted:
                    self.longest = max(self.longest, passed)
        except OSError:
            pass  # cut meanwhile
        self._break(source, sink)
