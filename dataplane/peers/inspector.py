# SPDX-License-Identifier: Apache-2.0
"""The program of a content filter, in its namespace: ``python -m dataplane.peers.inspector SETTINGS``."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Final

from dataplane.peers.blocked import Blocked
from dataplane.peers.inspection import Back, Inspection
from dataplane.peers.probe import open_tun
from dataplane.peers.wiring import ANSWER, INSPECT, INSPECT_TABLE

_READ: Final = 1 << 16
_LARGEST: Final = 65535
"""MTU of the interfaces: whatever the cables carry."""


def main() -> None:
    """Look at packets until told to end."""
    inspection = Inspection(Blocked.parse(Path(sys.argv[1]).read_text()))
    passing, answering = open_tun(INSPECT), open_tun(ANSWER)
    commands = [f"link set {name} mtu {_LARGEST} up" for name in (INSPECT, ANSWER)]
    commands.append(f"route replace default dev {INSPECT} table {INSPECT_TABLE}")
    for family in ("-4", "-6"):
        subprocess.run(["ip", family, "-batch", "-"], input="\n".join(commands), text=True, check=True)
    while True:
        select.select([passing], [], [])
        try:
            packet = os.read(passing, _READ)
        except BlockingIOError:
            continue
        for output in inspection.packet(packet):
            try:
                os.write(answering if isinstance(output, Back) else passing, output.packet)
            except OSError:
                continue  # the kernel has no room: the sender repeats what is lost


if __name__ == "__main__":
    main()
