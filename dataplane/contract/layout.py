# SPDX-License-Identifier: Apache-2.0
"""The shape of a table's elements in memory, computed from what BCC says of the C struct.

BCC describes a map's value as nested JSON lists. Its own ctypes classes mis-pad unions, so offsets are
computed here by the rules of the System V ABI (natural alignment, no bit-fields) and the result is checked
against the size that the compiler gave. Conventions for the struct stand in ``ebpf/``: key fields,
``action``, a union of parameters; names that begin with ``pad`` or ``__pad_`` hold nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from moorline.errors import MoorlineError

EXTRA_ELEMENTS: Final = 64
"""Elements of a table with an index beyond its capacity: element 0, never used, and spares for changes."""

HITS_OCTETS: Final = 16
"""A counter: packets and octets."""

WAYS: Final = 8
"""Ways in a bucket of an index, 8 octets each: one cache line."""

MASKS: Final = 64
"""Masks of a ternary table."""

ORDERS: Final = 256
"""Versions of the order in which a ternary table's masks are tried; the first is no order."""

MAX_TAIL: Final = 63
"""Largest padding at the end of an element, left by ``__attribute__((aligned(64)))``."""

_SCALARS: Final[Mapping[str, int]] = {
    "char": 1,
    "signed char": 1,
    "unsigned char": 1,
    "_Bool": 1,
    "short": 2,
    "unsigned short": 2,
    "int": 4,
    "unsigned int": 4,
    "long": 8,
    "unsigned long": 8,
    "long long": 8,
    "unsigned long long": 8,
}


class LayoutError(MoorlineError):
    """A C struct that does not follow the conventions, or that this module cannot compute."""


class Layout(Enum):
    """How a table's elements are found."""

    SLOT = "slot"
    ASSOC = "assoc"
    TERNARY = "ternary"

    @property
    def has_index(self) -> bool:
        """Whether the elements are found through buckets."""
        return self is not Layout.SLOT


@dataclass(frozen=True, slots=True)
class Field:
    """A key field or a parameter in C.

    ``octets``: an array of ``u8`` in network order; otherwise an integer in host order.
    """

    name: str
    offset: int
    size: int
    octets: bool


@dataclass(frozen=True, slots=True)
class TableShape:
    """Sizes and offsets, in octets, of one table in memory.

    The key fields are in the octets from 0 to ``key_size``, which ``action`` follows; in a ternary table,
    number of the mask and priority stand between. ``params`` holds, per action alias, fields with offsets
    relative to ``data``. ``capacity`` is the number of entries, ``elements`` the number of elements of the
    array. Hits are counted in ``hits_rows`` rows of a counter for each element: the first is the agent's, the
    others are the programs', and an entry's counter is their sum. Where ``rest_size`` is not 0, the rows
    begin each element, and the last ``rest_size`` octets of the parameters are in an array of their own.
    """

    name: str
    layout: Layout
    capacity: int
    buckets: int
    stride: int
    key: tuple[Field, ...]
    key_size: int
    action: int
    data: int
    data_size: int
    params: Mapping[str, tuple[Field, ...]]
    hits_rows: int
    rest_size: int = 0

    @property
    def head(self) -> int:
        """Octets of the counters that begin an element and are no part of its fields' offsets."""
        return self.hits_rows * HITS_OCTETS if self.rest_size else 0

    @property
    def elements(self) -> int:
        """Elements of the array."""
        return self.capacity + (EXTRA_ELEMENTS if self.layout.has_index else 0)


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    offset: int
    size: int
    align: int
    element_size: int
    members: tuple[_Member, ...] | None
    kind: str


