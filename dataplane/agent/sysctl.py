# SPDX-License-Identifier: Apache-2.0
"""Settings of the network in ``/proc/sys/net``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

_ROOT: Final = Path("/proc/sys/net")


def read_sysctl(name: str) -> str:
    """A setting such as ``ipv4/conf/eth0/forwarding``; empty where the kernel has none of this name."""
    try:
        return (_ROOT / name).read_text().strip()
    except OSError:
        return ""


def write_sysctl(name: str, value: str) -> None:
    """Change a setting, where there is one (a kernel may have no IPv6)."""
    if read_sysctl(name) in ("", value):
        return
    try:
        (_ROOT / name).write_text(value)
    except OSError as error:  # a container with /proc/sys read-only, say: the log names what to set outside
        log.warning("sysctl_not_set", name=name, value=value, error=error.strerror)
