# SPDX-License-Identifier: Apache-2.0
"""Binds a P4Info to the C structs of a data plane, by reflection: no table has a name here.

Every table, action, parameter and width of the P4Info is checked against the shapes; what agrees is then
translated in both directions by one generic routine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from finsy.proto import p4r

from dataplane.bpf.table_map import RawEntry
from dataplane.contract.codec import StructCodec, check_fields
from dataplane.contract.errors import ContractMismatch, EntryError, NotAllowed
from dataplane.contract.keys import ExactKeys, KeyCodec, TernaryKeys
from dataplane.contract.layout import Layout, TableShape
from dataplane.contract.p4info import Action, P4Info, Table


class BoundTable:
    """A table of the P4Info with the encoders of its C struct; ``keys`` is that of its keys."""

    def __init__(self, table: Table, shape: TableShape, actions: Mapping[int, Action]) -> None:
        check_table(table, shape)
        self.table = table
        self.shape = shape
        where = f"table {table.name}"
        self._actions = actions
        ternary = shape.layout is Layout.TERNARY
        self.keys: KeyCodec = TernaryKeys(table, shape) if ternary else ExactKeys(table, shape)
        self._params = {
            action.id: StructCodec(
                f"{where}, action {action.name}",
                "parameter",
                action.params,
                shape.params.get(action.name, ()),
                shape.data_size,
            )
            for action in table.actions.values()
        }

    def encode_action(self, action_id: int, params: Sequence[tuple[int, bytes]]) -> bytes:
        """The packed parameters of an action.

        Raises:
            EntryError: the action is unknown to the table, or a parameter is unknown, missing, given twice or
            out
                of range.
            NotAllowed: the action may only be the table's default.
        """
        codec = self._params.get(action_id)
        if codec is None:
            raise self._bad_action(action_id)
        return codec.pack(params)

    def check_action(self, action_id: int) -> None:
        """Whether an entry of this table may have the action.

        Raises:
            EntryError, NotAllowed: see ``encode_action``.
        """
        if action_id not in self._params:
            raise self._bad_action(action_id)

    def decode(self, raw: RawEntry, entry: p4r.TableEntry) -> None:
        """Fills a P4Runtime entry from what lies in memory, without counters."""
        self.decode_key(raw.key, entry)
        action = entry.action.action
        action.action_id = raw.action
        for number, value in self._params[raw.action].unpack(raw.data):
            action.params.add(param_id=number, value=value)

    def decode_key(self, key: bytes, entry: p4r.TableEntry) -> None:
        """Fills table, match fields and priority of a P4Runtime entry."""
        entry.table_id = self.table.id
        self.keys.fill(key, entry)

    def named_params(self, action_id: int, data: bytes) -> dict[str, bytes]:
        """Names and canonical byte strings of an action's packed parameters."""
        names = {v.id: v.name for v in self.table.actions[action_id].params}
        return {names[number]: value for number, value in self._params[action_id].unpack(data)}

    def _bad_action(self, action_id: int) -> EntryError:
        if action_id in self.table.default_only:
            name = self.table.default_only[action_id].name
            return NotAllowed(
                f"table {self.table.name}: the action {name} may only be the default; choose another"
            )
        known = ", ".join(f"{a.id} ({a.name})" for a in self.table.actions.values())
        if action_id in self._actions:
            name = self._actions[action_id].name
            return EntryError(f"table {self.table.name} does not take the action {name}; it takes {known}")
        return EntryError(f"there is no action {action_id}; table {self.table.name} takes {known}")


class Binding:
    """All tables of a P4Info, bound to their shapes.

    Raises:
        ContractMismatch: a table is missing on either side, or its fields disagree.
    """

    def __init__(self, p4info: P4Info, shapes: Mapping[str, TableShape]) -> None:
        self.p4info = p4info
        names = {t.name for t in p4info.tables.values()}
        for name in shapes.keys() - names:
            raise ContractMismatch(name, "the table", "the P4 program has no such table")
        for name in names - shapes.keys():
            raise ContractMismatch(name, "the table", "the C sources have no such table")
        self.tables: Mapping[int, BoundTable] = {
            t.id: BoundTable(t, shapes[t.name], p4info.actions) for t in p4info.tables.values()
        }
        self.by_name: Mapping[str, BoundTable] = {b.table.name: b for b in self.tables.values()}


def check_table(table: Table, shape: TableShape) -> None:
    """Compares a table in P4 with its C struct.

    Raises:
        ContractMismatch: they disagree; table and field are named.
    """
    if shape.capacity != table.size:
        raise ContractMismatch(
            table.name, "its size", f"it is {table.size} entries in P4 and {shape.capacity} in C"
        )
    if table.is_exact == (shape.layout is Layout.TERNARY):
        raise ContractMismatch(
            table.name,
            "its layout",
            f"it is {shape.layout.value} in C, which is for "
            + ("other match fields than exact ones" if table.is_exact else "exact match fields only"),
        )
    check_fields(table.name, "match field", table.match, shape.key)
    actions = {a.name: a for a in table.actions.values()}
    for action in actions.values():
        fields = shape.params.get(action.name, ())
        check_fields(table.name, f"action {action.name}, parameter", action.params, fields)
    for name in shape.params.keys() - actions.keys():
        raise ContractMismatch(
            table.name, f"action {name}", "no entry of the table may have it in the P4 program"
        )
