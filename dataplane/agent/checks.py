# SPDX-License-Identifier: Apache-2.0
"""What must hold before an agent starts; what does not is one sentence."""

from __future__ import annotations

import ctypes
import fcntl
import os
from pathlib import Path
from typing import IO, Final

import structlog

from dataplane.agent.config import NodeConfig
from dataplane.agent.netlink import HostTable
from dataplane.agent.state import NodeState
from moorline.errors import MoorlineError

log = structlog.get_logger(__name__)

_BPF_FS_MAGIC: Final = 0xCAFE4A11


class StartError(MoorlineError):
    """Something that an agent needs is missing on this machine."""


def check_root() -> None:
    """Only root may load programs and make interfaces. Raises StartError."""
    if os.geteuid() != 0:
        raise StartError(
            "the agent needs root to load its data plane: start it with sudo or as a system service"
        )


def check_pins(pins: Path) -> None:
    """Pins live in a BPF filesystem only. Raises StartError."""
    if not holds_pins(pins):
        raise StartError(
            f"{pins} is in no BPF filesystem: run 'mount -t bpf bpf /sys/fs/bpf', or set pins in [node]"
        )


def holds_pins(path: Path) -> bool:
    """Whether it is, or would be, in a BPF filesystem."""
    folder = next(parent for parent in (path, *path.parents) if parent.exists())
    return _filesystem(folder) == _BPF_FS_MAGIC


def check_joined(config: NodeConfig) -> None:
    """Only a machine that has joined is a node. Raises StartError."""
    if not config.credentials_dir.exists():
        raise StartError(
            f"this machine is no node yet, {config.credentials_dir} does not exist: "
            "join with 'moorline node join TOKEN'"
        )


def check_interfaces(config: NodeConfig, state: NodeState, host: HostTable) -> None:
    """At least one underlay port, and each port with an interface or one that it had: it may come back.

    Raises:
        StartError: an interface never was there, most likely misspelt, or no underlay port is configured.
    """
    if not any(port.role == "underlay" for port in config.ports):
        raise StartError(
            'no underlay port is configured: add [[node.port]] with name = "..." for the network interface'
        )
    for port in config.ports:
        if host.link_named(port.name) is not None:
            continue
        if port.name in state.ports:
            log.warning("interface_missing", interface=port.name)
            continue
        known = ", ".join(sorted(link.name for link in host.links.values()))
        raise StartError(f"interface {port.name} does not exist: name one of {known} in [[node.port]]")


def check_controller(config: NodeConfig, state: NodeState) -> None:
    """Somebody said where the controller is. Raises StartError."""
    if not (config.controller or state.controller):
        raise StartError(
            'no controller is known: set controller = "host:port" in [node], or join with a token'
        )


def only_agent(state_dir: Path) -> IO[str]:
    """Make sure that no other agent works with this state; holds as long as the file is open.

    Raises:
        StartError: another one does, or the directory cannot be used.
    """
    path = state_dir / "lock"
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path.open("w")
    except OSError as error:
        raise StartError(
            f"state directory {state_dir} cannot be used ({error.strerror}): set another"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StartError(f"another agent runs with {state_dir}: stop it, or set another state_dir") from None
    return file


def _filesystem(path: Path) -> int:
    # struct statfs begins with f_type, a long.
    buffer = (ctypes.c_long * 32)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.statfs(os.fsencode(path), buffer) < 0:
        return 0
    return int(buffer[0])
