# SPDX-License-Identifier: Apache-2.0
"""What programs hand up through a ring buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dataplane.bpf import sys as bpf


@contextmanager
def reader(ring_fd: int) -> Iterator[Callable[[], list[bytes]]]:
    """Reads what has been handed up since the last call; nothing of before."""
    records: list[bytes] = []
    ring = bpf.RingBuffer(ring_fd, records.append)

    def read() -> list[bytes]:
        records.clear()
        while ring.consume():
            pass
        return [*records]

    read()
    yield read
    ring.close()
