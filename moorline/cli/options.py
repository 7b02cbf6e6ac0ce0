# SPDX-License-Identifier: Apache-2.0
"""What the user may say before any command, handed to the commands as ``ctx.obj``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from moorline.cli.settings import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """Global options; ``None`` where the user said nothing."""

    config: Path | None = None
    controller: str | None = None

    @classmethod
    def of(cls, ctx: typer.Context) -> Options:
        """The options of the command that is running."""
        options = ctx.find_object(cls)
        assert options is not None, "the application's callback sets them"
        return options

    def settings(self) -> Settings:
        """Read the configuration file."""
        from moorline.cli.settings import read_settings  # late: it draws in pydantic and every section

        return read_settings(self.config)
