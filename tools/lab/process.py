# SPDX-License-Identifier: Apache-2.0
"""Programs run in a lab: started in a session of their own, logged to a file, ended by their process id."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.lab.errors import LabError
from tools.nursery import Child

STOP_SECONDS = 10.0
"""How long a program may take to end after SIGTERM."""


class Process:
    """One running program with its standard output and error in a log file.

    A session of its own keeps the terminal's Ctrl-C from it: the lab ends it, in its own order.
    """

    def __init__(self, name: str, program: Sequence[str] | Child, log: Path) -> None:
        """``program`` is a command line, or a child of the nursery that writes to ``log``."""
        self.name = name
        self.log = log
        self._popen = program if isinstance(program, Child) else _start(program, log)

    @property
    def pid(self) -> int:
        """Process id: the program's own, since what enters the namespace for it replaces itself."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def check_running(self) -> None:
        """Raise LabError with the end of its log if it has ended."""
        if not self.running:
            raise LabError(f"{self.name} ended with status {self._popen.returncode}: {self.tail()}")

    def tail(self, lines: int = 5) -> str:
        """The last lines of its log, on one line."""
        text = self.log.read_text(errors="replace").strip().splitlines()
        return " | ".join(text[-lines:]) or "(it said nothing)"

    def wait(self, timeout: float) -> int:
        """Wait until it ends by itself and return its exit status."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} did not end within {timeout:g} s: {self.tail()}") from None

    def stop(self) -> int:
        """Ask it to end (SIGTERM), after ten seconds end it (SIGKILL); returns its exit status."""
        self._signal(signal.SIGTERM)
        try:
            return self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End it at once and without a word (SIGKILL), with all that it started."""
        self._signal(signal.SIGKILL)
        return self._popen.wait()

    def _signal(self, number: signal.Signals) -> None:
        # The session's whole process group, so that helpers of the program (nginx's workers) end with it.
        if self._popen.poll() is None:
            os.killpg(self._popen.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
