# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.demo.graph``: run it; exit status 0 when everything came out as it must."""

from __future__ import annotations

import sys

from tools.demo.graph.scenario import demonstrate
from tools.demo.graph.show import GraphScreen
from tools.demo.run import run

if __name__ == "__main__":
    screen = GraphScreen()
    sys.exit(run(screen, lambda: demonstrate(screen)))
