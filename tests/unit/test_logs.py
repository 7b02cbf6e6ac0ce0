# SPDX-License-Identifier: Apache-2.0
"""Logs: structured, and without secrets."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from moorline import logs
from moorline.config import LogConfig


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def logged(config: LogConfig, **fields: Any) -> str:
    stream = io.StringIO()
    logs.setup(config, stream)
    structlog.get_logger("test").info("node_joined", **fields)
    return stream.getvalue()


def test_json_lines() -> None:
    event = json.loads(logged(LogConfig(format="json"), node="laptop"))
    assert event["event"] == "node_joined"
    assert event["level"] == "info"
    assert event["node"] == "laptop"
    assert event["timestamp"].endswith("Z")


def test_console_lines() -> None:
    line = logged(LogConfig(), node="laptop")
    assert "node_joined" in line
    assert "laptop" in line
    assert line.count("\n") == 1


def test_levels() -> None:
    assert logged(LogConfig(level="warning")) == ""


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize("name", ["key", "secret", "token", "scid", "join_token", "private_Key"])
def test_secrets_are_withheld(format: str, name: str) -> None:
    assert "hush" not in logged(
        LogConfig.model_validate({"format": format}), **{name: "hush", "n": {name: "hush"}}
    )


def test_other_fields_stay() -> None:
    assert logs.withhold_secrets(None, "info", {"keys": 3, "tokens": 2, "scids": 1}) == {
        "keys": 3,
        "tokens": 2,
        "scids": 1,
    }


@pytest.mark.parametrize("format", ["json", "console"])
def test_exceptions_are_written_without_variables(format: str) -> None:
    def fail(value: str) -> None:
        raise ValueError("broken")

    stream = io.StringIO()
    logs.setup(LogConfig.model_validate({"format": format}), stream)
    try:
        fail("".join(["hu", "sh"]))
    except ValueError:
        structlog.get_logger().exception("it_failed")
    assert "ValueError: broken" in stream.getvalue()
    assert "hush" not in stream.getvalue()


def test_exceptions_are_a_field_of_json_lines() -> None:
    stream = io.StringIO()
    logs.setup(LogConfig(format="json"), stream)
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger().exception("it_failed")
    assert "ValueError: broken" in json.loads(stream.getvalue())["exception"]
