# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.demo``: run the demonstration; exit status 0 when everything came out as it must."""

from __future__ import annotations

import sys

from tools.demo.run import run
from tools.demo.scenario import demonstrate
from tools.demo.setting import choose
from tools.demo.show import TransferScreen

if __name__ == "__main__":
    screen = TransferScreen()
    sys.exit(run(screen, lambda: demonstrate(screen, choose())))
