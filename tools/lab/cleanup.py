# SPDX-License-Identifier: Apache-2.0
"""Leaving nothing behind: after a failure, Ctrl-C, SIGTERM, and, at the next lab's start, SIGKILL."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

PREFIX = "ml-lab"
PINS = Path("/sys/fs/bpf/moorline")
NAMESPACES = Path("/run/netns")
CACHES = Path("/var/cache/moorline")
_NAME = re.compile(rf"{PREFIX}-(\d+)-[0-9a-f]{{4}}(-.*)?")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def unique_name() -> str:
    """A name for a lab: says which process owns it, so that leftovers of a dead one are known as such."""
    return f"{PREFIX}-{os.getpid()}-{secrets.token_hex(2)}"


class Interrupted(KeyboardInterrupt):
    """The process was asked to end (SIGTERM, SIGHUP): unwinds the stack, so that everything is cleaned up.

    Like Ctrl-C, since pytest takes that for an order, and a SystemExit for the failure of one test.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP unwind the stack as Ctrl-C does (main thread only).

    At its end nothing is left of this process's labs, wherever an interrupt struck.
    """

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        with uninterrupted():
            sweep(ours=True)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within, requests to end wait: nothing is left half made or half removed (main thread only).

    Not by blocking the signals: programs started within would inherit that.
    """
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if asked:
            signal.raise_signal(asked[0])


def remove_pins(name: str) -> None:
    """Remove the pinned maps and programs of all instances of the lab called ``name``."""
    for instance in PINS.glob(f"{name}-*"):
        shutil.rmtree(instance)


def remove_peers(name: str) -> None:
    """Remove what agents of the lab called ``name`` made for feature peers: namespaces and caches."""
    for namespace in NAMESPACES.glob(f"{name}-*-*"):
        kill_inside(namespace)
        os.system(f"ip netns delete {namespace.name} 2>/dev/null")  # noqa: S605 - the name is a lab's
    for folder in CACHES.glob(f"{name}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def sweep(ours: bool = False) -> None:
    """Remove what labs of dead processes, and ``ours`` too, left: programs, namespaces, pins, folders."""
    for namespace in _stale(NAMESPACES, ours):
        kill_inside(namespace)
        # The name may be gone already when two labs start at the same time.
        os.system(f"ip netns delete {namespace.name} 2>/dev/null")  # noqa: S605 - the name matches _NAME
    for instance in _stale(PINS, ours):
        shutil.rmtree(instance, ignore_errors=True)
    for parent in (Path(tempfile.gettempdir()), CACHES):
        for folder in _stale(parent, ours):
            shutil.rmtree(folder, ignore_errors=True)


def _stale(folder: Path, ours: bool) -> list[Path]:
    if not folder.is_dir():
        return []
    matches = ((path, _NAME.fullmatch(path.name)) for path in folder.iterdir())
    return [path for path, match in matches if match and _is_stale(int(match[1]), ours)]


def _is_stale(owner: int, ours: bool) -> bool:
    return ours if owner == os.getpid() else not Path(f"/proc/{owner}").exists()


def kill_inside(namespace: Path) -> None:
    """End the programs that live in a namespace: they were started by its lab and by nobody else."""
    try:
        wanted = namespace.stat()
    except OSError:
        return
    for process in Path("/proc").glob("[0-9]*"):
        try:
            inside = (process / "ns/net").stat()
            if (inside.st_dev, inside.st_ino) == (wanted.st_dev, wanted.st_ino):
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue  # it has ended meanwhile
