# SPDX-License-Identifier: Apache-2.0
"""Entries of every table, as p4runtime-shell makes them, and what a node answers to a write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import p4runtime_sh.shell as sh
from google.rpc import code_pb2, status_pb2
from p4.v1 import p4runtime_pb2 as p4r
from p4runtime_sh.p4runtime import P4RuntimeException, P4RuntimeWriteException

SCID = "0xfeed000000000fff"
IDLE_NS = 40_000_000
WAIT = 5.0
"""Seconds for what must come, in any case."""

HERE, THERE = "2001:db8::1", "2001:db8::2"

Named = dict[str, str]
ROWS: dict[str, tuple[Named, tuple[str, Named], tuple[str, Named]]] = {
    "port_role": (
        {"ingress_port": "300"},
        ("access", {"tenant": "7", "hops": "1"}),
        ("access", {"tenant": "8", "hops": "2"}),
    ),
    "terminate": ({"outer_dst": HERE, "tunnel": "1"}, ("open", {}), ("open", {})),
    "scid": tuple(
        [{"scid": SCID}]
        + [
            (
                "deliver",
                {
                    **{"port": port, "tenant": "7", "node": "9", "local4": "198.18.0.9"},
                    **{"peer4": "198.18.0.8", "local6": HERE, "peer6": THERE, "hops": "0"},
                },
            )
            for port in ("10", "11")
        ]
    ),
    "connection": (
        {"tenant": "7", "src": HERE, "dst": THERE},
        ("encapsulate", {"scid": SCID, "node": "9", "spi": "0", "si": "0", "mtu": "1428"}),
        ("reject", {}),
    ),
    "locator": tuple(
        [{"node": "4000"}]
        + [
            (
                "set_paths",
                {
                    **{"port0": "1", "dst0": HERE, "port1": "1", "dst1": there},
                    **{"previous0": "0", "previous1": "0"},
                },
            )
            for there in (HERE, THERE)
        ]
    ),
    "uplink": tuple(
        [{"port": "40"}]
        + [
            ("set_source", {"src4": "192.0.2.1", "src6": HERE, "vlan": "0", "mtu": mtu})
            for mtu in ("1500", "9000")
        ]
    ),
    "classifier": (
        {"tenant": "7&&&0xff", "dst": "2001:db8::&&&ffff:ffff::", "dst_port": "80&&&0xffff"},
        ("set_path", {"spi": "9", "si": "255", "mtu": "1400"}),
        ("deny", {}),
    ),
    "route": (
        {"tenant": "7", "destination": "2001:db8::/32"},
        ("route_node", {"node": "9"}),
        ("route_port", {"port": "4", "vlan": "0"}),
    ),
}
"""For each table a key, an entry to insert, and what to modify it to."""

PRIORITIES = {"classifier": 5}
"""Of the tables whose entries have one."""


def typed(table: str, match: Named, action: str | None = None, params: Named | None = None) -> Any:
    entry = sh.TableEntry(table)(action=action) if action else sh.TableEntry(table)
    for name, value in match.items():
        entry.match[name] = value
    entry.priority = PRIORITIES.get(table, 0)
    for name, value in (params or {}).items():
        entry.action[name] = value
    return entry


def seen(table: str, match: Named) -> list[Any]:
    """Action and parameters of the entry with this key, as the node tells them."""
    found = []
    for entry in typed(table, match).read():
        action = entry.action.msg()
        found.append([action.action_id, [param.value.hex() for param in action.params]])
    return found


def key(entry: p4r.TableEntry) -> dict[int, int]:
    values = {f.field_id: getattr(f, f.WhichOneof("field_match_type")).value for f in entry.match}
    return {number: int.from_bytes(value, "big") for number, value in values.items()}


def wanted(entry: p4r.TableEntry) -> list[Any]:
    """The same of an entry as it is sent, where the shell pads its values: what should be read."""
    action = entry.action.action
    return [[action.action_id, [(param.value.lstrip(b"\0") or b"\0").hex() for param in action.params]]]


def message(table: str, row: int = 1) -> p4r.TableEntry:
    """A good entry of a table, to be spoiled."""
    match, *actions = ROWS[table]
    entry = p4r.TableEntry()
    entry.CopyFrom(typed(table, match, *actions[row - 1]).msg())
    return entry


def asking(entry: Any, field: str) -> Any:
    """The entry, to be read with a field that is told only when it is asked for: touching it does."""
    getattr(entry, field)
    return entry


def update(kind: int, entry: p4r.TableEntry) -> p4r.Update:
    return p4r.Update(type=kind, entity=p4r.Entity(table_entry=entry))


def code_of(act: Callable[[], Any]) -> str:
    """The canonical code that an attempt is answered with."""
    try:
        act()
    except P4RuntimeWriteException as error:
        return code_pb2.Code.Name(error.errors[0][1].canonical_code)
    except P4RuntimeException as error:
        return codes_in(error.grpc_error)[0]
    except grpc.RpcError as error:
        return codes_in(error)[0]
    return "OK"


def codes_in(error: grpc.RpcError) -> list[str]:
    """The codes of a batch's items, or the one that the whole call ended with."""
    told = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    if told is None:
        return [error.code().name]
    codes = []
    for detail in status_pb2.Status.FromString(told).details:
        one = p4r.Error()
        detail.Unpack(one)
        codes.append(code_pb2.Code.Name(one.canonical_code))
    return codes


def write(kind: int, entry: p4r.TableEntry) -> str:
    return code_of(lambda: sh.client.write_update(update(kind, entry)))
