# SPDX-License-Identifier: Apache-2.0
"""What docs/wire-format.md says, as a program: what must become of a frame that arrives at a port.

Written from the document, rule by rule, and from nothing else: it shares no code with the data planes.
"""

from __future__ import annotations

from collections.abc import Iterable

from moorline.wire import Event, Tunnel
from tools.vectors.model import Entry

from .arrivals import Arrivals, exactly, marked
from .departure import Departing
from .paths import Paths, Travelling
from .rules import (
    DATA_HEADER,
    ETHERNET,
    IPV4,
    IPV6,
    Decided,
    Inner,
    Outer,
    Prediction,
    end,
    geneve,
    inner,
    link,
    outer4,
    outer6,
    u16,
    udp_payload,
)
from .tables import Action, Params, Tables
from .ways import NextHops, Ways, lowered, mapped, stays_on_link


class Model:
    """The data plane of the small world that holds these entries, on a host with these next hops."""

    def __init__(self, entries: Iterable[Entry], next_hops: NextHops, *, at_tc: bool = False) -> None:
        """``at_tc``: with the hook TC, which knows service paths from its access ports alone."""
        self._at_tc = at_tc
        self._tables = Tables(entries, (Tunnel.GENEVE,) if at_tc else tuple(Tunnel))
        self._ways = Ways(self._tables, next_hops)
        self._paths = Paths(self._tables, self._ways, has_peers=not at_tc)
        self._arrivals = Arrivals(self._tables, self._paths)

    def predict(self, port: int, frame: bytes) -> Prediction:
        """What must become of ``frame`` at ``port`` (rule P1)."""
        role = self._tables.find("port_role", port)
        if role is None:
            return Prediction(Event.PASS)
        if self._at_tc and role.name in ("edge", "peer"):
            return Prediction(Event.DROP_SERVICE_PATH)
        try:
            return self._from(role, frame, port)
        except Decided as decided:
            return decided.prediction

    def _from(self, role: Action, frame: bytes, port: int) -> Prediction:
        if role.name == "underlay":
            return self._from_underlay(frame, port)
        if role.name == "edge":
            return self._arrivals.from_edge(frame, port, role.params)
        if role.name == "peer":
            return self._arrivals.from_peer(frame, port, role.params)
        return self._from_access(frame, role.params)

    def _from_underlay(self, frame: bytes, port: int) -> Prediction:
        at, kind = link(frame)
        if kind == IPV4:
            outer = outer4(frame, at, self._tables.opened4)
        elif kind == IPV6:
            outer = outer6(frame, at, self._tables.opened6)
        else:
            end(Event.PASS)
        if outer.tunnel is not Tunnel.GENEVE:
            return self._arrivals.from_device(frame, port, outer)
        payload = udp_payload(frame, outer)
        protocol = geneve(payload)
        if any(payload[20:23]):
            if self._at_tc:
                end(Event.DROP_SERVICE_PATH)
            return self._on_path(payload, protocol, outer)
        entry = self._entry_of(payload)
        if entry.name == "relay":
            return self._relay(payload, protocol, outer, entry.params)
        self._check_source(outer, entry.params["node"])
        carried = exactly(payload[DATA_HEADER:], protocol)
        return self._deliver(carried, entry.params, outer.traffic_class)

    def _on_path(self, payload: bytes, protocol: int, outer: Outer) -> Prediction:
        """Rule S1."""
        if not payload[23]:
            end(Event.DROP_SERVICE_INDEX)
        if self._origin(outer) is None:
            end(Event.DROP_SOURCE)
        if outer.ttl <= 1:
            end(Event.DROP_OUTER_TTL)
        carried = marked(exactly(payload[DATA_HEADER:], protocol), outer.traffic_class)
        tenant, scid = int.from_bytes(payload[4:7]), int.from_bytes(payload[12:20])
        place = int.from_bytes(payload[20:23]), payload[23]
        return self._paths.follow(Travelling(carried, tenant, *place, scid, ttl=outer.ttl - 1))

    def _origin(self, outer: Outer) -> int | None:
        """Whose address the packet came from."""
        found = None if outer.from_nobody else self._tables.params("origin", outer.source)
        return None if found is None else int(found["node"])

    def _entry_of(self, payload: bytes) -> Action:
        """The first part of rule U10."""
        scid = int.from_bytes(payload[12:20], "big")
        if scid == 0:
            end(Event.DROP_SCID_ZERO)
        entry = self._tables.find("scid", scid)
        if entry is None:
            end(Event.DROP_SCID_UNKNOWN)
        if int.from_bytes(payload[4:7], "big") != entry.params["tenant"]:
            end(Event.DROP_TENANT)
        return entry

    def _check_source(self, outer: Outer, node: int) -> None:
        """The second part of rule U10."""
        if node == 0:
            if self._origin(outer) is None:
                end(Event.DROP_SOURCE)
            return
        paths = self._tables.params("locator", node)
        if paths is None:
            end(Event.DROP_NODE_UNKNOWN)
        good = [paths[name] for name in ("dst0", "dst1", "previous0", "previous1")]
        if outer.from_nobody or outer.source not in good:
            end(Event.DROP_SOURCE)

    def _relay(self, payload: bytes, protocol: int, outer: Outer, says: Params) -> Prediction:
        """Rules U13 to U15."""
        origin = self._origin(outer)
        if origin is not None and origin == says["node0"]:
            node, scid = says["node1"], says["scid1"]
        elif origin is not None and origin == says["node1"]:
            node, scid = says["node0"], says["scid0"]
        else:
            end(Event.DROP_SOURCE)
        if not scid:
            end(Event.DROP_SOURCE)
        if outer.ttl <= 1:
            end(Event.DROP_OUTER_TTL)
        entropy = outer.source_port % (1 << 14)
        departing = Departing(
            payload[DATA_HEADER:],
            protocol == IPV6,
            says["tenant"],
            scid,
            payload[20:24],
            outer.traffic_class,
            outer.ttl - 1,
            (entropy << 14) + entropy,
        )
        way = self._ways.to_node(node, departing.flow)
        if len(departing.packet) > way.room:
            end(Event.DROP_OUTER_TOO_BIG)
        return self._ways.depart(departing, way)

    def _deliver(self, carried: Inner, says: Params, outer_class: int) -> Prediction:
        """The rest of rule U11, and U12."""
        family = "6" if carried.ipv6 else "4"
        own = (says[f"local{family}"], says[f"peer{family}"])
        if (carried.destination, carried.source) != own or not any(carried.destination):
            end(Event.DROP_INNER_ADDRESS)
        return self._ways.by_access(marked(lowered(carried, says["hops"]), outer_class), says["port"])

    def _from_access(self, frame: bytes, role: Params) -> Prediction:
        kind = u16(frame, 12)
        if kind not in (IPV4, IPV6):  # A1
            end(Event.PASS)
        carried = inner(frame[ETHERNET:], kind)  # A2
        entry = self._connection_between(carried, role)
        if entry.name == "local":
            return self._to_other_access(carried, entry.params["port"], role["hops"])
        return self._encapsulate(carried, entry.params, role)

    def _to_other_access(self, carried: Inner, port: int, hops: int) -> Prediction:
        """Rule A8."""
        if port == 0:
            end(Event.PASS)
        return self._ways.by_access(lowered(carried, hops), port)

    def _connection_between(self, carried: Inner, role: Params) -> Action:
        """Rule A3."""
        if stays_on_link(carried):
            end(Event.PASS)
        pair = mapped(carried, carried.source), mapped(carried, carried.destination)
        entry = self._tables.find("connection", role["tenant"], *pair)
        if entry is None and role["hops"] and self._tables.is_own(pair[1]):
            end(Event.PASS)
        if entry is None:
            end(Event.PUNT_CONNECTION_MISS)
        if entry.name == "reject":
            end(Event.DROP_CONNECTION_DENIED)
        return entry

    def _encapsulate(self, carried: Inner, says: Params, role: Params) -> Prediction:
        """Rules A4 to A7, or those of its path."""
        packet = Travelling(
            carried,
            role["tenant"],
            says["spi"],
            says["si"],
            says["scid"],
            says["node"],
            mtu=says["mtu"],
            answered=True,
            hops=role["hops"],
            from_access=True,
        )
        return self._paths.enter(packet) if packet.spi else self._paths.put_on(packet, says["node"])
