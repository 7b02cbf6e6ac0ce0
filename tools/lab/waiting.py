# SPDX-License-Identifier: Apache-2.0
"""Waiting, with an end, for what no event announces."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tools.lab.errors import LabError

T = TypeVar("T")


def wait_until(condition: Callable[[], T | None], what: str, timeout: float = 30.0, every: float = 0.02) -> T:
    """Ask ``condition`` every few milliseconds until it yields something true, and return that.

    Raises LabError naming ``what`` after ``timeout`` seconds. For facts that nothing announces (a listening
    socket of another program, a counter); whatever sends an event is awaited by its event.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise LabError(f"waited {timeout:g} s in vain until {what}")
        time.sleep(every)
