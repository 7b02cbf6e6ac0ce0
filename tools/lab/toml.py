# SPDX-License-Identifier: Apache-2.0
"""Writing configuration files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def to_toml(content: Mapping[str, Any]) -> str:
    """``content`` as TOML: scalars, lists, sections, and lists of sections as ``[[section.part]]``."""
    return "\n".join(_section("", content)) + "\n"


def _section(name: str, content: Mapping[str, Any]) -> list[str]:
    lines = [f"[{name}]"] if name else []
    inner: list[str] = []
    for key, value in content.items():
        path = f"{name}.{key}" if name else key
        if isinstance(value, Mapping):
            inner += _section(path, value)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for part in value:
                inner += ["[" + line + "]" if line == f"[{path}]" else line for line in _section(path, part)]
        else:
            lines.append(f"{key} = {_scalar(value)}")
    return lines + inner


def _scalar(value: Any) -> str:
    # JSON's strings, numbers, booleans and lists of them are TOML's as well.
    return json.dumps(str(value) if isinstance(value, Path) else value)
