# SPDX-License-Identifier: Apache-2.0
"""Files: those that are handed to the controller as they are, and whether one is there."""

from __future__ import annotations

from pathlib import Path

from moorline.errors import MoorlineError


def is_absent(path: Path) -> bool:
    """Whether nothing is there; what this user may not look for, whoever opens it will tell."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


def read_text(file: Path, what: str, longest: int) -> str:
    """The text in a file.

    Args:
        file: where it is.
        what: what errors call it, such as ``graph``.
        longest: octets that it may have.

    Raises:
        MoorlineError: it cannot be read, is too long or no text.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(longest + 1)
    except OSError as error:
        raise MoorlineError(f"{what} {file} cannot be read ({error.strerror}): name another file") from error
    if len(content) > longest:
        raise MoorlineError(f"{what} {file} is longer than {longest} octets: part it into several")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise MoorlineError(
            f"{what} {file} is not UTF-8 text at octet {error.start}: save it as UTF-8"
        ) from error
