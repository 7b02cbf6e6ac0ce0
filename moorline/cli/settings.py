# SPDX-License-Identifier: Apache-2.0
"""The whole configuration file: the sections of all parts, put together."""

from __future__ import annotations

from pathlib import Path

from control.config import ControllerConfig
from dataplane.agent.config import NodeConfig
from moorline.cli.files import is_absent
from moorline.config import DEFAULT_PATH, LogConfig, Section, load


class ClientConfig(Section):
    """``[client]``: how commands reach the controller."""

    controller: str = ""
    """``host:port`` of a controller elsewhere; empty: the unix socket of the one on this machine."""

    credentials: Path = Path("/etc/moorline/credentials")
    """Folder with ca.pem, cert.pem and key.pem of an operator; used for a controller elsewhere."""


class Settings(Section):
    """The file ``moorline.toml``."""

    controller: ControllerConfig = ControllerConfig()
    node: NodeConfig = NodeConfig()
    client: ClientConfig = ClientConfig()
    log: LogConfig = LogConfig()


def read_settings(path: Path | None) -> Settings:
    """Read ``path``, or the default file, which may be absent: then everything has its default."""
    if path is None and is_absent(DEFAULT_PATH):
        return Settings()
    return load(path or DEFAULT_PATH, Settings)
