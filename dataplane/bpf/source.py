# SPDX-License-Identifier: Apache-2.0
"""The C sources of ``ebpf/`` as text: joined into one, and searched for the declared tables.

BCC compiles map accesses only in the text it is given, not in files which that includes, so a program and its
headers are joined first. ``#line`` keeps the compiler's messages true.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from moorline.errors import MoorlineError

SOURCES: Final = Path(__file__).resolve().parents[2] / "ebpf"
"""Where the C sources are."""

_INCLUDE: Final = re.compile(r'^#include "([^"]+)"$')
_TABLE: Final = re.compile(r"^(SLOT|ASSOC|TERNARY)_TABLE\((\w+), (cpu|shared|inside)\);$", re.MULTILINE)


class TableDeclaration(NamedTuple):
    """How a table's elements are found, and how its hits are counted (``ebpf/layouts.h``)."""

    layout: str
    hits: str


class SourceError(MoorlineError):
    """A C source that is missing or does not keep to the conventions."""


def joined(path: Path) -> str:
    """The source ``path`` with each file that it includes by ``#include "..."`` in its place, once.

    Raises:
        SourceError: one of the files cannot be read.
    """
    return "".join(_join(path, set()))


def declared_tables(text: str) -> dict[str, TableDeclaration]:
    """The tables of a source: ``SLOT_TABLE(table, hits);``, or ASSOC, or TERNARY."""
    return {name: TableDeclaration(layout.lower(), hits) for layout, name, hits in _TABLE.findall(text)}


def _join(path: Path, seen: set[Path]) -> list[str]:
    seen.add(path)
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise SourceError(
            f"the C source {path} cannot be read ({error.strerror}); install Moorline again"
        ) from None
    text = [f'#line 1 "{path}"\n']
    for number, line in enumerate(lines, 1):
        include = _INCLUDE.match(line)
        if not include:
            text.append(f"{line}\n")
            continue
        target = path.parent / include[1]
        if target not in seen:
            text += _join(target, seen)
        text.append(f'#line {number + 1} "{path}"\n')
    return text
