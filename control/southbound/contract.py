# SPDX-License-Identifier: Apache-2.0
"""Table entries by the P4Info: rows in Python, P4Runtime messages on the wire.

Messages are made from a template for each pair of table and action, copied and filled in: three times as
fast as building them field by field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from finsy.proto import p4i, p4r
from google.protobuf import text_format

from control.errors import StartError
from moorline.matches import Masked, Prefix

__all__ = [
    "DELETE",
    "INSERT",
    "MODIFY",
    "Action",
    "Contract",
    "Masked",
    "Prefix",
    "Row",
    "RowKey",
    "Table",
    "canonical",
    "read_match",
    "read_row",
]

INSERT: Final[int] = p4r.Update.INSERT
MODIFY: Final[int] = p4r.Update.MODIFY
DELETE: Final[int] = p4r.Update.DELETE


class Row(NamedTuple):
    """A table entry: values are canonical byte strings in the order of the P4Info's ids.

    A :class:`Prefix` in the key stands there as two, value and length, or not at all when its length is 0; a
    :class:`Masked` as three behind all others, id of the field, value and mask, or not at all when its mask
    is 0: as in P4Runtime's messages (1.4, section 9.1.1).
    """

    table: int
    match: tuple[bytes, ...]
    action: int
    params: tuple[bytes, ...]
    idle_timeout_ns: int = 0
    priority: int = 0

    @property
    def key(self) -> RowKey:
        """What names the entry in its data plane."""
        return self.table, self.match, self.priority


RowKey = tuple[int, tuple[bytes, ...], int]
"""Table, match and priority."""


def canonical(value: int | bytes) -> bytes:
    """The shortest form of a value, as P4Runtime 1.4, section 8.4, wants it."""
    if isinstance(value, int):
        return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")
    return value.lstrip(b"\0") or b"\0"


@dataclass(frozen=True, slots=True)
class Action:
    """An action by its alias; ``params`` are names in the order of their ids 1, 2, ..."""

    id: int
    params: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table by its alias; ``fields`` are names in the order of their ids 1, 2, ...

    ``prefix_field`` is the number, from 0, of the field that is matched by its longest prefix; v1model allows
    one. ``ternary_fields`` are the numbers of those that are compared under a mask; an entry of a table that
    has any has a priority above 0, and the highest one wins. ``size`` is how many entries it is for.
    """

    id: int
    fields: tuple[str, ...]
    actions: Mapping[str, Action]
    prefix_field: int | None
    ternary_fields: frozenset[int]
    size: int


class Contract:
    """A P4Info, indexed by alias."""

    def __init__(self, p4info: p4i.P4Info) -> None:
        self.p4info = p4info
        actions = {
            action.preamble.id: (action.preamble.alias, Action(action.preamble.id, _names(action.params)))
            for action in p4info.actions
        }
        self.tables = {
            table.preamble.alias: Table(
                table.preamble.id,
                _names(table.match_fields),
                dict(actions[ref.id] for ref in table.action_refs),
                next(iter(_fields_of(table, p4i.MatchField.LPM)), None),
                _fields_of(table, p4i.MatchField.TERNARY),
                table.size,
            )
            for table in p4info.tables
        }
        self._tables_by_id = {table.id: table for table in self.tables.values()}
        self.counters = {counter.preamble.alias: counter.preamble.id for counter in p4info.counters}
        self._templates: dict[tuple[int, int, int], p4r.Update] = {}

    @classmethod
    def load(cls, path: Path) -> Contract:
        """Read a P4Info in text form; raises :class:`StartError`."""
        try:
            return cls(text_format.Parse(path.read_text(encoding="utf-8"), p4i.P4Info()))
        except OSError as error:
            raise StartError(
                f"contract {path} cannot be read ({error.strerror}): set controller.p4info"
            ) from error
        except (text_format.ParseError, UnicodeDecodeError) as error:
            raise StartError(f"contract {path} is no P4Info ({error}): set controller.p4info") from error

    def differs(self, other: p4i.P4Info) -> bool:
        """Whether a data plane with the P4Info ``other`` could misunderstand what is written for this one."""
        return _essence(self.p4info) != _essence(other)

    def row(
        self,
        table: str,
        match: Mapping[str, int | bytes | Prefix | Masked],
        action: str,
        params: Mapping[str, int | bytes],
        idle_timeout_ns: int = 0,
        priority: int = 0,
    ) -> Row:
        """A row by names; every parameter and exact field must be given; another field that is not matches
        everything."""
        shape = self.tables[table]
        chosen = shape.actions[action]
        return Row(
            shape.id,
            self.match(table, match),
            chosen.id,
            tuple(canonical(params[name]) for name in chosen.params),
            idle_timeout_ns,
            priority,
        )

    def match(self, table: str, match: Mapping[str, int | bytes | Prefix | Masked]) -> tuple[bytes, ...]:
        """The key of a row by names; see :meth:`row`."""
        shape = self.tables[table]
        wide = shape.ternary_fields | {shape.prefix_field}
        given = (
            (n, match[name]) for n, name in enumerate(shape.fields, 1) if n - 1 not in wide or name in match
        )
        return _parts(given)

    def fill(self, update: p4r.Update, kind: int, row: Row) -> None:
        """Make ``update``, which is empty, an update of ``kind`` for ``row``."""
        shape = (kind, row.table, 0 if kind == DELETE else row.action)
        template = self._templates.get(shape)
        if template is None:
            template = self._templates[shape] = _template(kind, row, self._tables_by_id[row.table])
        update.CopyFrom(template)
        entry = update.entity.table_entry
        table = self._tables_by_id[row.table]
        if table.ternary_fields:
            entry.priority = row.priority
            _fill_with_masks(entry, row.match, table)
        elif table.prefix_field is None:
            for field, value in zip(entry.match, row.match, strict=True):
                field.exact.value = value
        else:
            _fill_with_prefix(entry, row.match, table.prefix_field)
        if kind != DELETE:
            for param, value in zip(entry.action.action.params, row.params, strict=True):
                param.value = value
            if row.idle_timeout_ns:
                entry.idle_timeout_ns = row.idle_timeout_ns


