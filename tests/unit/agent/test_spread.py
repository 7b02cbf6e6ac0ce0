# SPDX-License-Identifier: Apache-2.0
"""The mask of processors, as the kernel prints it (Documentation/networking/scaling.rst)."""

from __future__ import annotations

import pytest

from dataplane.agent.spread import cpu_mask


@pytest.mark.parametrize(
    ("processors", "mask"),
    [(1, "1"), (2, "3"), (32, "ffffffff"), (33, "1,ffffffff"), (64, "ffffffff,ffffffff")],
)
def test_mask(processors: int, mask: str):
    assert cpu_mask(processors) == mask
