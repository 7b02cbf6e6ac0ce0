# SPDX-License-Identifier: Apache-2.0
"""A typed index over a P4Info message: tables, actions and counters by number and by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from finsy.proto import p4i, p4t
from google.protobuf import text_format

from dataplane.contract.errors import ContractError

PACKET_IN: Final = "packet_in"
PACKET_OUT: Final = "packet_out"

SWITCH_ONLY: Final = "@switch_only"
"""Annotation of a table that a host has no use for: it asks its kernel instead."""


@dataclass(frozen=True, slots=True)
class Value:
    """A match field, an action parameter or a packet metadata field: number, name, width in bits."""

    id: int
    name: str
    width: int


class MatchKind(Enum):
    """How a match field is compared."""

    EXACT = p4i.MatchField.EXACT
    TERNARY = p4i.MatchField.TERNARY
    LPM = p4i.MatchField.LPM


@dataclass(frozen=True, slots=True)
class MatchField(Value):
    """A match field; ``kind`` is ``None`` if it is compared as no table in memory can."""

    kind: MatchKind | None


@dataclass(frozen=True, slots=True)
class Action:
    """An action and its parameters in the order of the P4 program."""

    id: int
    name: str
    params: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    ``actions`` are those that an entry may have, ``default_only`` those that only the default entry may have.
    ``const_default`` is 0 when the default entry may be changed. ``counter`` is the direct counter's number
    or 0.
    """

    id: int
    name: str
    match: tuple[MatchField, ...]
    actions: Mapping[int, Action]
    default_only: Mapping[int, Action]
    const_default: int
    initial_default: int
    counter: int
    size: int
    idle_timeout: bool

    @property
    def is_exact(self) -> bool:
        """Whether all match fields are exact."""
        return all(field.kind is MatchKind.EXACT for field in self.match)

    @property
    def has_priority(self) -> bool:
        """Whether an entry says its priority: it does where two may match one packet, unless the longer
        prefix decides."""
        return any(field.kind is MatchKind.TERNARY for field in self.match)


