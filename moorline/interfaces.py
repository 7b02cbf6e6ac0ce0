# SPDX-License-Identifier: Apache-2.0
"""Names of network interfaces, as Linux has them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator

MAX_INTERFACE_NAME: Final = 15
"""Octets in the name of a network interface (IFNAMSIZ less the final zero)."""


def check_interface(name: str) -> str:
    """The name itself; raises ``ValueError`` when no interface can have it."""
    if not 0 < len(name.encode()) <= MAX_INTERFACE_NAME or "/" in name or any(c.isspace() for c in name):
        raise ValueError(
            f"an interface name has 1 to {MAX_INTERFACE_NAME} octets, without blanks and slashes"
        )
    return name


InterfaceName = Annotated[str, AfterValidator(check_interface)]
