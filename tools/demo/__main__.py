# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.demo``: run the demonstration; exit status 0 when everything came out as it must."""

from __future__ import annotations

import os
import sys

from moorline.errors import MoorlineError
from tools.demo.scenario import demonstrate
from tools.demo.setting import choose
from tools.demo.show import Screen
from tools.lab.cleanup import Interrupted, interruptible


def main() -> int:
    """Entry of the command."""
    screen = Screen()
    if os.geteuid() != 0:
        screen.say("the demonstration makes network namespaces and loads BPF programs: run it as root", "red")
        return 1
    try:
        with interruptible():
            demonstrate(screen, choose())
    except MoorlineError as error:
        screen.say(f"failed: {error}", "bold red")
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        screen.say("interrupted; nothing is left of the lab")
        return interrupt.exit_code if isinstance(interrupt, Interrupted) else 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
