# SPDX-License-Identifier: Apache-2.0
"""A tap: packets pass, and a copy of each goes to a ring of pcap files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dataplane.peers.config import PeerConfig
from dataplane.peers.recipe import IN, ProgramPlan, Recipe

FILES: Final = 10
RING: Final = "ring.pcap"
"""Name of the files, before their number."""


def recipe(config: PeerConfig, folder: Path, _cache: Path) -> Recipe:
    """Both directions cross the interface towards the customers."""
    size = max(1, config.ring_megabytes // FILES)
    limits = ("-C", str(size), "-W", str(FILES))
    # Packet by packet, so that a copy is in the file as soon as it was made.
    command = (
        "tcpdump",
        "-i",
        IN,
        "-n",
        "-U",
        "--immediate-mode",
        *limits,
        "-Z",
        "root",
        "-w",
        str(folder / RING),
    )
    return Recipe(programs=(ProgramPlan("tcpdump", command),))
