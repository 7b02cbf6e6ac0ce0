# SPDX-License-Identifier: Apache-2.0
"""What a node keeps over a restart: ``node.json`` in its state directory, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moorline.errors import MoorlineError

FIRST_PORT: Final = 1
LAST_PORT: Final = 500
"""Port numbers that are given out; switches keep the highest of the 9 bits for themselves."""


class StateError(MoorlineError):
    """A state file that cannot be used or written."""


class NodeState(BaseModel):
    """The contents of ``node.json``."""

    model_config = ConfigDict(extra="forbid")

    node: str = ""
    node_id: int = 0
    controller: str = ""
    """``host:port`` of the controller's API, as the join token said."""
    generation: int = 0
    """Of the last set of locators that was told to anybody."""
    ports: dict[str, int] = Field(default_factory=dict)
    """Port number by interface: the same for as long as the node lives."""
    hooks: dict[str, str] = Field(default_factory=dict)
    """Hook that holds a program of ours, by interface."""
    whole_checksums: list[str] = Field(default_factory=list)
    """Interfaces that were told to leave the completion of checksums to the kernel."""
    former_sysctls: dict[str, str] = Field(default_factory=dict)
    """Settings of the network, below /proc/sys/net, as they were before the agent changed them."""
    virtual_prefixes: list[str] = Field(default_factory=list)

    def port_number(self, interface: str) -> int:
        """The number of an interface's port; the lowest free one when it has none yet."""
        if interface not in self.ports:
            taken = set(self.ports.values())
            free = next((n for n in range(FIRST_PORT, LAST_PORT + 1) if n not in taken), None)
            if free is None:
                raise StateError(
                    f"interface {interface} gets no port number, all {LAST_PORT} are taken: remove some"
                )
            self.ports[interface] = free
        return self.ports[interface]


def read_state(path: Path) -> NodeState:
    """Read ``node.json``; a new state where there is none. Raises StateError."""
    try:
        return NodeState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return NodeState()
    except OSError as error:
        raise StateError(f"state file {path} cannot be read ({error.strerror}): run as root") from error
    except ValidationError as error:
        raise StateError(
            f"state file {path} is damaged ({error.errors()[0]['msg']}): restore it, or join again"
        ) from error


def write_state(path: Path, state: NodeState) -> None:
    """Write ``node.json`` atomically. Raises StateError."""
    write_private(path, state.model_dump_json(indent=1).encode() + b"\n")


def write_private(path: Path, content: bytes) -> None:
    """Put ``content`` into a file that only its owner reads, whole or not at all, folders included."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise StateError(
            f"{path} cannot be written ({error.strerror}): name another state directory"
        ) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:  # mkstemp made it 0600
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StateError(f"{path} cannot be written ({error.strerror}): make room for it") from error
