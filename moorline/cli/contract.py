# SPDX-License-Identifier: Apache-2.0
"""Table entries as P4Runtime has them, decoded by the contract (P4Info) that the data plane itself serves."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Final

from finsy.proto import p4r, p4r_grpc

from moorline.cli.client import CALL_SECONDS
from moorline.cli.text import scid_text
from moorline.errors import MoorlineError
from moorline.wire import PORT_BITS

if TYPE_CHECKING:
    from grpc.aio import Channel

DEVICE_ID: Final = 1
"""An agent serves one data plane."""


class Contract:
    """The names behind the numbers of a P4Info message."""

    def __init__(self, p4info: Any) -> None:
        self._tables = {table.preamble.id: table for table in p4info.tables}
        self._actions = {action.preamble.id: action for action in p4info.actions}

    @property
    def tables(self) -> list[str]:
        """Names of all tables, in the order of the contract."""
        return [table.preamble.alias for table in self._tables.values()]

    def table_id(self, name: str) -> int:
        """The number of a table; an error that lists the names for an unknown one."""
        for number, table in self._tables.items():
            if table.preamble.alias == name:
                return int(number)
        raise MoorlineError(f"there is no table {name!r}: take one of {', '.join(self.tables)}")

    def row(self, entry: Any) -> dict[str, Any]:
        """A ``p4.v1.TableEntry`` with exact matches as a row."""
        table = self._tables[entry.table_id]
        action = entry.action.action
        fields = {field.id: field for field in table.match_fields}
        parameters = {param.id: param for param in self._actions[action.action_id].params}
        return {
            "table": table.preamble.alias,
            "match": _named(fields, ((match.field_id, match.exact.value) for match in entry.match)),
            "action": self._actions[action.action_id].preamble.alias,
            "params": _named(parameters, ((param.param_id, param.value) for param in action.params)),
            "packets": entry.counter_data.packet_count,
            "bytes": entry.counter_data.byte_count,
        }

    def ports(self, row: dict[str, Any], names: dict[int, str]) -> dict[str, Any]:
        """The same row for people: ports with the names of their interfaces."""
        table = next(table for table in self._tables.values() if table.preamble.alias == row["table"])
        action = next(action for action in self._actions.values() if action.preamble.alias == row["action"])
        are_ports = {
            field.name for field in (*table.match_fields, *action.params) if field.bitwidth == PORT_BITS
        }

        def named(values: dict[str, Any]) -> dict[str, Any]:
            return {
                name: f"{value} ({names[value]})" if name in are_ports and value in names else value
                for name, value in values.items()
            }

        return {**row, "match": named(row["match"]), "params": named(row["params"])}


def _named(known: dict[int, Any], values: Iterable[tuple[int, bytes]]) -> dict[str, Any]:
    return {known[number].name: value_of(value, known[number].bitwidth) for number, value in values}


def value_of(value: bytes, bits: int) -> int | str:
    """A canonical byte string as what its width means in the contract.

    128 bits are an address (IPv4 in mapped form), 64 an SCID, 32 an IPv4 address; all else are numbers.
    """
    number = int.from_bytes(value, "big")
    match bits:
        case 128:
            address = ipaddress.IPv6Address(number)
            return str(address.ipv4_mapped or address)
        case 64:
            return scid_text(number)
        case 32:
            return str(ipaddress.IPv4Address(number))
    return number


async def read_contract(channel: Channel) -> Contract:
    """Ask a data plane for its contract."""
    request = p4r.GetForwardingPipelineConfigRequest(
        device_id=DEVICE_ID, response_type=p4r.GetForwardingPipelineConfigRequest.P4INFO_AND_COOKIE
    )
    stub = p4r_grpc.P4RuntimeStub(channel)
    answer = await stub.GetForwardingPipelineConfig(request, timeout=CALL_SECONDS)
    return Contract(answer.config.p4info)


async def read_entries(
    channel: Channel, contract: Contract, table: str | None
) -> AsyncIterator[dict[str, Any]]:
    """All entries of one table, or of every table, with their counters, as rows."""
    wanted = p4r.TableEntry(table_id=contract.table_id(table) if table else 0, counter_data=p4r.CounterData())
    request = p4r.ReadRequest(device_id=DEVICE_ID, entities=[p4r.Entity(table_entry=wanted)])
    async for response in p4r_grpc.P4RuntimeStub(channel).Read(request, timeout=CALL_SECONDS):
        for entity in response.entities:
            yield contract.row(entity.table_entry)
