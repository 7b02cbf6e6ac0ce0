# SPDX-License-Identifier: Apache-2.0
"""A program that outlives the agent which started it: the next agent finds it by its process number."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from dataplane.agent.state import write_private
from dataplane.peers.base import PeerError

log = structlog.get_logger(__name__)

_END_SECONDS: Final = 2.0
_STARTED: Final = 21
"""Field of ``/proc/PID/stat`` (proc(5)), from 0: when it was started. A number may be given out again."""


class Program:
    """A program and the note of its number, ``NAME.process``, beside which it writes ``NAME.log``."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = tuple(command)
        self._environment = environment
        self._file = folder / f"{name}.process"
        self._log = folder / f"{name}.log"
        self._pidfd = -1
        self._pid = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._ended: Callable[[], None] = lambda: None

    def on_end(self, ended: Callable[[], None]) -> None:
        """Call back when it ends."""
        self._ended = ended

    @property
    def runs(self) -> bool:
        """Whether it runs, as far as has been seen."""
        return self._pidfd >= 0

    @property
    def last_words(self) -> str:
        """The last line that it wrote."""
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1].strip() if lines else "it wrote nothing"

    def adopt(self) -> bool:
        """Take over the one that an earlier agent started; whether there is one."""
        if self.runs:
            return True
        return self._find(self.command)

    def _find(self, wanted: tuple[str, ...] | None) -> bool:
        """Find the one that was started; with a command, only if it runs that."""
        try:
            found = json.loads(self._file.read_bytes())
            number, started, command = found["pid"], found["started"], tuple(found["command"])
            if _started(number) != started or command != (wanted or command):
                return False
            self._watch(number)
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return True

    def start(self) -> None:
        """Start it, in a session of its own: nothing that happens to the agent reaches it."""
        try:
            with self._log.open("ab") as output:
                child = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    env={**os.environ, **self._environment} if self._environment else None,
                )
        except OSError as error:
            raise PeerError(f"{self.name} cannot be started ({error.strerror}): install it") from error
        self._child = child
        note = {"pid": child.pid, "started": _started(child.pid), "command": self.command}
        write_private(self._file, json.dumps(note).encode())
        self._watch(child.pid)

    async def stop(self, *, at_once: bool = False) -> None:
        """End it, in good order if it does so soon and need not ``at_once``; whatever command started it."""
        if not self.runs and not self._find(None):
            return
        for number in (signal.SIGKILL,) if at_once else (signal.SIGTERM, signal.SIGKILL):
            if not self.runs:
                break
            with contextlib.suppress(ProcessLookupError):  # it has ended, which is about to be read
                signal.pidfd_send_signal(self._pidfd, number)
            await self._until_ended()
        self._file.unlink(missing_ok=True)

    def close(self) -> None:
        """Watch it no more; it goes on."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        if self._child is not None:
            self._child.poll()
            self._child.returncode = self._child.returncode or 0  # else Python complains that it still runs

    async def _until_ended(self) -> None:
        ended = asyncio.Event()
        former, self._ended = self._ended, ended.set
        try:
            async with asyncio.timeout(_END_SECONDS):
                await ended.wait()
        except TimeoutError:
            pass
        finally:
            self._ended = former

    def _watch(self, number: int) -> None:
        self._pid = number
        self._pidfd = os.pidfd_open(number)
        asyncio.get_running_loop().add_reader(self._pidfd, self._gone)

    def _gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        if self._child is not None:
            self._child.wait()
            self._child = None
        self._ended()


def _started(number: int) -> str:
    """When a process was started, in ticks since the machine was."""
    # The program's own name stands in brackets and may hold anything.
    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return fields[_STARTED - 2]
