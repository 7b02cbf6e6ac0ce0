# SPDX-License-Identifier: Apache-2.0
"""Table entries as P4Runtime has them, decoded by the contract (P4Info) that the data plane itself serves."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from finsy.proto import p4r, p4r_grpc

from dataplane.contract.p4info import P4Info, Value, index_p4info
from moorline.addresses import MAPPED_BITS
from moorline.cli.client import CALL_SECONDS
from moorline.cli.text import scid_text
from moorline.errors import MoorlineError
from moorline.wire import PORT_BITS

if TYPE_CHECKING:
    from grpc.aio import Channel

AGENTS_DEVICE_ID: Final = 1
"""An agent serves one data plane."""

_ADDRESS_BITS: Final = 128
_LABEL_BITS: Final = 32


async def read_contract(channel: Channel, device_id: int) -> P4Info:
    """Ask a data plane for its contract."""
    request = p4r.GetForwardingPipelineConfigRequest(
        device_id=device_id,
        response_type=p4r.GetForwardingPipelineConfigRequest.ResponseType.P4INFO_AND_COOKIE,
    )
    stub = p4r_grpc.P4RuntimeStub(channel)
    answer = await stub.GetForwardingPipelineConfig(request, timeout=CALL_SECONDS)
    return index_p4info(answer.config.p4info)


async def read_entries(
    channel: Channel, device_id: int, contract: P4Info, table: str | None
) -> AsyncIterator[dict[str, Any]]:
    """All entries of one table, or of every table, with their counters, as rows."""
    wanted = p4r.TableEntry(table_id=_table_id(contract, table), counter_data=p4r.CounterData())
    request = p4r.ReadRequest(device_id=device_id, entities=[p4r.Entity(table_entry=wanted)])
    async for response in p4r_grpc.P4RuntimeStub(channel).Read(request, timeout=CALL_SECONDS):
        for entity in response.entities:
            yield entry_row(contract, entity.table_entry)


def _table_id(contract: P4Info, name: str | None) -> int:
    """The number of a table; 0, all of them, for no name."""
    if name is None:
        return 0
    for table in contract.every_table.values():
        if table.name == name:
            return table.id
    names = ", ".join(table.name for table in contract.every_table.values())
    raise MoorlineError(f"the data plane has no table {name!r}: take one of {names}")


def entry_row(contract: P4Info, entry: p4r.TableEntry) -> dict[str, Any]:
    """A table entry as a row of names and readable values."""
    table = contract.every_table[entry.table_id]
    action = contract.actions[entry.action.action.action_id]
    return {
        "table": table.name,
        "match": {
            field.name: _matched(match, field.width)
            for match in entry.match
            for field in table.match
            if field.id == match.field_id
        },
        "priority": entry.priority or None,
        "action": action.name,
        "params": _named(action.params, ((p.param_id, p.value) for p in entry.action.action.params)),
        "packets": entry.counter_data.packet_count,
        "bytes": entry.counter_data.byte_count,
    }


def _matched(match: p4r.FieldMatch, width: int) -> int | str:
    """What a field is compared with: a value, its leading bits, or hexadecimal numbers, ``value&mask``."""
    if match.HasField("ternary"):
        return _masked(match.ternary, width)
    if match.HasField("lpm"):
        return _prefix(match.lpm.value, match.lpm.prefix_len, width)
    return value_of(match.exact.value, width)


def _masked(match: p4r.FieldMatch.Ternary, width: int) -> int | str:
    mask = _number(match.mask)
    length = mask.bit_count()
    if length == width:
        return value_of(match.value, width)
    if mask == (1 << width) - (1 << width - length) and width == _ADDRESS_BITS:
        return _prefix(match.value, length, width)
    return f"{_number(match.value):#x}&{mask:#x}"


def _prefix(value: bytes, length: int, width: int) -> str:
    shown = value_of(value, width)
    mapped = width == _ADDRESS_BITS and "." in str(shown)
    return f"{shown}/{length - MAPPED_BITS if mapped and length >= MAPPED_BITS else length}"


def _named(described: Iterable[Value], values: Iterable[tuple[int, bytes]]) -> dict[str, Any]:
    by_id = {value.id: value for value in described}
    named = {by_id[number]: value for number, value in values}
    return {
        v.name: _number(octets) if _is_label(v) else value_of(octets, v.width) for v, octets in named.items()
    }


def _is_label(value: Value) -> bool:
    """Whether 32 bits are no IPv4 address: those have a 4 at the end of their names."""
    return value.width == _LABEL_BITS and not value.name.endswith("4")


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def value_of(value: bytes, width: int) -> int | str:
    """A canonical byte string as what its width in bits means in the contract.

    128 bits are an address (IPv4 in mapped form), 64 an SCID, 48 a link-layer address, 32 an IPv4 address;
    all else are numbers.
    """
    number = _number(value)
    match width:
        case 128:
            address = ipaddress.IPv6Address(number)
            return str(address.ipv4_mapped or address)
        case 64:
            return scid_text(number)
        case 48:
            return number.to_bytes(6).hex(":")
        case 32:
            return str(ipaddress.IPv4Address(number))
    return number


def with_interfaces(
    contract: P4Info, row: Mapping[str, Any], interfaces: Mapping[int, str]
) -> dict[str, Any]:
    """The same row for people: each port with the name of its interface."""
    table = contract.table(row["table"])
    values = (*table.match, *contract.action(row["action"]).params)
    ports = {value.name for value in values if value.width == PORT_BITS}

    def named(fields: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: f"{value} ({interfaces[value]})" if name in ports and value in interfaces else value
            for name, value in fields.items()
        }

    return {**row, "match": named(row["match"]), "params": named(row["params"])}
