# SPDX-License-Identifier: Apache-2.0
"""How the demonstration of service graphs looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.table import Table

from tools.demo.graph.facts import Cost, Outcome
from tools.demo.screen import Screen, drops_table

INTRODUCTION: Final = """\
A phone, a plain namespace, tunnels into a site by VXLAN. What it fetches from a web server goes through
feature peers, unmodified programs that know nothing of Moorline, each in a namespace of its own:

    phone ==VXLAN== access ------> north --------> south ----------> north -----> border --- server
                    firewall fw1   filter cf1      statistics st1    cache ca1
                                                   (firewall fw2, a spare)

Packets are classified once, where they come in. From then on each carries its path and its place on it, and
goes from peer to peer. The same peers see the answers, in the other order.
"""


class GraphScreen(Screen):
    """Lines, and tables at the end."""

    def introduce(self) -> None:
        """What is about to be shown."""
        self.console.print(INTRODUCTION)

    def quote(self, text: str) -> None:
        """What a command wrote."""
        for line in text.rstrip().splitlines():
            self.console.print(f"        {line}")

    def summary(self, outcome: Outcome) -> None:
        """The tables at the end."""
        self.console.print()
        self.console.print(_hops(outcome.hops))
        self.console.print(_download(outcome))
        self.console.print(_costs(outcome.chain, outcome.star))
        self.explain(
            "In the star every packet goes back to where it was classified between two peers: the same"
        )
        self.explain("nodes, the same peers, measured in turn; medians.")
        self.console.print(drops_table(outcome.drops))


def _hops(paths: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = Table("path", "feature peer", "instance", "node", title="What each hop was given")
    for column in ("packets", "octets"):
        table.add_column(column, justify="right")
    for path in paths:
        for hop in path["hops"]:
            for at in hop["instances"]:
                cells = (path["path"], hop["kind"], at["name"], at["node"])
                table.add_row(*cells, f"{at['packets']:,}", f"{at['bytes']:,}")
        table.add_section()
    return table


def _download(outcome: Outcome) -> RenderableType:
    takeover, shortcut = outcome.takeover, outcome.shortcut
    table = Table("what", title="Downloads")
    table.add_column("value", overflow="fold")
    table.add_row("octets", f"{outcome.content.size:,}")
    table.add_row("SHA-256 at the server", outcome.content.sha256)
    table.add_row("SHA-256 at the phone, a firewall killed meanwhile", takeover.sha256)
    table.add_row("longest time without data then", f"{takeover.gap * 1000:.0f} ms")
    table.add_row("packets that the spare firewall got", f"{takeover.packets:,}")
    table.add_row("SHA-256 at the phone, from the cache", outcome.again)
    table.add_row("packets to the server by the short-cut", f"{shortcut['packets']:,}")
    table.add_row("packets to the server by firewalls meanwhile", f"{outcome.past:,}")
    return table


def _costs(chain: Cost, star: Cost) -> RenderableType:
    table = Table("arrangement", title="Three peers (firewall, filter, statistics): chain and star")
    for column in ("TCP, Mbit/s", "ping, ms", "times in the underlay"):
        table.add_column(column, justify="right")
    for name, cost in (("chain", chain), ("star", star)):
        cells = (cost.bits_per_second / 1e6, cost.round_trip_ms)
        table.add_row(name, f"{cells[0]:,.0f}", f"{cells[1]:.2f}", f"{cost.crossings:.1f}")
    rate = chain.bits_per_second / star.bits_per_second
    trip = chain.round_trip_ms / star.round_trip_ms
    table.add_row("chain / star", f"{rate:.2f}", f"{trip:.2f}", f"{chain.crossings / star.crossings:.2f}")
    return table
