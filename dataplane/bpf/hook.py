# SPDX-License-Identifier: Apache-2.0
"""Where on an interface's way in a program stands; apart, so that settings need not import what attaches."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

HookChoice = Literal["auto", "xdp", "tc"]


class Hook(StrEnum):
    """Where on an interface's way in a program stands."""

    XDP = "xdp"
    TC = "tc"
