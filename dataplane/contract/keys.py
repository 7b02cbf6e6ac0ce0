# SPDX-License-Identifier: Apache-2.0
"""Match fields and priority of P4Runtime to the packed keys of tables in memory, and back.

Error codes and canonical forms as in the P4Runtime specification 1.4, section 9.1.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from finsy.proto import p4r

from dataplane.bpf.ternary_table import PRIORITY
from dataplane.contract.codec import StructCodec, by_number, canonical, check_value
from dataplane.contract.errors import EntryError
from dataplane.contract.layout import TableShape
from dataplane.contract.p4info import MatchField, MatchKind, Table
from moorline.matches import Masked, Prefix

Matched = bytes | Masked | Prefix
"""What a field of a key is compared with; canonical byte strings."""

_KINDS = {MatchKind.EXACT: "exact", MatchKind.TERNARY: "ternary", MatchKind.LPM: "lpm"}


class KeyCodec(Protocol):
    """Packs the keys of one table."""

    def pack(self, entry: p4r.TableEntry) -> bytes:
        """The key of an entry.

        Raises:
            EntryError: a field is unknown, missing, given twice, out of range or not canonical, or the
                priority does not fit the table.
        """

    def fill(self, key: bytes, entry: p4r.TableEntry) -> None:
        """Gives an empty entry match fields and priority."""

    def pack_named(self, match: Mapping[str, int | Matched], priority: int) -> bytes:
        """The key of fields by name, integers or octets in network order; see ``pack``."""

    def named(self, key: bytes) -> dict[str, Matched]:
        """The fields by name; those that match everything are left out."""

    def priority(self, key: bytes) -> int:
        """The entry's priority; 0 in a table without."""

    def is_of_match(self, key: bytes, wanted: bytes) -> bool:
        """Whether two keys are alike but for the priority."""


class ExactKeys:
    """Keys of a table whose fields are all exact: the values as packed in C."""

    def __init__(self, table: Table, shape: TableShape) -> None:
        self._table = table
        self._values = StructCodec(
            f"table {table.name}", "match field", table.match, shape.key, shape.key_size
        )

    def pack(self, entry: p4r.TableEntry) -> bytes:
        """See ``KeyCodec.pack``."""
        if entry.priority:
            _check_priority(self._table, entry.priority)
        items = [(match.field_id, match.exact.value) for match in entry.match]
        for number, (_, value) in enumerate(items):
            if not value:
                _check_kind(self._table, entry.match[number], MatchKind.EXACT)
        return self._values.pack(items)

    def fill(self, key: bytes, entry: p4r.TableEntry) -> None:
        """See ``KeyCodec.fill``."""
        for number, value in self._values.unpack(key):
            entry.match.add(field_id=number).exact.value = value

    def pack_named(self, match: Mapping[str, int | Matched], priority: int) -> bytes:
        """See ``KeyCodec.pack_named``."""
        _check_priority(self._table, priority)
        exact = {name: value for name, value in match.items() if isinstance(value, int | bytes)}
        if ranged := sorted(match.keys() - exact.keys()):
            raise EntryError(f"table {self._table.name}: the match field {ranged[0]} is exact; give a value")
        return self._values.pack(by_number(self._table.match, exact))

    def named(self, key: bytes) -> dict[str, Matched]:
        """See ``KeyCodec.named``."""
        names = {field.id: field.name for field in self._table.match}
        return {names[number]: value for number, value in self._values.unpack(key)}

    def priority(self, key: bytes) -> int:  # noqa: ARG002
        """See ``KeyCodec.priority``."""
        return 0

    def is_of_match(self, key: bytes, wanted: bytes) -> bool:
        """See ``KeyCodec.is_of_match``."""
        return key == wanted


