# SPDX-License-Identifier: Apache-2.0
"""Python's cycle collector in a program that answers within milliseconds and keeps millions of objects."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_THRESHOLDS: Final = (10_000, 20, 500)
"""Allocations before a collection of the youngest, younger collections before one of the older (``gc``)."""


def spare_full_collections() -> None:
    """Keep the collector from walking over all objects every few seconds, which stops all else for 100 ms.

    What a program has loaded by now forms few cycles and lives as long as it does: it is never looked at
    again, the rest seldom.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


@contextmanager
def paused() -> Iterator[None]:
    """Keep the collector still while modules are loaded: it would look at all of them, and find nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
