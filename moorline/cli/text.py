# SPDX-License-Identifier: Apache-2.0
"""Values as operators read and write them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import typer

MAX_UINT32: Final = (1 << 32) - 1
MAX_UINT64: Final = (1 << 64) - 1
"""The largest numbers that messages hold."""

_SCID = re.compile(r"(?:0x)?([0-9a-fA-F]{16})\Z")


def scid_text(scid: int) -> str:
    """An SCID in 16 hexadecimal digits."""
    return f"{scid:016x}"


def parse_scid(text: str) -> int:
    """Read an SCID back; a usage error for anything else."""
    if (match := _SCID.match(text.strip())) is None:
        raise typer.BadParameter(f"{text!r} is no SCID: give its 16 hexadecimal digits")
    return int(match[1], 16)


def address_text(address: bytes) -> str | None:
    """An address of 4 or 16 octets; ``None`` for the empty one."""
    return str(ipaddress.ip_address(address)) if address else None


def addresses_text(addresses: Iterable[bytes]) -> list[str]:
    """Several addresses, in their order."""
    return [str(ipaddress.ip_address(address)) for address in addresses]


def time_text(nanoseconds: int) -> str | None:
    """A time since the epoch in ISO 8601, UTC, to the millisecond; ``None`` for 0."""
    if not nanoseconds:
        return None
    moment = datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def scaled(value: int, unit: str) -> str:
    """A number with the prefix that keeps it short: ``1.5 Mbit/s``."""
    amount = float(value)
    for prefix in ("", "k", "M", "G", "T", "P"):
        if amount < 999.5:  # what three digits round to less than the next prefix
            return f"{amount:.3g} {prefix}{unit}"
        amount /= 1000
    return f"{amount:.3g} E{unit}"
