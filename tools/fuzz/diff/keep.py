# SPDX-License-Identifier: Apache-2.0
"""Writes a case as a vector, with what the rules say must become of its frame.

Moved to pcaps/found/, and with a description and a rule of its own, it is a vector like any other.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from moorline.wire import Event
from tools.fuzz.model import Model
from tools.fuzz.scene import NEXT_HOPS
from tools.vectors import files
from tools.vectors.cases import FOUND
from tools.vectors.model import Outcome, PacketIn, Step, Vector

from .drive import Case


def vector(case: Case) -> Vector:
    """The case as a vector: what it expects is what the model of docs/wire-format.md says."""
    digest = sha256(repr((case.entries, case.port, case.frame)).encode()).hexdigest()
    step = Step(case.port, case.frame, _expected(case))
    return Vector(FOUND, digest[:12], case.difference, "?", case.entries, (step,))


def keep(case: Case, root: Path) -> str:
    """Write the case below ``root``; returns the vector's name."""
    made = vector(case)
    files.add(made, root)
    return made.path


def _expected(case: Case) -> Outcome:
    prediction = Model(case.entries, NEXT_HOPS).predict(case.port, case.frame)
    event = prediction.event
    if event is Event.TX:
        return Outcome(event, prediction.egress, prediction.packet)
    if event.name.startswith("PUNT_"):
        return Outcome(event, packet_in=PacketIn(case.port, event, prediction.mtu))
    return Outcome(event)
