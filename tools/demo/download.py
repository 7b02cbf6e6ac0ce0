# SPDX-License-Identifier: Apache-2.0
"""An unmodified curl on a host of the lab, its output hashed as it comes."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import threading
import time
from types import TracebackType
from typing import Final, Self

from tools.lab.errors import LabError
from tools.lab.namespace import Namespace

_READ: Final = 1 << 20


class Download:
    """One ``curl`` that fetches ``url``; a context manager."""

    def __init__(self, place: Namespace, url: str, *options: str) -> None:
        self.words = ("curl", "--silent", "--show-error", "--fail", *options, url)
        self._place = place
        self._digest = hashlib.sha256()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.received = 0

    def __enter__(self) -> Self:
        self.started = time.time()
        self._popen = subprocess.Popen(
            self._place.command(*self.words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGKILL)
        self._popen.wait()
        self._thread.join()

    @property
    def running(self) -> bool:
        """Whether curl has not ended."""
        return self._popen.poll() is None

    def finish(self, timeout: float) -> str:
        """Wait until curl ends and return the SHA-256 of what it wrote, in hexadecimal.

        Raises LabError with curl's own words when it failed.
        """
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise LabError(f"curl stands still after {self.received} octets: the connection does not go on")
        status = self._popen.wait()
        if status != 0:
            assert self._popen.stderr is not None
            said = self._popen.stderr.read().decode(errors="replace").strip()
            raise LabError(f"curl failed with status {status} after {self.received} octets: {said}")
        return self._digest.hexdigest()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        while chunk := self._popen.stdout.read1(_READ):  # type: ignore[attr-defined]
            self._digest.update(chunk)
            self.received += len(chunk)
