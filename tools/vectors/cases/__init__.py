# SPDX-License-Identifier: Apache-2.0
"""The cases, one module for each concern; and those that a fuzzer wrote and somebody kept."""

from __future__ import annotations

from pathlib import Path

from ..files import ROOT, names, read
from ..model import Vector
from . import (
    access,
    connection,
    delivery,
    device,
    ecn,
    edge,
    gateway,
    geneve,
    inner,
    link,
    outer,
    path,
    peer,
    probe,
    relay,
    seed004,
    service,
    size,
    udp,
)

MODULES = (
    link,
    outer,
    udp,
    geneve,
    connection,
    inner,
    ecn,
    edge,
    delivery,
    device,
    access,
    gateway,
    size,
    path,
    relay,
    seed004,
    service,
    peer,
    probe,
)


FOUND = "found"
"""The folder below pcaps/ for vectors without a builder: ``python -m tools.fuzz.diff`` writes such."""


def vectors(root: Path = ROOT) -> list[Vector]:
    """All vectors, in the order of the modules; last those that were found, and kept below ``root``."""
    found = [read(name, root) for name in names(root) if name.startswith(f"{FOUND}/")]
    return [vector for module in MODULES for vector in module.CASES.vectors] + found
