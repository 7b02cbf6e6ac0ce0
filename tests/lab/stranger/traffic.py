# SPDX-License-Identifier: Apache-2.0
"""What packets move: counters, packet-ins and packet-outs, idle time-outs."""

from __future__ import annotations

import socket
import time
from typing import Any

import p4runtime_sh.shell as sh
from entries import IDLE_NS, ROWS, SCID, WAIT, Named, asking, message, typed
from p4runtime_sh.context import P4Type

EVENTS_PER_PORT = 64
DISCARD = 9


def direct_packets() -> dict[str, int]:
    return {
        table: sum(count.packet_count for count in sh.DirectCounterEntry(f"{table}_counter").read())
        for table in ROWS
    }


def event_packets(port: int, event: int) -> int:
    cell = sh.CounterEntry("port_events")
    cell.index = port * EVENTS_PER_PORT + event
    return next(iter(cell.read())).packet_count


def exchange(source: str, target: str, times: int) -> None:
    """Datagrams to a port where nobody listens, each answered by ICMP: so it went there and back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talker:
        talker.settimeout(WAIT)
        talker.bind((source, 0))
        talker.connect((target, DISCARD))
        for _ in range(times):
            talker.send(b"hello")
            try:
                talker.recv(1)
            except ConnectionRefusedError:
                continue


def counters(situation: dict[str, Any]) -> dict[str, Any]:
    """What an exchange of four datagrams moves."""
    cells = [(port, event) for port in situation["ports"] for event in situation["events"]]
    before, events = direct_packets(), [event_packets(*cell) for cell in cells]
    exchange(situation["source"], situation["target"], 4)
    moved = {table: count - before[table] for table, count in direct_packets().items()}
    counted = [event_packets(*cell) - was for cell, was in zip(cells, events, strict=True)]
    return {"direct": moved, "indirect": {f"{p} {e}": n for (p, e), n in zip(cells, counted, strict=True)}}


def packets(situation: dict[str, Any]) -> dict[str, Any]:
    """The first packet of a pair comes in; it goes out again once there is an entry for it."""
    arrivals = sh.PacketIn()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talker:
        talker.bind((situation["source"], 0))
        talker.sendto(b"is anybody there", (situation["nobody"], DISCARD))
    deadline = time.monotonic() + WAIT
    while True:
        packet = arrivals.packet_in_queue.get(timeout=max(0.0, deadline - time.monotonic())).packet
        if packet.payload.endswith(b"is anybody there"):
            break
    header = sh.P4Objects(P4Type.controller_packet_metadata)["packet_in"]
    names = {field.id: field.name for field in header.metadata}
    metadata = {names[m.metadata_id]: int.from_bytes(m.value, "big") for m in packet.metadata}
    match = {"tenant": "0", "src": mapped(situation["source"]), "dst": mapped(situation["nobody"])}
    node = neighbour(situation)
    params = {"scid": SCID, "node": node, "spi": "0", "si": "0", "mtu": "1428"}
    typed("connection", match, "encapsulate", params).insert()
    sh.PacketOut(packet.payload, ingress_port=str(metadata["ingress_port"])).send()
    return {"metadata": metadata, "carried": carried(match), "lost": lost(sh.client)}


def carried(match: Named) -> int:
    """What the new entry counts, once it counts."""
    entry = asking(typed("connection", match), "counter_data")
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        count = next(iter(entry.read())).counter_data.packet_count
        if count:
            return int(count)
    return 0


def lost(client: Any) -> int:
    """Messages on the stream that the shell could make nothing of: errors."""
    return client.stream_in_q["unknown"].qsize()


def neighbour(situation: dict[str, Any]) -> str:
    """The node of the connection that stands."""
    match = {"tenant": "0", "src": mapped(situation["source"]), "dst": mapped(situation["target"])}
    (entry,) = typed("connection", match).read()
    return str(int.from_bytes(entry.action.msg().params[1].value, "big"))


def mapped(ipv4: str) -> str:
    return f"::ffff:{ipv4}"


def idle() -> dict[str, Any]:
    """Entries that nobody uses are told."""
    notices = sh.IdleTimeoutNotification()
    told: dict[int, str] = {}
    tables = {message(table).table_id: table for table in ("scid", "connection")}
    for table in tables.values():
        entry = typed(table, ROWS[table][0], *ROWS[table][1])
        entry.idle_timeout_ns = IDLE_NS
        entry.insert()
    while set(told) != set(tables):
        for entry in notices.notification_queue.get(timeout=WAIT).idle_timeout_notification.table_entry:
            told[entry.table_id] = tables[entry.table_id]
    (entry,) = asking(typed("scid", ROWS["scid"][0]), "time_since_last_hit").read()
    elapsed = entry.time_since_last_hit.elapsed_ns
    for table in tables.values():
        typed(table, ROWS[table][0]).delete()
    return {"told": sorted(told.values()), "elapsed": elapsed >= 0, "timeout": entry.idle_timeout_ns}