@dataclass(frozen=True, slots=True)
class Counter:
    """An indirect counter of ``size`` cells."""

    id: int
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest: a struct of bit strings, numbered from 1."""

    id: int
    name: str
    members: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class P4Info:
    """A P4Info message with its objects by number; ``message`` is the message itself.

    ``switch_only`` are the tables that only a switch has, ``tables`` are the others.
    """

    message: p4i.P4Info
    tables: Mapping[int, Table]
    switch_only: Mapping[int, Table]
    actions: Mapping[int, Action]
    counters: Mapping[int, Counter]
    digests: Mapping[int, Digest]
    packet_in: tuple[Value, ...]
    packet_out: tuple[Value, ...]

    @property
    def every_table(self) -> Mapping[int, Table]:
        """All tables, those of switches too."""
        return {**self.tables, **self.switch_only}

    def table(self, name: str) -> Table:
        """The table with this alias, of a switch only or not.

        Raises:
            ContractError: there is none.
        """
        tables = self.every_table.values()
        for table in tables:
            if table.name == name:
                return table
        raise ContractError(f"the P4 program has no table {name}; it has {_names(tables)}")

    def action(self, name: str) -> Action:
        """The action with this alias.

        Raises:
            ContractError: there is none.
        """
        for action in self.actions.values():
            if action.name == name:
                return action
        raise ContractError(f"the P4 program has no action {name}; it has {_names(self.actions.values())}")


def load_p4info(path: Path, sizes: Mapping[str, int] | None = None) -> P4Info:
    """Reads a P4Info in text form; ``sizes`` gives tables (by alias) another size than the P4 program does.

    Raises:
        ContractError: the file cannot be read or parsed, or it wants what no table in memory can do.
    """
    message = p4i.P4Info()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), message)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ContractError(
            f"the P4Info {path} cannot be read ({error}); give a P4Info in text form"
        ) from error
    wanted = dict(sizes or {})
    for table in message.tables:
        table.size = wanted.pop(table.preamble.alias, table.size)
    if wanted:
        raise ContractError(
            f"sizes are given for {', '.join(sorted(wanted))}, which the P4 program does not have"
        )
    return index_p4info(message)


def index_p4info(message: p4i.P4Info) -> P4Info:
    """Indexes a P4Info message.

    Raises:
        ContractError: a table that is not for switches only has match kinds that no table in memory can have,
            or an implementation; a table has unknown actions; a digest is something else than a struct of bit
            strings.
    """
    actions = {a.preamble.id: _action(a) for a in message.actions}
    counters = {c.direct_table_id: c.preamble.id for c in message.direct_counters}
    metadata = {c.preamble.name: _values(c.metadata) for c in message.controller_packet_metadata}
    tables = {t.preamble.id: _table(t, actions, counters.get(t.preamble.id, 0)) for t in message.tables}
    switch_only = {t.preamble.id for t in message.tables if SWITCH_ONLY in t.preamble.annotations}
    return P4Info(
        message=message,
        tables={number: table for number, table in tables.items() if number not in switch_only},
        switch_only={number: tables[number] for number in switch_only},
        actions=actions,
        counters={c.preamble.id: Counter(c.preamble.id, c.preamble.alias, c.size) for c in message.counters},
        digests={d.preamble.id: _digest(d, message.type_info) for d in message.digests},
        packet_in=metadata.get(PACKET_IN, ()),
        packet_out=metadata.get(PACKET_OUT, ()),
    )


def _table(table: p4i.Table, actions: Mapping[int, Action], counter: int) -> Table:
    name = table.preamble.alias
    if SWITCH_ONLY not in table.preamble.annotations:
        _check_in_memory(table)
    unknown = [ref.id for ref in table.action_refs if ref.id not in actions]
    if unknown:
        raise ContractError(
            f"table {name} refers to the action {unknown[0]:#x}, which the P4Info does not describe"
        )
    only = p4i.ActionRef.DEFAULT_ONLY
    return Table(
        id=table.preamble.id,
        name=name,
        match=tuple(map(_match_field, table.match_fields)),
        actions={r.id: actions[r.id] for r in table.action_refs if r.scope != only},
        default_only={r.id: actions[r.id] for r in table.action_refs if r.scope == only},
        const_default=table.const_default_action_id,
        initial_default=table.initial_default_action.action_id or table.const_default_action_id,
        counter=counter,
        size=table.size,
        idle_timeout=table.idle_timeout_behavior == p4i.Table.NOTIFY_CONTROL,
    )


def _check_in_memory(table: p4i.Table) -> None:
    name = table.preamble.alias
    kinds = [_match_field(field).kind for field in table.match_fields]
    for field, kind in zip(table.match_fields, kinds, strict=True):
        if kind is None:
            raise ContractError(
                f"table {name}: the match field {field.name} is neither exact nor ternary nor LPM, which no "
                "table in memory can match"
            )
    if kinds.count(MatchKind.LPM) > 1:
        raise ContractError(
            f"table {name} has more than one LPM field, of which neither decides; give it one"
        )
    if table.implementation_id:
        raise ContractError(f"table {name} has an action profile, which no table in memory can have")


def _match_field(field: p4i.MatchField) -> MatchField:
    kinds = {kind.value: kind for kind in MatchKind}
    return MatchField(field.id, field.name, field.bitwidth, kinds.get(field.match_type))


def _action(action: p4i.Action) -> Action:
    return Action(action.preamble.id, action.preamble.alias, _values(action.params))


def _digest(digest: p4i.Digest, types: p4t.P4TypeInfo) -> Digest:
    name = digest.preamble.alias
    struct = types.structs.get(digest.type_spec.struct.name)
    if struct is None or not all(m.type_spec.bitstring.HasField("bit") for m in struct.members):
        raise ContractError(f"the digest {name} is not a struct of bit strings, as the data plane tells them")
    widths = [(m.name, m.type_spec.bitstring.bit.bitwidth) for m in struct.members]
    return Digest(digest.preamble.id, name, tuple(Value(n, *m) for n, m in enumerate(widths, 1)))


def _values(
    described: Iterable[p4i.Action.Param | p4i.ControllerPacketMetadata.Metadata],
) -> tuple[Value, ...]:
    return tuple(Value(value.id, value.name, value.bitwidth) for value in described)


def _names(objects: Iterable[Table | Action]) -> str:
    return ", ".join(sorted(o.name for o in objects))
