# SPDX-License-Identifier: Apache-2.0
"""A firewall: the kernel's, with connection tracking; its rules are the operator's."""

from __future__ import annotations

from pathlib import Path

from dataplane.peers.base import PeerError
from dataplane.peers.config import PeerConfig
from dataplane.peers.recipe import Recipe


def recipe(config: PeerConfig, _folder: Path, _cache: Path) -> Recipe:
    """What the operator's rules do not accept is dropped; raises :class:`PeerError` without rules."""
    assert config.rules is not None
    try:
        written = config.rules.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise PeerError(f"rules {config.rules} cannot be read ({error}): see key rules") from error
    # The rules are included, so that nft names the file and the line of what is wrong; a copy makes a change
    # of them a change of the recipe.
    copy = "".join(f"    # {line}\n" for line in written.splitlines())
    return Recipe(passing=f'        include "{config.rules.resolve()}"', verdict="drop", more=copy)