def shape_from_json(name: str, table: Mapping[str, Any]) -> TableShape:
    """The shape of table ``name`` from its object in ``pipeline.json``.

    The object has ``layout``, ``capacity``, ``buckets`` (0 for slot), ``hits_rows``, ``value_size`` and BCC's
    ``leaf_desc``; and, if hits are counted inside, ``rest_desc``, the same of the map of the rest.

    Raises:
        LayoutError: the struct breaks a convention, or its size is not the compiler's.
    """
    layout = Layout(table["layout"])
    root = _record(name, "", table["leaf_desc"][1], table["leaf_desc"][2], 0)
    if not 0 <= table["value_size"] - root.size <= MAX_TAIL:
        raise LayoutError(
            f"table {name}: its C struct has {table['value_size']} octets where its fields need {root.size}; "
            "pad it explicitly with fields named pad"
        )
    rest = table.get("rest_desc")
    members = _flat(root.members or ())
    if rest is not None:
        members = _behind_hits(name, members, table["hits_rows"])
    shape = _shape(name, layout, table, members)
    if rest is not None:
        shape = _with_rest(shape, rest)
    _check_layout(shape)
    return shape


def _behind_hits(table: str, members: Sequence[_Member], rows: int) -> list[_Member]:
    """The members behind the counters that begin an element, by their offsets from there."""
    head = rows * HITS_OCTETS
    if [m.offset for m in members[:rows] if m.size == HITS_OCTETS] != list(range(0, head, HITS_OCTETS)):
        raise LayoutError(f"table {table}: its C struct must begin with {rows} structs of hits")
    return [_at(m, m.offset - head) for m in members[rows:]]


def _with_rest(shape: TableShape, described: Sequence[Any]) -> TableShape:
    """The shape with the parameters that are in the map of the rest, behind those of the elements."""
    rest = _record(shape.name, "", described[1], described[2], 0)
    unions = [m for m in rest.members or () if m.kind == "union"]
    if len(unions) != 1:
        raise LayoutError(f"table {shape.name}: the C struct of its rest must hold one union of parameters")
    params = {
        action: shape.params.get(action, ())
        + tuple(replace(f, offset=shape.data_size + f.offset) for f in fields)
        for action, fields in _params(shape.name, unions[0].members or ()).items()
    }
    return replace(
        shape,
        data_size=shape.data_size + rest.size,
        params={**shape.params, **params},
        rest_size=rest.size,
    )


def _shape(
    name: str,
    layout: Layout,
    table: Mapping[str, Any],
    members: Sequence[_Member],
) -> TableShape:
    by_name = {m.name: m for m in members}
    action = by_name.get("action")
    if action is None:
        raise LayoutError(f"table {name}: its C struct has no field action; add it")
    if action.size != 4:
        raise LayoutError(f"table {name}: the C field action must have 32 bits")
    key_size = action.offset if layout is not Layout.TERNARY else _bookkeeping(name, by_name)
    key = [m for m in members if m.offset < key_size and not _is_pad(m.name)]
    behind = [m for m in members if m.offset > action.offset and not _is_pad(m.name)]
    if len(behind) > 1 or any(m.kind != "union" for m in behind):
        raise LayoutError(f"table {name}: behind action may stand one union of parameters and nothing else")
    return TableShape(
        name=name,
        layout=layout,
        capacity=table["capacity"],
        buckets=table["buckets"],
        stride=_up(table["value_size"], 8),
        key=tuple(_field(name, m, 0) for m in key),
        key_size=key_size,
        action=action.offset,
        data=behind[0].offset if behind else action.offset + action.size,
        data_size=behind[0].size if behind else 0,
        params=_params(name, behind[0].members or ()) if behind else {},
        hits_rows=table["hits_rows"],
    )


def _bookkeeping(name: str, by_name: Mapping[str, _Member]) -> int:
    """Where the key of a ternary table ends: before the fields tuple and priority, then action."""
    action = by_name["action"].offset
    places = [by_name[field].offset if field in by_name else -1 for field in ("tuple", "priority")]
    if places != [action - 8, action - 4]:
        raise LayoutError(
            f"table {name}: the C struct of a ternary table needs u32 tuple, u32 priority, u32 action in "
            "a row behind its key"
        )
    return places[0]


