# SPDX-License-Identifier: Apache-2.0
"""What a refused call looks like to its caller."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest


@contextmanager
def refused(code: grpc.StatusCode, why: str) -> Iterator[None]:
    """The call inside is refused with ``code`` and one sentence that matches ``why``."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield
    assert caught.value.code() is code, caught.value.details()
    sentence = caught.value.details() or ""
    assert re.search(why, sentence), sentence
    assert "\n" not in sentence
