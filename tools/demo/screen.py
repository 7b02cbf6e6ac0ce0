# SPDX-License-Identifier: Apache-2.0
"""How demonstrations look: lines with the time since the start, what they mean in dim letters below."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

WIDTH: Final = 110
"""Columns where there is no terminal."""


class Screen:
    """Lines with the time since the start."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, markup=False)
        if not self.console.is_terminal:
            self.console.width = WIDTH
        self._begin = time.monotonic()

    def say(self, text: str, style: str = "") -> None:
        """One thing that has happened."""
        self.console.print(Text.assemble((f"{time.monotonic() - self._begin:6.2f}  ", "dim"), (text, style)))

    def explain(self, text: str) -> None:
        """What it means."""
        self.console.print(Text(f"        {text}", style="dim"))


def drops_table(drops: Mapping[tuple[str, str], int]) -> RenderableType:
    """Packets that were dropped, by node and reason."""
    if not drops:
        return Group(Text("Packets that Moorline dropped: none."))
    table = Table("node", "reason", title="Packets that Moorline dropped")
    table.add_column("packets", justify="right")
    for (node, reason), packets in sorted(drops.items()):
        table.add_row(node, reason, f"{packets:,}")
    return table
