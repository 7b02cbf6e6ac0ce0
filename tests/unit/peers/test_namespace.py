# SPDX-License-Identifier: Apache-2.0
"""A namespace that is not there."""

from __future__ import annotations

import pytest

from dataplane.peers.base import PeerError
from dataplane.peers.namespace import Namespace


async def test_nothing_is_called_where_there_is_no_namespace() -> None:
    namespace = Namespace("no-such-namespace")
    called: list[None] = []
    for _ in range(2):
        with pytest.raises(PeerError, match="no-such-namespace cannot be entered"):
            await namespace.call(lambda: called.append(None))
    assert not called
    namespace.close()