class TernaryKeys:
    """Keys of a ternary table: values and masks as packed in C, and a priority.

    The mask of an exact field is all ones, that of a prefix its leading bits. Where a prefix decides which of
    several entries matches, its length is the priority.
    """

    def __init__(self, table: Table, shape: TableShape) -> None:
        self._table = table
        self._by_number = {field.id: field for field in table.match}
        self._size = shape.key_size
        self._values = StructCodec(
            f"table {table.name}", "match field", table.match, shape.key, shape.key_size
        )

    def pack(self, entry: p4r.TableEntry) -> bytes:
        """See ``KeyCodec.pack``."""
        _check_priority(self._table, entry.priority)
        given: dict[int, p4r.FieldMatch] = {}
        for match in entry.match:
            field = self._by_number.get(match.field_id)
            if field is None:
                known = ", ".join(f"{f.id} ({f.name})" for f in self._table.match)
                raise EntryError(
                    f"table {self._table.name} has no match field {match.field_id}; known are {known}"
                )
            if match.field_id in given:
                raise EntryError(f"{self._what(field)} is given twice; give it once")
            _check_kind(self._table, match, field.kind)
            given[match.field_id] = match
        return self._packed(
            [self._bits(field, given.get(field.id)) for field in self._table.match], entry.priority
        )

    def fill(self, key: bytes, entry: p4r.TableEntry) -> None:
        """See ``KeyCodec.fill``."""
        for field, value, mask in self._fields(key):
            if field.kind is MatchKind.EXACT:
                entry.match.add(field_id=field.id).exact.value = value
            elif mask != b"\0" and field.kind is MatchKind.TERNARY:
                ternary = entry.match.add(field_id=field.id).ternary
                ternary.value, ternary.mask = value, mask
            elif mask != b"\0":
                lpm = entry.match.add(field_id=field.id).lpm
                lpm.value, lpm.prefix_len = value, _ones(mask)
        entry.priority = self.priority(key)

    def pack_named(self, match: Mapping[str, int | Matched], priority: int) -> bytes:
        """See ``KeyCodec.pack_named``."""
        numbers = {field.name: field for field in self._table.match}
        if unknown := match.keys() - numbers.keys():
            raise EntryError(f"there is no field {min(unknown)}; known are {', '.join(numbers)}")
        entry = p4r.TableEntry(priority=priority)
        for name, value in match.items():
            _set(entry, numbers[name], value)
        return self.pack(entry)

    def named(self, key: bytes) -> dict[str, Matched]:
        """See ``KeyCodec.named``."""
        named: dict[str, Matched] = {}
        for field, value, mask in self._fields(key):
            if field.kind is MatchKind.EXACT:
                named[field.name] = value
            elif mask != b"\0":
                is_prefix = field.kind is MatchKind.LPM
                named[field.name] = Prefix(value, _ones(mask)) if is_prefix else Masked(value, mask)
        return named

    def priority(self, key: bytes) -> int:
        """See ``KeyCodec.priority``."""
        priority: int = PRIORITY.unpack_from(key, 2 * self._size)[0]
        return priority if self._table.has_priority else 0

    def is_of_match(self, key: bytes, wanted: bytes) -> bool:
        """See ``KeyCodec.is_of_match``."""
        return key.startswith(wanted[: 2 * self._size])

    def _packed(self, bits: list[tuple[int, int]], priority: int) -> bytes:
        """The key of value and mask of each field."""
        numbers = [field.id for field in self._table.match]
        value, mask = (
            self._values.pack([(n, canonical(part)) for n, part in zip(numbers, parts, strict=True)])
            for parts in zip(*bits, strict=True)
        )
        if not self._table.has_priority:
            lpm = [field.kind is MatchKind.LPM for field in self._table.match].index(True)
            priority = bits[lpm][1].bit_count()
        return value + mask + PRIORITY.pack(priority)

    def _bits(self, field: MatchField, match: p4r.FieldMatch | None) -> tuple[int, int]:
        """Value and mask of a field; of one that is left out, zeros."""
        what, width = self._what(field), field.width
        if match is None:
            if field.kind is MatchKind.EXACT:
                raise EntryError(f"table {self._table.name} lacks the match field {field.name}; give a value")
            return 0, 0
        if field.kind is MatchKind.EXACT:
            return check_value(what, width, match.exact.value), (1 << width) - 1
        if field.kind is MatchKind.LPM:
            length = match.lpm.prefix_len
            if not 0 < length <= width:
                raise EntryError(
                    f"{what} has a prefix of {length} bits; give 1 to {width}, or leave the field out to "
                    "match all"
                )
            value, mask = check_value(what, width, match.lpm.value), (1 << width) - (1 << width - length)
        else:
            value = check_value(what, width, match.ternary.value)
            mask = check_value(f"{what}, its mask,", width, match.ternary.mask)
            if not mask:
                raise EntryError(f"{what} has a mask of zeros; leave the field out to match all")
        if value & ~mask:
            raise EntryError(f"{what} has ones where its mask {mask:#x} has zeros; make them zeros")
        return value, mask

    def _fields(self, key: bytes) -> Iterator[tuple[MatchField, bytes, bytes]]:
        values = self._values.unpack(key[: self._size])
        masks = self._values.unpack(key[self._size : 2 * self._size])
        for field, (_, value), (_, mask) in zip(self._table.match, values, masks, strict=True):
            yield field, value, mask

    def _what(self, field: MatchField) -> str:
        return f"table {self._table.name}: the match field {field.name}"


def _set(entry: p4r.TableEntry, field: MatchField, value: int | Matched) -> None:
    """Adds a field that was given by name; one that matches everything is left out."""
    match value:
        case Masked():
            if any(value.mask):
                entry.match.add(field_id=field.id).ternary.CopyFrom(p4r.FieldMatch.Ternary(**value._asdict()))
        case Prefix():
            if value.length:
                lpm = p4r.FieldMatch.LPM(value=value.value, prefix_len=value.length)
                entry.match.add(field_id=field.id).lpm.CopyFrom(lpm)
        case _:
            octets = canonical(value) if isinstance(value, int) else value
            entry.match.add(field_id=field.id).exact.value = octets


def _check_priority(table: Table, priority: int) -> None:
    if table.has_priority:
        if priority <= 0:
            raise EntryError(
                f"table {table.name} has ternary match fields, so an entry needs a priority above 0, not "
                f"{priority}; the highest one wins"
            )
    elif priority:
        which = "only exact match fields" if table.is_exact else "no ternary match field"
        raise EntryError(
            f"table {table.name} has {which}, so an entry cannot have the priority {priority}; leave it 0"
        )


def _check_kind(table: Table, match: p4r.FieldMatch, kind: MatchKind | None) -> None:
    """Whether a match field is given as what it is."""
    if kind is not None and not match.HasField(_KINDS[kind]):  # type: ignore[arg-type]
        found = match.WhichOneof("field_match_type") or "no value"
        raise EntryError(
            f"table {table.name}: the match field {match.field_id} is {_KINDS[kind]} but has {found}; "
            f"give it as {_KINDS[kind]}"
        )


def _ones(mask: bytes) -> int:
    return int.from_bytes(mask, "big").bit_count()
