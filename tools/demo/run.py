# SPDX-License-Identifier: Apache-2.0
"""What every demonstration does around its scenario."""

from __future__ import annotations

import os
from collections.abc import Callable

from moorline.errors import MoorlineError
from tools.demo.screen import Screen
from tools.lab.cleanup import Interrupted, interruptible


def run(screen: Screen, scenario: Callable[[], None]) -> int:
    """Run it and return the exit status: 0 when everything came out as it must."""
    if os.geteuid() != 0:
        screen.say("the demonstration makes network namespaces and loads BPF programs: run it as root", "red")
        return 1
    try:
        with interruptible():
            scenario()
    except MoorlineError as error:
        screen.say(f"failed: {error}", "bold red")
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        screen.say("interrupted; nothing is left of the lab")
        return interrupt.exit_code if isinstance(interrupt, Interrupted) else 130
    return 0
