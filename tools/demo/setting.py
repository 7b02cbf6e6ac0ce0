# SPDX-License-Identifier: Apache-2.0
"""What is demonstrated: with a BMv2 switch in the middle where one is installed, else without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tools.lab.switch import find_switch

SWITCH: Final = "switch"
"""The name of the switch."""


@dataclass(frozen=True)
class Step:
    """What happens after a part of the transfer: ``hosts`` get new addresses; if none, the SCID is new."""

    title: str
    part: float
    hosts: tuple[str, ...]

    @property
    def rotates(self) -> bool:
        """Whether the connection gets a new SCID."""
        return not self.hosts


@dataclass(frozen=True)
class Setting:
    """The network, the pace (octets a second), and the steps."""

    switched: bool
    mtu: int
    rate: int
    steps: Sequence[Step]


DIRECT: Final = Setting(
    switched=False,
    mtu=1500,
    rate=72 << 20,
    steps=(
        Step("the server's address is replaced", 0.20, ("server",)),
        Step("the laptop's address is replaced", 0.45, ("laptop",)),
        Step("both addresses are replaced at once", 0.70, ("server", "laptop")),
    ),
)
"""1 GiB in some fifteen seconds."""

SWITCHED: Final = Setting(
    switched=True,
    mtu=9000,
    rate=36 << 20,
    steps=(
        Step("the server's address is replaced", 0.15, ("server",)),
        Step("the laptop's address is replaced", 0.35, ("laptop",)),
        Step("both addresses are replaced at once", 0.55, ("server", "laptop")),
        Step("the connection gets a new SCID", 0.75, ()),
    ),
)
"""1 GiB in some thirty seconds. BMv2 is a model of a switch, made to be exact, not fast: it relays several
thousand packets a second, whatever their size. Therefore packets are as long as many networks let them be."""


def choose() -> Setting:
    """With a switch, if there is one on this machine."""
    return DIRECT if find_switch() is None else SWITCHED
