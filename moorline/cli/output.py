# SPDX-License-Identifier: Apache-2.0
"""Two ways to show a result: a table for people, JSON for programs.

A result is made of rows, plain mappings with the documented field names. JSON shows them whole; a table shows
the columns that a person needs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

import typer

from moorline.errors import MoorlineError

Row = Mapping[str, Any]


class Output(StrEnum):
    """How a result is shown."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Show a table, or JSON for programs.")]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its title, and its text (or the row's field) for a row."""

    title: str
    value: str | Callable[[Row], Any]
    right: bool = False

    def text(self, row: Row) -> str:
        """The cell of this column in ``row``."""
        return cell(row[self.value] if isinstance(self.value, str) else self.value(row))


def cell(value: Any) -> str:
    """A value in a cell: ``-`` for nothing, ``yes`` or ``no``, lists with commas."""
    match value:
        case None | "" | [] | ():
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(cell(item) for item in value)
        case _:
            return str(value)


@contextmanager
def _writing() -> Iterator[None]:
    """Tell in one sentence that standard output takes no more; a reader who has gone is typer's to see to."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MoorlineError(
            f"standard output cannot be written ({error.strerror}): make room, or write elsewhere"
        ) from error


def say(text: object = "") -> None:
    """Write a line to standard output."""
    with _writing():
        typer.echo(text)


def show_rows(rows: Sequence[Row], columns: Sequence[Column], output: Output, *, empty: str) -> None:
    """Show a listing; ``empty`` tells a person that there is nothing, and what to do."""
    if output is Output.JSON:
        show_json(list(rows))
    elif rows:
        show_table(rows, columns)
    else:
        typer.echo(empty, err=True)


def show_row(row: Row, output: Output, *, hidden: Iterable[str] = ()) -> None:
    """Show one thing: its fields below one another, without those that a table of its own will show."""
    if output is Output.JSON:
        show_json(row)
        return
    shown = {name: value for name, value in row.items() if name not in hidden}
    width = max(map(len, shown))
    for name, value in shown.items():
        say(f"{name.replace('_', ' '):<{width}}  {cell(value)}")


def show_json(value: Any, *, line: bool = False) -> None:
    """Write JSON to standard output; ``line`` for one of many in a stream."""
    say(json.dumps(value, indent=None if line else 2))


def show_table(rows: Iterable[Row], columns: Sequence[Column]) -> None:
    """Write a table, as wide as its contents when nobody looks at it on a terminal."""
    from rich import box  # late: commands for programs do without
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for at, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if column.right else "left"
        # What names the row is to be copied into the next command: other columns give way to it.
        table.add_column(column.title, justify=justify, overflow="fold", no_wrap=at == 0)
    for row in rows:
        table.add_row(*(Text(column.text(row)) for column in columns))
    with _writing():
        if sys.stdout is not None and sys.stdout.isatty():
            Console().print(table)
            return
        console = Console(width=10_000)
        with console.capture() as captured:
            console.print(table)
    for line in captured.get().splitlines():
        say(line.rstrip())
