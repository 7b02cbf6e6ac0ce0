# SPDX-License-Identifier: Apache-2.0
"""What a vector consists of, independent of files and of data planes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from moorline.errors import MoorlineError
from moorline.matches import Masked, Prefix
from moorline.wire import Event

Value = int | str
"""Value of a key field or parameter: a number, ``"0x..."`` for long ones, or an address as text.

In a key also ``value/length``, the first bits of an address, and ``value&mask``.
"""


class VectorError(MoorlineError):
    """A vector or its files cannot be used as they are."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A table entry by the names of the P4 contract.

    In a table with priorities the higher one wins, and fields that ``key`` does not name match anything.
    """

    table: str
    key: Mapping[str, Value]
    action: str
    params: Mapping[str, Value] = field(default_factory=dict)
    priority: int = 0


@dataclass(frozen=True, slots=True)
class PacketIn:
    """Metadata of a punted packet; the payload is the frame as it arrived."""

    port: int
    reason: Event
    mtu: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one packet: exactly one event, and what left with it.

    ``egress`` and ``packet`` are set for ``TX`` only, ``packet_in`` for the punts only.
    """

    event: Event
    egress: int | None = None
    packet: bytes | None = None
    packet_in: PacketIn | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A frame that arrives at a port, and what must become of it."""

    port: int
    frame: bytes
    expected: Outcome


@dataclass(frozen=True, slots=True)
class DirectCounter:
    """Counts that an entry's direct counter must show after all steps, from zero."""

    table: str
    key: Mapping[str, Value]
    packets: int
    bytes: int
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Vector:
    """A case: entries, arrivals, expectations.

    ``hooks`` names the targets that it holds for, when not for all. ``differs`` names those where its packets
    come to another event, and which. In both cases ``why`` says why.
    """

    concern: str
    name: str
    description: str
    rule: str
    entries: tuple[Entry, ...]
    steps: tuple[Step, ...]
    counters: tuple[DirectCounter, ...] = ()
    hooks: tuple[str, ...] = ()
    differs: Mapping[str, Event] = field(default_factory=dict)
    why: str = ""

    @property
    def path(self) -> str:
        """Name of the vector's files below ``pcaps/``, without suffix."""
        return f"{self.concern}/{self.name}"


def number(value: Value) -> int | bytes:
    """The value as the contract's rows take it: a number, or the octets of an address (4 or 16).

    Raises :class:`VectorError` when the text is neither.
    """
    if isinstance(value, int):
        return value
    if value.startswith("0x"):
        return int(value, 16)
    try:
        return ip_address(value).packed
    except ValueError as error:
        raise VectorError(
            f"value {value!r} of a vector is neither 0x... nor an address; correct it"
        ) from error


def matched(value: Value) -> int | bytes | Prefix | Masked:
    """The value of a key's field: a number or the octets of an address, all or a part of their bits.

    Raises :class:`VectorError` when the text is none of these.
    """
    if isinstance(value, int):
        return value
    text, is_prefix, length = value.partition("/")
    if is_prefix:
        octets = number(text)
        if isinstance(octets, int):
            raise VectorError(f"value {value!r} of a vector is no prefix of an address; correct it")
        return Prefix(octets, int(length))
    text, is_masked, mask = value.partition("&")
    return _masked(_integer(text), _integer(mask)) if is_masked else number(value)


def _integer(text: str) -> int:
    value = int(text) if text.isdecimal() else number(text)
    return value if isinstance(value, int) else int.from_bytes(value, "big")


def _masked(value: int, mask: int) -> Masked:
    octets = (mask.bit_length() + 7) // 8
    return Masked(value.to_bytes(octets, "big"), mask.to_bytes(octets, "big"))
