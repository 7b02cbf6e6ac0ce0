# SPDX-License-Identifier: Apache-2.0
"""The feature peers that an agent can run itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from dataplane.peers.builtin import cache, content_filter, firewall, nat, statistics, tap
from dataplane.peers.config import PeerConfig, RunName
from dataplane.peers.recipe import Recipe

RECIPES: Final[Mapping[RunName, Callable[[PeerConfig, Path, Path], Recipe]]] = {
    "cache": cache.recipe,
    "filter": content_filter.recipe,
    "firewall": firewall.recipe,
    "nat": nat.recipe,
    "statistics": statistics.recipe,
    "tap": tap.recipe,
}
"""Each makes a recipe of settings, the peer's folder, and a folder for programs that do not run as root."""
