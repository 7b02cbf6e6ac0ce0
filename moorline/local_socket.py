# SPDX-License-Identifier: Apache-2.0
"""The path of a unix socket that a program is to serve on, and what stands there before."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from moorline.errors import MoorlineError

MAX_PATH: Final = 107
"""Octets (sockaddr_un.sun_path, without the closing 0)."""


class SocketPathError(MoorlineError):
    """A path where no socket can be made."""


@contextmanager
def private(path: Path, setting: str) -> Iterator[None]:
    """Within, a socket that is made on the path is its user's alone; arguments and errors of ``make_way``."""
    make_way(path, setting)
    # Whoever connects before the mode is set must not get in.
    mask = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(mask)


def make_way(path: Path, setting: str) -> None:
    """Have a path free: its folder made, and a socket that an ended program left removed.

    Args:
        path: of the socket that is to be.
        setting: what to set when it is no good, such as ``controller.socket``.

    Raises:
        SocketPathError: a program serves there, something else than a socket stands there, or nothing can.
    """
    if len(os.fsencode(path)) > MAX_PATH:
        raise SocketPathError(f"socket {path} has a path of more than {MAX_PATH} octets: set {setting}")
    if _is_listening(path):
        raise SocketPathError(f"socket {path} is in use: stop what serves it, or set {setting}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise SocketPathError(f"{path} is no socket, and stays as it is: set {setting}")
        path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SocketPathError(f"socket {path} cannot be made ({error.strerror}): set {setting}") from error


def _is_listening(path: Path) -> bool:
    """Whether a program answers on a unix socket, rather than having left it behind."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except TimeoutError:  # it is there, and busy
            return True
        except OSError:
            return False
        return True
