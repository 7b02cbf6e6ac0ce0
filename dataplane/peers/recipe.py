# SPDX-License-Identifier: Apache-2.0
"""What makes a namespace a feature peer of some kind: rules of nftables, programs, packets that they get.

In its namespace a peer has the interfaces ``in``, towards the customers, and ``out``. What comes in at one
leaves by the other, unless rules say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

IN, OUT, PROBE = "in", "out", "probe"
"""Interfaces in the namespace."""

FROM_IN: Final = 0x1
FROM_OUT: Final = 0x2
TO_PROGRAM: Final = 0x10
"""Marks of packets: where they came in, and that a program on this host gets them, whosever they are."""

TO_INSPECTOR: Final = 0x20
"""Mark of packets that a program looks at before they go on."""

PROBE_SOURCE: Final = "192.0.0.11"
PROBE_TARGET: Final = "192.0.0.12"
"""Addresses of the block for protocols that are nobody's: the probes'."""

PROBE_PORT: Final = 53


@dataclass(frozen=True, slots=True)
class ProgramPlan:
    """A program to run inside."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What stands inside, beside interfaces and routes.

    ``arriving`` are rules for all packets, before their way is looked up; ``passing`` for those that are
    forwarded, and ``verdict`` for those of them that no rule wants; ``more`` are further chains and sets.
    ``files`` are written to the peer's folder. ``listens`` are TCP ports of its programs.
    """

    arriving: str = ""
    passing: str = ""
    verdict: str = "accept"
    more: str = ""
    programs: tuple[ProgramPlan, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    keeper: str = ""
    """The user who keeps things in a folder of his own; empty: there is none."""

    asks_names: bool = False
    """Whether programs ask for names, at 127.0.0.1."""

    listens: frozenset[int] = frozenset()

    @property
    def ruleset(self) -> str:
        """All rules, in the place of those before in one step."""
        return f"""\
table inet moorline
delete table inet moorline
table inet moorline {{
{self.more}
    chain arriving {{
        type filter hook prerouting priority mangle; policy accept;
        iifname "{IN}" meta mark set {FROM_IN}
        iifname "{OUT}" meta mark set {FROM_OUT}
{self.arriving}
    }}
    chain passing {{
        type filter hook forward priority filter; policy {self.verdict};
        oifname "{PROBE}" accept
{self.passing}
    }}
}}
"""
