# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.fuzz.diff``: compare XDP, TC and BMv2 on this machine (as root)."""

from __future__ import annotations

from .commands import main

if __name__ == "__main__":
    main()
