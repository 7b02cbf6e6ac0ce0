# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.lab.star``: the command ``moorline`` whose controller leads packets in a star.

Between two feature peers, and behind the last, every packet goes back to the node where it was classified,
as without service paths: what chains are compared with, in the same lab with the same peers. That node is
named by the environment's ``MOORLINE_LAB_STAR``; with ``NODE/GRAPH`` only packets of that graph go in a star,
so that chains stand beside it. Two peers in a row must be at different nodes, since a place on a path says
either "back to the classifier" or "on to the peer" at a node, not both.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from control.graphs import rows
from control.graphs.layout import Layout, Placed, Visit
from control.records import Node
from moorline.cli.main import main

CENTRE = "MOORLINE_LAB_STAR"

_ways = rows.PathRows._next


def star_command(centre: str, graph: str = "") -> tuple[str, ...]:
    """The command that stands for ``moorline``: ``centre`` is in the middle of one graph, or of all."""
    return ("env", f"{CENTRE}={centre}/{graph}", sys.executable, "-m", "tools.lab.star")


def _in_a_star(
    self: rows.PathRows, node: Node, layout: Layout, placed: Placed, position: int
) -> Iterator[tuple[int, str, rows.Values, Visit | None]]:
    name, _, only = os.environ[CENTRE].partition("/")
    centre = layout.nodes[name]
    before = layout.instances_of(placed.path.plan.steps[position - 1]) if position else ()
    comes_back = node is not centre and any(peer.node == node.name for peer in before)
    if comes_back and only in ("", placed.graph.name):
        yield 0, "to_node", {"node": centre.id}, None
        return
    yield from _ways(self, node, layout, placed, position)


if __name__ == "__main__":
    rows.PathRows._next = _in_a_star  # type: ignore[method-assign]
    main()
