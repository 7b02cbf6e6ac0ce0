# SPDX-License-Identifier: Apache-2.0
"""Canonical byte strings of P4Runtime to packed C structs and back."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from dataplane.contract.errors import ContractMismatch, EntryError, ValueOutOfRange
from dataplane.contract.layout import Field
from dataplane.contract.p4info import Value

_CODES: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}


def check_value(what: str, width: int, value: bytes) -> int:
    """The number that a byte string holds (P4Runtime specification, "Bytestrings").

    Leading zeros are allowed; they are gone when the value is read back.

    Raises:
        ValueOutOfRange: the string is empty, or its number needs more than ``width`` bits.
    """
    if not value:
        raise ValueOutOfRange(f"{what} has an empty value; give at least one octet")
    number = int.from_bytes(value, "big")
    if number >> width:
        raise ValueOutOfRange(
            f"{what} is {number:#x}, which needs {number.bit_length()} bits; it has {width}"
        )
    return number


def canonical(number: int) -> bytes:
    """The shortest byte string of a number that is not negative; 0 has one octet."""
    return number.to_bytes((number.bit_length() + 7) >> 3 or 1, "big")


class StructCodec:
    """Packs the values of a key or of an action's parameters, and unpacks them.

    Values are addressed by their P4Runtime numbers. ``where`` names table (and action) in errors, ``kind``
    what the values are ("match field" or "parameter").
    """

    def __init__(
        self, where: str, kind: str, values: Sequence[Value], fields: Sequence[Field], size: int
    ) -> None:
        self._where, self._kind = where, kind
        self._values = values
        self._numbers = [v.id for v in values]
        by_name = {f.name: f for f in fields}
        # For each value: its octets if it is an array, else 0; its width in bits.
        self._plan = [(by_name[v.name].size if by_name[v.name].octets else 0, v.width) for v in values]
        ordered = sorted(by_name.values(), key=lambda f: f.offset)
        self._struct = struct.Struct(_format(ordered, size))
        names = [v.name for v in values]
        self._order = [names.index(f.name) for f in ordered]  # of the values, in the struct
        self._places = [ordered.index(by_name[name]) for name in names]

    def pack(self, items: Sequence[tuple[int, bytes]]) -> bytes:
        """The struct with these values, one for each number.

        Raises:
            EntryError: a number is unknown, missing or given twice.
            ValueOutOfRange: see ``check_value``.
        """
        if [number for number, _ in items] != self._numbers:
            items = self._sorted(items)
        packed: list[int | bytes] = []
        for (number, value), (octets, width) in zip(items, self._plan, strict=True):
            if octets and 0 < len(value) <= octets:
                packed.append(value.rjust(octets, b"\0"))
                continue
            held = int.from_bytes(value, "big")
            if held >> width or not value:
                held = check_value(self._what(number), width, value)
            packed.append(held.to_bytes(octets, "big") if octets else held)
        return self._struct.pack(*[packed[place] for place in self._order])

    def unpack(self, packed: bytes) -> list[tuple[int, bytes]]:
        """Numbers and canonical byte strings of a packed struct, in the order of the P4 program."""
        values = self._struct.unpack(packed)
        return [
            (
                number,
                (values[place].lstrip(b"\0") or b"\0") if octets else canonical(values[place]),
            )
            for number, place, (octets, _) in zip(self._numbers, self._places, self._plan, strict=True)
        ]

    def _sorted(self, items: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """The values in the order of the P4 program, once it is sure that each is there once."""
        given: dict[int, bytes] = {}
        for number, value in items:
            if number not in self._numbers:
                raise EntryError(f"{self._where} has no {self._kind} {number}; {self._known()}")
            if number in given:
                raise EntryError(f"{self._what(number)} is given twice; give it once")
            given[number] = value
        for needed in self._values:
            if needed.id not in given:
                raise EntryError(f"{self._where} lacks the {self._kind} {needed.name}; give a value")
        return [(number, given[number]) for number in self._numbers]

    def _what(self, number: int) -> str:
        return f"{self._where}: the {self._kind} {self._values[self._numbers.index(number)].name}"

    def _known(self) -> str:
        if not self._values:
            return "it takes none"
        return "known are " + ", ".join(f"{v.id} ({v.name})" for v in self._values)


def check_fields(table: str, where: str, values: Sequence[Value], fields: Sequence[Field]) -> None:
    """Compares what P4 says with what C says.

    Raises:
        ContractMismatch: a field is missing on one side, or too narrow, or of the wrong kind.
    """
    by_name = {f.name: f for f in fields}
    for value in values:
        field = by_name.pop(value.name, None)
        what = f"{where} {value.name}"
        if field is None:
            raise ContractMismatch(table, what, "the C struct has no such field")
        bits = field.size * 8
        if field.octets and bits != value.width:
            raise ContractMismatch(table, what, f"it has {value.width} bits in P4 and {bits} in C")
        if not field.octets and bits < value.width:
            raise ContractMismatch(table, what, f"its {value.width} bits do not fit the {bits} it has in C")
    for name in by_name:
        raise ContractMismatch(table, f"{where} {name}", "the P4 program has no such field")


def by_number(values: Sequence[Value], named: Mapping[str, int | bytes]) -> list[tuple[int, bytes]]:
    """Numbers and byte strings of values given by name, integers or octets in network order.

    Raises:
        EntryError: a name is unknown.
    """
    numbers = {v.name: v.id for v in values}
    unknown = named.keys() - numbers.keys()
    if unknown:
        raise EntryError(f"there is no field {min(unknown)}; known are {', '.join(numbers)}")
    return [(numbers[n], v if isinstance(v, bytes) else canonical(v)) for n, v in named.items()]


def _format(ordered: Sequence[Field], size: int) -> str:
    """A struct format with the gaps between fields as pad octets."""
    parts, end = ["="], 0
    for field in ordered:
        parts.append(f"{field.offset - end}x")
        parts.append(f"{field.size}s" if field.octets else _CODES[field.size])
        end = field.offset + field.size
    return " ".join([*parts, f"{size - end}x"])
