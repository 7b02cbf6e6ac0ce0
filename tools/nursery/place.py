# SPDX-License-Identifier: Apache-2.0
"""Where a program runs: its network namespace, and the files that it sees in place of others."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dataplane.peers.namespace import enter_network

_CLONE_NEWNS: Final = 0x00020000
_MS_BIND: Final = 0x1000
_MS_PRIVATE: Final = 0x40000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Place:
    """A network namespace, and by the paths of files what is seen there."""

    namespace: Path
    files: Mapping[str, Path] = field(default_factory=dict)

    def enter(self) -> None:
        """Let the calling process be there, which has one thread; OSError when it may not."""
        enter_network(self.namespace)
        if not self.files:
            return
        # Namespaces that the program makes are seen by all, the files are not.
        _checked(_LIBC.unshare(_CLONE_NEWNS), "/")
        _checked(_LIBC.mount(None, b"/", None, _MS_PRIVATE, None), "/")
        for path, own in self.files.items():
            _checked(_LIBC.mount(bytes(own), path.encode(), None, _MS_BIND, None), path)


def _checked(result: int, path: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
