# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.vectors make | show | run | compare``."""

from __future__ import annotations

from .commands import main

if __name__ == "__main__":
    main()
