# SPDX-License-Identifier: Apache-2.0
"""How the demonstration looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import RenderableType
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from tools.demo.facts import Change, Crossing, Moment, Outcome
from tools.demo.screen import Screen, drops_table
from tools.demo.setting import SWITCH, Setting
from tools.lab.switch import PROGRAM

INTRODUCTION: Final = """\
A download goes on while the addresses of both hosts are replaced. Unmodified programs, TCP and HTTP:

    laptop: curl  ---+
                     +--- router --- controller
    server: nginx ---+

curl asks for http://files.demo/, a service that Moorline knows by name. The three steps to come: the
server's address is replaced, then the laptop's, then both at once, each time by one of another network.
"""

WITHOUT_SWITCH: Final = f"""\
This goes without a switch in the middle. To see one, install BMv2 (p4lang-bmv2, see README.md), so that
{PROGRAM} is on the PATH.
"""

INTRODUCTION_SWITCHED: Final = f"""\
A download goes on while the addresses of both hosts are replaced. Unmodified programs, TCP and HTTP:

    laptop: curl  ---+             +--- switch: BMv2 ({PROGRAM})
                     +--- router --+         |
    server: nginx ---+             +--- controller

curl asks for http://files.demo/, a service that Moorline knows by name. No packet goes from host to host:
each is sent to the switch, which knows it by its SCID and sends it on, with locators written anew. The
steps to come: the server's address is replaced, then the laptop's, then both at once, each time by one of
another network; last, the connection gets another SCID. BMv2 shows how a switch works, not how fast: it
relays some thousand packets a second, so cables take 9,000 octets here and nginx sends at half its pace.
"""


class TransferScreen(Screen):
    """A bar while curl runs, tables at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = Progress(
            TextColumn("        curl"),
            BarColumn(bar_width=40),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            console=self.console,
            transient=True,
        )

    def introduce(self, setting: Setting) -> None:
        """What is about to be shown."""
        if setting.switched:
            self.console.print(INTRODUCTION_SWITCHED)
        else:
            self.console.print(INTRODUCTION)
            self.console.print(WITHOUT_SWITCH)

    def changed(self, change: Change) -> None:
        """A change, right after it."""
        self.say(f"{change.title}, within {change.took * 1000:.1f} ms", "bold")
        for end, before, after in _moved(change.before, change.after):
            self.say(f"  {end}: {before} -> {after}")
        self.say(f"  SCID {change.before.scid:016x} before, {change.after.scid:016x} after")

    def summary(self, outcome: Outcome) -> None:
        """The tables at the end."""
        self.console.print()
        self.console.print(_changes(outcome))
        self.explain("Time without data is what the laptop sees; nginx pauses between the pieces it sends.")
        self.console.print(_transfer(outcome))
        if outcome.crossing is not None:
            self.console.print(_crossing(outcome.crossing))
        self.console.print(drops_table(outcome.drops))


def _moved(before: Moment, after: Moment) -> list[tuple[str, str, str]]:
    """Host, locators that went, locators that came."""
    ends = (
        ("server", before.server_locators, after.server_locators),
        ("laptop", before.client_locators, after.client_locators),
    )
    return [(end, _less(old, new), _less(new, old)) for end, old, new in ends if old != new]


def _less(these: Sequence[str], those: Sequence[str]) -> str:
    return ", ".join(locator for locator in these if locator not in those)


def _changes(outcome: Outcome) -> RenderableType:
    table = Table("change", "SCID before\nand after", "locator before\nand after", title="Changes")
    table.add_column("ms without\ndata", justify="right")
    for change in outcome.changes:
        table.add_row(
            change.title,
            f"{change.before.scid:016x}\n{change.after.scid:016x}",
            "\n".join(f"{end} {old}\n    -> {new}" for end, old, new in _moved(change.before, change.after)),
            f"{change.gap * 1000:.0f}",
        )
    table.add_row("none: nginx's own pacing", "", "", f"{outcome.quiet_gap * 1000:.0f}")
    return table


def _transfer(outcome: Outcome) -> RenderableType:
    table = Table("what", title="Transfer")
    table.add_column("value", overflow="fold")
    table.add_row("octets", f"{outcome.content.size:,}")
    table.add_row("octets accounted, with headers", f"{outcome.accounted:,}")
    table.add_row("TCP connections of curl", f"{len(outcome.sockets)}, from {', '.join(outcome.sockets)}")
    table.add_row("requests that nginx saw", f"{len(outcome.requests)}")
    table.add_row("SHA-256 at the server", outcome.content.sha256)
    table.add_row("SHA-256 at the laptop", outcome.sha256)
    return table


def _crossing(crossing: Crossing) -> RenderableType:
    table = Table("what", "value", title=f"The {SWITCH} in the middle")
    table.add_row("locators", ", ".join(crossing.locators))
    table.add_row("packets relayed, both ways", f"{crossing.packets:,}")
    table.add_row("octets relayed, with all headers", f"{crossing.octets:,}")
    for host, senders in crossing.senders.items():
        counts = (f"{address} ({packets:,} packets)" for address, packets in senders.items())
        table.add_row(f"who sent to the {host}", "\n".join(counts))
    return table
