# SPDX-License-Identifier: Apache-2.0
"""Paths: which relays a connection passes on its way, and an SCID for each of its legs."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Final

from control.connection_records import Path
from control.errors import ControlError
from control.records import Node
from control.slots import free_slot
from control.state import State
from moorline.wire import SLOT_BITS

_RANDOM_BITS: Final = 64 - SLOT_BITS


def route(state: State, one: Node, other: Node) -> tuple[Node, ...]:
    """The nodes on the way between two as it is set now, with the two themselves."""
    stops = (one, state.nodes.get(one.via), state.nodes.get(other.via), other)
    return (one,) if one is other else tuple(dict.fromkeys(stop for stop in stops if stop is not None))


def lay(state: State, nodes: tuple[Node, ...]) -> Path:
    """A path over ``nodes`` with new SCIDs, whose slots are taken.

    Raises:
        NotFoundError: a node is just being removed.
        ExhaustedError: no slot is left.
    """
    for node in nodes:
        state.node(node.name)
    laid: list[Path] = []
    try:
        for run in _runs(nodes):
            path = _lay_run(state, run)
            state.take_slots(path)  # at once: a border has a slot for the run on either side
            laid.append(path)
    except ControlError:
        for path in laid:
            state.release_slots(path)
        raise
    return Path(nodes, tuple(scid for path in laid for scid in path.scids))


def _runs(nodes: tuple[Node, ...]) -> Iterator[tuple[Node, ...]]:
    """Parts of a way whose legs share an SCID: borders end one and begin the next."""
    start = 0
    for at in range(1, len(nodes) - 1):
        if nodes[at].border:
            yield nodes[start : at + 1]
            start = at
    yield nodes[start:]


def _lay_run(state: State, nodes: tuple[Node, ...]) -> Path:
    slot = free_slot([state.slots[node.id] for node in nodes], min(node.capacity for node in nodes))
    scid = 0
    while scid >> SLOT_BITS == 0 or scid in state.connections_by_scid or scid in state.connections:
        scid = secrets.randbits(_RANDOM_BITS) << SLOT_BITS | slot
    return Path(nodes, (scid,) * max(1, len(nodes) - 1))
