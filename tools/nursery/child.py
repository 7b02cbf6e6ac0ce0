# SPDX-License-Identifier: Apache-2.0
"""A ``moorline`` command that is the fork of a process that has loaded it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Final

from moorline.cli.main import main
from tools.nursery.place import Place

_LOADED: Final = "tools.nursery.loaded"

_open: list[ForkServerContext] = []


@contextmanager
def nursery() -> Iterator[None]:
    """Within, children can be had."""
    context = get_context("forkserver")
    context.set_forkserver_preload([_LOADED])
    _open.append(context)
    try:
        yield
    finally:
        _open.remove(context)


def is_open() -> bool:
    """Whether children can be had."""
    return bool(_open)


class Child:
    """A running command, which leads a session of its own; used as a ``subprocess.Popen``."""

    def __init__(self, words: Sequence[str], place: Place, output: Path, errors: Path) -> None:
        """Run ``moorline WORDS`` at a place; what it says is added to the files ``output`` and ``errors``."""
        ready, said = _open[-1].Pipe(duplex=False)
        self._process = _open[-1].Process(target=_run, args=(words, place, output, errors, said), daemon=True)
        self._process.start()
        said.close()
        # Until it leads its session, a signal to that would miss it. It says nothing if it ends before.
        with ready, suppress(EOFError):
            ready.recv_bytes()

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, the number of a signal that ended it as a negative one; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """As ``returncode``."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends and return its exit status; TimeoutExpired after ``timeout`` seconds."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutExpired("moorline", timeout or 0.0)
        return self._process.exitcode


def _run(words: Sequence[str], place: Place, output: Path, errors: Path, said: Connection) -> None:
    os.setsid()
    for path, standard in ((output, 1), (errors, 2)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(descriptor, standard)
        os.close(descriptor)
    said.send_bytes(b"")
    said.close()
    place.enter()
    main(words)
