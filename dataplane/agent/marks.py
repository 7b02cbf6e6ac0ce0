# SPDX-License-Identifier: Apache-2.0
"""How the agent knows what it told the kernel, also after it was killed: by its number as a protocol."""

from __future__ import annotations

from typing import Final

PROTOCOL: Final = 61
"""In the field ``protocol`` of rules and neighbours (rtnetlink(7)); nobody else uses it (rtnetlink.h)."""