def read_row(entry: p4r.TableEntry) -> Row:
    """The row in an entry that a data plane sent."""
    action = entry.action.action
    return Row(
        entry.table_id,
        read_match(entry),
        action.action_id,
        tuple(canonical(param.value) for param in sorted(action.params, key=lambda param: param.param_id)),
        entry.idle_timeout_ns,
        entry.priority,
    )


def read_match(entry: p4r.TableEntry) -> tuple[bytes, ...]:
    """The key in an entry that a data plane sent."""
    fields = sorted(entry.match, key=lambda field: field.field_id)
    return _parts((field.field_id, _matched(field)) for field in fields)


def _names(items: object) -> tuple[str, ...]:
    return tuple(item.name for item in sorted(items, key=lambda item: item.id))  # type: ignore[call-overload]


def _fields_of(table: p4i.Table, kind: int) -> frozenset[int]:
    """The numbers, from 0, of the fields that are matched so."""
    fields = sorted(table.match_fields, key=lambda field: field.id)
    return frozenset(number for number, field in enumerate(fields) if field.match_type == kind)


def _matched(field: p4r.FieldMatch) -> bytes | Prefix | Masked:
    if field.HasField("ternary"):
        return Masked(field.ternary.value, field.ternary.mask)
    if field.HasField("lpm"):
        return Prefix(field.lpm.value, field.lpm.prefix_len)
    return field.exact.value


def _parts(fields: Iterable[tuple[int, int | bytes | Prefix | Masked]]) -> tuple[bytes, ...]:
    """A row's key of ids and values, in the order of the ids."""
    last = sorted(fields, key=lambda field: isinstance(field[1], Masked))
    return tuple(part for number, value in last for part in _match_parts(number, value))


def _match_parts(number: int, value: int | bytes | Prefix | Masked) -> Iterable[bytes]:
    """What stands in a row's key for the field with this id."""
    match value:
        case Masked():
            return (canonical(number), *map(canonical, value)) if any(value.mask) else ()
        case Prefix():
            return (canonical(value.value), canonical(value.length)) if value.length else ()
        case _:
            return (canonical(value),)


def _fill_with_masks(entry: p4r.TableEntry, match: tuple[bytes, ...], table: Table) -> None:
    exact = [number for number in range(len(table.fields)) if number not in table.ternary_fields]
    for number, value in zip(exact, match, strict=False):
        entry.match.add(field_id=number + 1).exact.value = value
    masked = iter(match[len(exact) :])
    for field in masked:
        ternary = entry.match.add(field_id=int.from_bytes(field, "big")).ternary
        ternary.value, ternary.mask = next(masked), next(masked)


def _fill_with_prefix(entry: p4r.TableEntry, match: tuple[bytes, ...], at: int) -> None:
    values = iter(match)
    for number, field in enumerate(entry.match):
        if number != at:
            field.exact.value = next(values)
        elif len(match) > len(entry.match):
            field.lpm.value, field.lpm.prefix_len = next(values), next(values)[0]
    if len(match) < len(entry.match):
        del entry.match[at]


def _template(kind: int, row: Row, table: Table) -> p4r.Update:
    update = p4r.Update(type=kind)  # type: ignore[arg-type]
    entry = update.entity.table_entry
    entry.table_id = row.table
    for number in range(0 if table.ternary_fields else len(table.fields)):
        field = entry.match.add(field_id=number + 1)
        if number != table.prefix_field:
            field.exact.value = b""
    if kind != DELETE:
        entry.action.action.action_id = row.action
        for number in range(1, len(row.params) + 1):
            entry.action.action.params.add(param_id=number)
    return update


def _essence(p4info: p4i.P4Info) -> bytes:
    """What of a P4Info changes the meaning of a message; sizes and documentation do not."""
    essence = p4i.P4Info()
    essence.CopyFrom(p4info)
    essence.ClearField("pkg_info")
    for table in essence.tables:
        table.ClearField("size")
    for counter in essence.counters:
        counter.ClearField("size")
    for kind in ("tables", "actions", "counters", "direct_counters", "controller_packet_metadata"):
        getattr(essence, kind).sort(key=lambda item: item.preamble.id)
    return essence.SerializeToString(deterministic=True)
