# SPDX-License-Identifier: Apache-2.0
"""A network namespace by its name: made, entered, removed with all that runs in it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool
from pathlib import Path
from typing import Final, TypeVar

from dataplane.peers.base import PeerError

T = TypeVar("T")

FOLDER: Final = Path("/run/netns")
_CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A namespace, which may not be there yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = FOLDER / name
        self._inside: ThreadPoolExecutor | None = None

    @property
    def exists(self) -> bool:
        """Whether it is there: a name may be left over from a namespace that is gone."""
        try:
            return self.path.stat().st_dev != FOLDER.stat().st_dev
        except OSError:
            return False

    async def make(self) -> None:
        """Make it anew."""
        await run("ip", "netns", "add", self.name)
        await self.run("ip", "link", "set", "lo", "up")

    async def remove(self) -> None:
        """Take it away with its interfaces and programs; nothing happens where there is none."""
        self.close()
        await asyncio.to_thread(self._end_programs)
        if self.path.exists():
            await run("ip", "netns", "delete", self.name)

    def command(self, *program: str) -> tuple[str, ...]:
        """The command line that runs ``program`` inside."""
        return ("nsenter", f"--net={self.path}", "--", *program)

    async def run(self, *program: str, text: str = "") -> str:
        """Run a program inside, with ``text`` as its input; what it wrote. Raises :class:`PeerError`."""
        return await run(*self.command(*program), text=text)

    async def call(self, function: Callable[[], T]) -> T:
        """Call a function inside: sockets and settings that it opens are those of the namespace.

        Raises :class:`PeerError` where there is none, and what the function raises.
        """
        if self._inside is None:
            if not self.exists:
                raise PeerError(f"namespace {self.name} cannot be entered: it is not there")
            # One thread lives inside: entering is for good, and other work must not find itself there.
            self._inside = ThreadPoolExecutor(1, thread_name_prefix=self.name, initializer=self.enter)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._inside, function)
        except BrokenThreadPool:
            self.close()
            raise PeerError(f"namespace {self.name} cannot be entered: see what was logged before") from None

    def close(self) -> None:
        """Call no more functions inside."""
        if self._inside is not None:
            self._inside.shutdown(wait=False)
            self._inside = None

    def enter(self) -> None:
        """Go inside with the thread that calls, and all that it starts; raises :class:`PeerError`."""
        try:
            enter_network(self.path)
        except OSError as error:
            raise PeerError(f"namespace {self.name} cannot be entered: {error.strerror}") from error

    def _end_programs(self) -> None:
        """End whatever lives inside: the namespace is the agent's, and nobody else's programs are there."""
        try:
            wanted = self.path.stat()
        except OSError:
            return
        own = os.getpid()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                inside = (process / "ns/net").stat()
                if (inside.st_dev, inside.st_ino) == (wanted.st_dev, wanted.st_ino) and process.name != str(
                    own
                ):
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                continue  # it has ended meanwhile


def enter_network(namespace: Path) -> None:
    """Let the calling thread be in a network namespace, with all that it starts; raises OSError."""
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(namespace))
    finally:
        os.close(descriptor)


async def run(*command: str, text: str = "") -> str:
    """Run a program to its end; what it wrote. Raises :class:`PeerError` with its own words."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise PeerError(f"{command[0]} cannot be run ({error.strerror}): install it") from error
    written, said = await process.communicate(text.encode())
    if process.returncode:
        words = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
        words = [line for line in words if "Error" in line] or words  # nft begins with where it found it
        raise PeerError(f"{_program(command)} says: {words[0] if words else f'status {process.returncode}'}")
    return written.decode(errors="replace")


def _program(command: tuple[str, ...]) -> str:
    return command[command.index("--") + 1] if "--" in command else command[0]