def _flat(members: Sequence[_Member]) -> list[_Member]:
    """The members, those of a struct ``key`` in its place."""
    return [
        inner
        for member in members
        for inner in (
            (_at(m, member.offset + m.offset) for m in member.members)
            if member.name == "key" and member.members
            else (member,)
        )
    ]


def _params(table: str, members: Sequence[_Member]) -> dict[str, tuple[Field, ...]]:
    params: dict[str, tuple[Field, ...]] = {}
    for action in members:
        if _is_pad(action.name):
            continue
        if action.members is None:
            raise LayoutError(f"table {table}: the union member {action.name} must be a struct of parameters")
        fields = (m for m in action.members if not _is_pad(m.name))
        params[action.name] = tuple(_field(f"{table}, action {action.name}", m, 0) for m in fields)
    return params


def _check_layout(shape: TableShape) -> None:
    if not shape.key:
        raise LayoutError(f"table {shape.name}: its C struct has no key field before action")
    if shape.capacity < 1:
        raise LayoutError(f"table {shape.name}: a capacity of {shape.capacity} is too small; give at least 1")
    if shape.layout is Layout.SLOT and (shape.capacity & (shape.capacity - 1) or shape.key[0].octets):
        raise LayoutError(
            f"table {shape.name}: a slot table needs a power of two as its size (here {shape.capacity}) "
            f"and an integer as its first key field (here {shape.key[0].name})"
        )
    if shape.layout.has_index:
        if shape.key_size % 8:
            raise LayoutError(
                f"table {shape.name}: the key of a table with an index must fill whole words of 8 "
                f"octets, it has {shape.key_size}; add a field pad behind it"
            )
        if shape.buckets < 2 or shape.buckets & (shape.buckets - 1):
            raise LayoutError(
                f"table {shape.name}: its index has {shape.buckets} buckets; give a power of two, at least 2"
            )


def _field(where: str, member: _Member, base: int) -> Field:
    if member.members is not None or member.element_size not in (member.size, 1):
        raise LayoutError(f"table {where}: the C field {member.name} must be an integer or an array of u8")
    octets = member.kind == "array"
    return Field(member.name, base + member.offset, member.size, octets)


def _is_pad(name: str) -> bool:
    return name.startswith(("pad", "__pad_"))


def _up(value: int, align: int) -> int:
    return -(-value // align) * align


def _record(table: str, name: str, items: Sequence[Any], kind: str, offset: int) -> _Member:
    """A struct or union at ``offset``; the offsets of its members are relative to it."""
    end, align, members = 0, 1, []
    for item in items:
        if item[0].startswith("__pad_"):
            continue  # BCC's own idea of padding
        member = _item(table, item)
        at = 0 if kind == "union" else _up(end, member.align)
        members.append(_at(member, at))
        end = max(end, at + member.size)
        align = max(align, member.align)
    size = _up(end, align)
    return _Member(name, offset, size, align, size, tuple(members), "union" if kind == "union" else "struct")


def _item(table: str, item: Sequence[Any]) -> _Member:
    name, described = item[0], item[1]
    if isinstance(described, list):
        if len(item) == 3 and isinstance(item[2], str):  # anonymous: [name, members, kind]
            return _record(table, name, described, item[2], 0)
        if len(item) == 2:  # named: [name, [type, members, kind]]
            return _record(table, name, described[1], described[2], 0)
        raise LayoutError(
            f"table {table}: the C field {name} is an array of structs, which no table may hold"
        )
    size = _SCALARS.get(described)
    if size is None:
        raise LayoutError(
            f"table {table}: the C field {name} has the type {described}; use u8, u16, u32 or u64"
        )
    if len(item) == 2:
        return _Member(name, 0, size, size, size, None, "integer")
    if isinstance(item[2], int):
        raise LayoutError(f"table {table}: the C field {name} is a bit-field; use a whole integer")
    count = 1
    for dimension in item[2]:
        count *= dimension
    return _Member(name, 0, size * count, size, size, None, "array")


def _at(member: _Member, offset: int) -> _Member:
    return _Member(
        member.name, offset, member.size, member.align, member.element_size, member.members, member.kind
    )
