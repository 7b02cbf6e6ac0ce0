# SPDX-License-Identifier: Apache-2.0
"""The file of a switch, and what the controller is asked with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from moorline.api.v1 import moorline_pb2 as api
from moorline.names import NodeName

if TYPE_CHECKING:
    from moorline.switch import SwitchConfig


def read_file(path: Path) -> SwitchConfig:
    """Read the file of a switch; raises ``ConfigError``."""
    from moorline.config import load  # late: pydantic
    from moorline.switch import SwitchConfig

    return load(path, SwitchConfig)


def add_request(name: str, p4runtime: str, device_id: int, config: SwitchConfig) -> api.AddSwitchRequest:
    """What the controller is asked for a switch with this file."""
    return api.AddSwitchRequest(
        name=NodeName.parse(name),
        p4runtime=p4runtime,
        device_id=device_id,
        ports=[api.SwitchPort(**port.model_dump(mode="json")) for port in config.ports],
        peers=[api.SwitchPeer(**peer.model_dump(mode="json", exclude_none=True)) for peer in config.peers],
    )
