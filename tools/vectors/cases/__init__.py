# SPDX-License-Identifier: Apache-2.0
"""The cases, one module for each concern."""

from __future__ import annotations

from ..model import Vector
from . import access, connection, delivery, ecn, gateway, geneve, inner, link, outer, path, relay, size, udp

MODULES = (link, outer, udp, geneve, connection, inner, ecn, delivery, access, gateway, size, path, relay)


def vectors() -> list[Vector]:
    """All vectors, in the order of the modules."""
    return [vector for module in MODULES for vector in module.CASES.vectors]
