# SPDX-License-Identifier: Apache-2.0
"""Logging set up once for a whole process: structured events, for people or for programs, without secrets."""

from __future__ import annotations

import logging
import sys
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from moorline.config import LogConfig

REFUSED: Final = frozenset({"key", "secret", "token", "scid"})
"""Fields that never reach a log, alone or as the last part of a name such as ``join_token``."""

WITHHELD: Final = "(withheld)"


def withhold_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the value of every refused field, also inside mappings; the name stays, to show the slip."""
    return {name: _cleared(name, value) for name, value in event.items()}


def _cleared(name: str, value: object) -> object:
    if name.rpartition("_")[2].lower() in REFUSED:
        return WITHHELD
    if isinstance(value, dict):
        return {str(inner): _cleared(str(inner), v) for inner, v in value.items()}
    return value


def setup(config: LogConfig, stream: TextIO | None = None) -> None:
    """Send all events of the level and above to ``stream`` (default: standard error), one line each."""
    out = stream or sys.stderr
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if config.format == "json"
        # Where rich is there the default shows each frame's variables: keys and secrets.
        else structlog.dev.ConsoleRenderer(
            colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            *([structlog.processors.format_exc_info] if config.format == "json" else []),
            withhold_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, config.level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
