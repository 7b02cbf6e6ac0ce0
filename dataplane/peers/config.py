# SPDX-License-Identifier: Apache-2.0
"""Settings of feature peers: ``[[node.peer]]`` of the configuration file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from moorline.config import Section
from moorline.feature_peers import NameText, PeerFacts
from moorline.interfaces import MAX_INTERFACE_NAME, InterfaceName
from moorline.reach import PrefixText

IN, OUT = "-in", "-out"
"""Behind the name of a peer that the agent runs: our ends of its two cables."""

MAX_RUN_NAME: Final = MAX_INTERFACE_NAME - len(OUT)

RunName = Literal["firewall", "nat", "filter", "statistics", "cache", "tap"]


_LISTED: Final = re.compile(r"(?:\*\.)?[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?\Z")


def listed_name(text: str) -> str:
    """Check a name of a list, which would else forbid nothing; raises ``ValueError``."""
    if not text.isascii():
        raise ValueError("write an international name in its xn-- form")
    if not _LISTED.match(text):
        raise ValueError("write a name alone, such as ads.example")
    return text


class NameList(Section):
    """Names that customers are not to reach, ``[[node.peer.list]]``; for a content filter."""

    customers: Annotated[tuple[PrefixText, ...], Field(min_length=1)]
    """Whom it holds for."""

    names: tuple[Annotated[str, AfterValidator(listed_name)], ...] = ()
    """Each with all names below it."""

    file: Path | None = None
    """More names, one a line; what follows a # is left out."""


class UsageCap(Section):
    """How much customers may use, ``[[node.peer.cap]]``; for statistics."""

    customers: Annotated[tuple[PrefixText, ...], Field(min_length=1)]
    """Each address in these for itself."""

    megabytes: Annotated[int, Field(gt=0)]
    """In both directions together; beyond, packets are dropped."""


class ShortcutPolicy(Section):
    """Which flows a peer asks short-cuts for, ``[node.peer.shortcut]``; for statistics and caches."""

    graph: NameText
    """The graph on which they are made."""

    megabytes: Annotated[int, Field(gt=0)] = 10
    """Of statistics: flows that have carried so much. Of a cache they are those that it answers."""

    idle_seconds: Annotated[int, Field(gt=0, le=86400)] = 30
    """How long a short-cut stays without a packet."""


_SETTINGS: Final[dict[str, tuple[str, RunName]]] = {
    "rules": ("rules", "firewall"),
    "lists": ("list", "filter"),
    "caps": ("cap", "statistics"),
    "cache_megabytes": ("cache_megabytes", "cache"),
    "ring_megabytes": ("ring_megabytes", "tap"),
}
"""By field: its name in the file, and the program that it belongs to."""

_FOLLOWS: Final = frozenset({"macs", "header", "by_mac", "rewrites", "local", "remote"})
"""What is given for a peer that the agent runs."""


class PeerConfig(PeerFacts):
    """A feature peer at this node: the user's own, at ``ports``, or one that the agent is to ``run``."""

    ports: Annotated[tuple[InterfaceName, ...], Field(max_length=2)] = ()
    """Interfaces of one or two peer ports; forward paths go in at the first, out at the second."""

    run: RunName | None = None
    """Run this program in a namespace of its own; None: the user sees to it."""

    tenant: Annotated[int, Field(ge=0, lt=1 << 24)] = 0
    """Whose packets it gets; of the user's own peers, that of their ports holds."""

    rules: Path | None = None
    """Of a firewall: a file with rules of nftables, the content of a chain that sees forwarded packets."""

    lists: Annotated[tuple[NameList, ...], Field(alias="list")] = ()
    caps: Annotated[tuple[UsageCap, ...], Field(alias="cap")] = ()
    cache_megabytes: Annotated[int, Field(gt=0)] = 256
    """Of a cache: how much it keeps on disk."""

    shortcut: ShortcutPolicy | None = None
    ring_megabytes: Annotated[int, Field(ge=10)] = 100
    """Of a tap: how much it keeps; the oldest goes first."""

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        for field, (setting, program) in _SETTINGS.items():
            if field in self.model_fields_set and self.run != program:
                raise ValueError(f'peer {self.name}: {setting} belongs to run = "{program}"')
        if self.shortcut is not None and self.run not in ("statistics", "cache"):
            raise ValueError(f'peer {self.name}: shortcut belongs to run = "statistics" and "cache"')
        if self.run is None:
            if self.tenant:
                raise ValueError(f"peer {self.name} has its tenant from its ports: set it there")
            self.check_attachment(self.ports)
            return self
        if given := sorted((_FOLLOWS | {"ports"}) & self.model_fields_set):
            raise ValueError(f"peer {self.name} is run by the agent, which chooses {given[0]}: leave it out")
        if len(self.name) > MAX_RUN_NAME:
            raise ValueError(
                f"peer {self.name} is to be run, and interfaces are called after it: shorten the name to "
                f"{MAX_RUN_NAME} characters"
            )
        if self.run == "firewall" and self.rules is None:
            raise ValueError(f"peer {self.name} is a firewall: name the file with its rules")
        if (self.run == "nat") != bool(self.addresses):
            raise ValueError(f"peer {self.name}: a NAT has addresses of its own, and no other program has")
        return self

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The interfaces of its ports."""
        return (self.name + IN, self.name + OUT) if self.run else self.ports
