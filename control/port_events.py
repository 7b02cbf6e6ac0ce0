# SPDX-License-Identifier: Apache-2.0
"""What became of packets: the indirect counter ``port_events`` of each node, read over P4Runtime."""

from __future__ import annotations

from finsy.proto import p4r

from control.records import Node
from control.southbound.dataplanes import DataPlanes
from moorline.api.v1 import moorline_pb2 as pb
from moorline.wire import EVENTS_PER_PORT, Event

_EVENTS = {event.value for event in Event}


class PortEvents:
    """Reads counters; nothing is kept."""

    def __init__(self, planes: DataPlanes) -> None:
        self._planes = planes
        self._counter = planes.contract.counters["port_events"]

    async def read(self, node: Node) -> list[pb.PortEvent]:
        """All counters of ``node`` that are not 0; raises ``NodeAwayError``."""
        interfaces = {port.number: port.interface for port in node.ports}
        wanted = p4r.Entity(counter_entry=p4r.CounterEntry(counter_id=self._counter))
        events: list[pb.PortEvent] = []
        async for entities in self._planes.of(node).read(wanted):
            for entity in entities:
                entry = entity.counter_entry
                port, number = divmod(entry.index.index, EVENTS_PER_PORT)
                if not entry.data.packet_count or number not in _EVENTS:
                    continue
                events.append(
                    pb.PortEvent(
                        node=node.name,
                        port=port,
                        interface=interfaces.get(port, ""),
                        event=Event(number).name.lower(),
                        packets=entry.data.packet_count,
                        bytes=entry.data.byte_count,
                    )
                )
        return events
