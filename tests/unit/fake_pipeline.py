# SPDX-License-Identifier: Apache-2.0
"""A data plane in bytearrays: the shapes of the tables, written down by hand as BCC describes them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from mmap import mmap
from pathlib import Path
from typing import Any

from finsy.proto import p4r

from dataplane.bpf.table_map import TableMap, TableMemory, open_table
from dataplane.contract.binding import Binding, BoundTable
from dataplane.contract.layout import HITS_OCTETS, MASKS, ORDERS, WAYS, TableShape, shape_from_json
from dataplane.contract.p4info import P4Info, load_p4info

P4INFO = Path(__file__).parents[2] / "p4" / "moorline.p4info.txtpb"

U8, U16, U32, U64 = "unsigned char", "unsigned short", "unsigned int", "unsigned long long"
HITS_ROWS = 3  # the agent's and those of two CPUs


def struct(name: str, *fields: list[Any]) -> list[Any]:
    return [name, [*fields], "struct"]


def union(**actions: list[list[Any]]) -> list[Any]:
    return ["data", ["", [[action, struct("", *fields)] for action, fields in actions.items()], "union"]]


def entry(table: str, *fields: list[Any]) -> list[Any]:
    return struct(f"{table}_entry", *fields)


LEAVES: dict[str, tuple[str, int, list[Any]]] = {
    "port_role": (
        "slot",
        16,
        entry(
            "port_role",
            ["ingress_port", U16],
            ["pad0", U16],
            ["action", U32],
            union(
                access=[["tenant", U32], ["hops", U8], ["pad", U8, [3]]],
                edge=[["tenant", U32], ["hops", U8], ["pad", U8, [3]]],
                peer=[["tenant", U32], ["header", U8], ["by_mac", U8], ["pad", U8, [2]]],
            ),
        ),
    ),
    "terminate": (
        "assoc",
        32,
        entry(
            "terminate",
            ["outer_dst", U8, [16]],
            ["tunnel", U8],
            ["pad0", U8, [7]],
            ["action", U32],
            ["pad1", U32],
        ),
    ),
    "scid": (
        "slot",
        64,
        entry(
            "scid",
            ["scid", U64],
            ["action", U32],
            union(
                deliver=[
                    ["port", U16],
                    ["node", U16],
                    ["tenant", U32],
                    ["local4", U8, [4]],
                    ["peer4", U8, [4]],
                    ["local6", U8, [16]],
                    ["peer6", U8, [16]],
                    ["hops", U8],
                    ["pad", U8, [3]],
                ],
                relay=[
                    ["tenant", U32],
                    ["node0", U16],
                    ["node1", U16],
                    ["scid0", U8, [8]],
                    ["scid1", U8, [8]],
                ],
            ),
        ),
    ),
    "connection": (
        "assoc",
        64,
        entry(
            "connection",
            ["tenant", U32],
            ["src", U8, [16]],
            ["dst", U8, [16]],
            ["pad0", U8, [4]],
            ["action", U32],
            union(
                encapsulate=[
                    ["scid", U8, [8]],
                    ["spi", U32],
                    ["node", U16],
                    ["mtu", U16],
                    ["si", U8],
                    ["pad", U8, [3]],
                ],
                local=[["port", U16], ["pad", U8, [2]]],
            ),
        ),
    ),
    "locator": (
        "slot",
        80,
        entry(
            "locator",
            ["node", U16],
            ["pad0", U16],
            ["action", U32],
            union(
                set_paths=[
                    ["dst0", U8, [16]],
                    ["dst1", U8, [16]],
                    ["previous0", U8, [16]],
                    ["previous1", U8, [16]],
                    ["port0", U16],
                    ["port1", U16],
                    ["pad", U32],
                ]
            ),
        ),
    ),
    "uplink": (
        "slot",
        32,
        entry(
            "uplink",
            ["port", U16],
            ["pad0", U16],
            ["action", U32],
            union(set_source=[["src6", U8, [16]], ["src4", U8, [4]], ["vlan", U16], ["mtu", U16]]),
        ),
    ),
    "origin": (
        "assoc",
        24,
        entry(
            "origin",
            ["source", U8, [16]],
            ["action", U32],
            union(from_node=[["node", U16], ["pad", U16]]),
        ),
    ),
    "shortcut": (
        "assoc",
        64,
        entry(
            "shortcut",
            ["tenant", U32],
            ["protocol", U8],
            ["pad0", U8, [3]],
            ["src", U8, [16]],
            ["dst", U8, [16]],
            ["src_port", U16],
            ["dst_port", U16],
            ["pad1", U32],
            ["action", U32],
            union(jump=[["spi", U32], ["mtu", U16], ["si", U8], ["pad", U8]]),
        ),
    ),
    "device": (
        "assoc",
        64,
        entry(
            "device",
            ["source", U8, [16]],
            ["key", U32],
            ["tunnel", U8],
            ["pad0", U8, [3]],
            ["action", U32],
            union(admit=[["tenant", U32], ["address", U8, [16]], ["mask", U8, [16]]]),
        ),
    ),
    "path_hop": (
        "assoc",
        68,
        entry(
            "path_hop",
            ["spi", U32],
            ["instance", U16],
            ["si", U8],
            ["pad0", U8],
            ["action", U32],
            union(
                to_peer=[
                    ["port", U16],
                    ["header", U8],
                    ["pad", U8],
                    ["dst_mac", U8, [6]],
                    ["src_mac", U8, [6]],
                    ["label", U32],
                    ["label2", U32],
                    ["local", U8, [16]],
                    ["remote", U8, [16]],
                ],
                to_node=[["node", U16], ["pad", U16]],
                to_group=[["group", U16], ["by_destination", U8], ["pad", U8]],
            ),
        ),
    ),
    "affinity": (
        "assoc",
        32,
        entry(
            "affinity",
            ["customer", U8, [16]],
            ["group", U16],
            ["pad0", U8, [6]],
            ["action", U32],
            union(pin=[["instance", U16], ["pad", U16]]),
        ),
    ),
    "member": (
        "slot",
        12,
        entry(
            "member",
            ["slot", U32],
            ["action", U32],
            union(choose=[["instance", U16], ["pad", U16]]),
        ),
    ),
    "resume": (
        "assoc",
        28,
        entry(
            "resume",
            ["ingress_port", U16],
            ["header", U8],
            ["pad0", U8],
            ["label", U32],
            ["src_mac", U8, [6]],
            ["pad1", U8, [2]],
            ["action", U32],
            union(
                resume_path=[["spi", U32], ["si", U8], ["check", U8], ["pad", U8, [2]]],
                resume_class=[["mtu", U16], ["si", U8], ["pad", U8]],
            ),
        ),
    ),
    "classifier": (
        "ternary",
        76,
        entry(
            "classifier",
            [
                "key",
                struct(
                    "classifier_key",
                    ["src", U8, [16]],
                    ["dst", U8, [16]],
                    ["tenant", U32],
                    ["ingress_port", U16],
                    ["vlan", U16],
                    ["src_mac", U8, [6]],
                    ["src_port", U16],
                    ["dst_port", U16],
                    ["protocol", U8],
                    ["pad", U8, [5]],
                ),
            ],
            ["tuple", U32],
            ["priority", U32],
            ["action", U32],
            union(set_path=[["spi", U32], ["mtu", U16], ["si", U8], ["pad", U8]]),
        ),
    ),
    "route": (
        "ternary",
        60,
        entry(
            "route",
            ["key", struct("route_key", ["destination", U8, [16]], ["tenant", U32], ["pad", U32])],
            ["tuple", U32],
            ["priority", U32],
            ["action", U32],
            union(
                route_port=[["port", U16], ["vlan", U16]],
                route_node=[["node", U16], ["pad", U8, [2]]],
                route_tunnel=[
                    ["remote", U8, [16]],
                    ["key", U32],
                    ["port", U16],
                    ["tunnel", U8],
                    ["pad", U8],
                ],
            ),
        ),
    ),
}


def buckets_for(capacity: int) -> int:
    """A power of two that loads the index by half at most."""
    return 1 << max(1, (capacity * 2 // WAYS - 1).bit_length())


def orders_of(shape: TableShape) -> tuple[bytearray, bytearray]:
    """Memory for the masks of a ternary table, and for their order."""
    return bytearray(MASKS * shape.key_size), bytearray(ORDERS * MASKS * 8)


def shapes(sizes: dict[str, int]) -> dict[str, TableShape]:
    return {
        name: shape_from_json(
            name,
            {
                "layout": layout,
                "capacity": sizes[name],
                "buckets": buckets_for(sizes[name]) if layout != "slot" else 0,
                "hits_rows": HITS_ROWS,
                "value_size": value_size,
                "leaf_desc": leaf,
            },
        )
        for name, (layout, value_size, leaf) in LEAVES.items()
    }


def exact_key(bound: BoundTable, items: Iterable[tuple[int, bytes]]) -> bytes:
    """The packed key of exact fields by number."""
    entry = p4r.TableEntry()
    for number, value in items:
        entry.match.add(field_id=number).exact.value = value
    return bound.keys.pack(entry)


@cache
def _p4info(sizes: tuple[tuple[str, int], ...]) -> P4Info:
    """The contract, which nobody changes; reading it takes longer than most tests."""
    return load_p4info(P4INFO, dict(sizes))


def _zeros(octets: int) -> memoryview:
    """Memory as the kernel gives it to a map: a page of it begins when it is used."""
    return memoryview(mmap(-1, octets)) if octets else memoryview(bytearray())


class FakePipeline:
    """Binding and tables of the project's own contract, in memory of this process."""

    def __init__(self, sizes: dict[str, int] | None = None) -> None:
        p4info = _p4info(tuple((sizes or {}).items()))
        self.shapes = shapes({t.name: t.size for t in p4info.tables.values()})
        self.binding = Binding(p4info, self.shapes)
        self.memory = {n: _zeros(s.elements * s.stride) for n, s in self.shapes.items()}
        self.hits = {n: _zeros(s.elements * s.hits_rows * HITS_OCTETS) for n, s in self.shapes.items()}
        self.index = {n: _zeros(s.buckets * WAYS * 8) for n, s in self.shapes.items()}
        self.orders = {n: orders_of(s) for n, s in self.shapes.items()}
        self.tables: dict[str, TableMap] = {}
        self.reopen()

    def reopen(self) -> None:
        """Opens the tables as a restarted agent does."""
        self.tables = {
            n: open_table(s, TableMemory(self.memory[n], self.hits[n], self.index[n], *self.orders[n]))
            for n, s in self.shapes.items()
        }
