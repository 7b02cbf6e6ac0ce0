# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.lab.star``: the command ``moorline`` whose controller leads packets in a star.

Between two feature peers, and behind the last, every packet goes back to the node where it was classified,
as without service paths: what chains are compared with, in the same lab with the same peers. That node is
named by the environment's ``MOORLINE_LAB_STAR``. Two peers in a row must be at different nodes, since a place
on a path says either "back to the classifier" or "on to the peer" at a node, not both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from control.graphs import rows
from control.graphs.layout import Layout, Placed, Visit
from control.records import Node
from moorline.cli.main import main

CENTRE = "MOORLINE_LAB_STAR"

_ways = rows.PathRows._next


def _in_a_star(
    self: rows.PathRows, node: Node, layout: Layout, placed: Placed, position: int
) -> Iterator[tuple[int, str, rows.Values, Visit | None]]:
    centre = layout.nodes[os.environ[CENTRE]]
    before = layout.instances_of(placed.path.plan.steps[position - 1]) if position else ()
    if node.name != centre.name and any(peer.node == node.name for peer in before):
        yield 0, "to_node", {"node": centre.id}, None
        return
    yield from _ways(self, node, layout, placed, position)


if __name__ == "__main__":
    rows.PathRows._next = _in_a_star  # type: ignore[method-assign]
    main()
