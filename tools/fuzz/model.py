# SPDX-License-Identifier: Apache-2.0
"""What docs/wire-format.md says, as a program: what must become of a frame that arrives at a port.

Written from the document, rule by rule, and from nothing else: it shares no code with the data planes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address
from typing import Any, Final

from moorline.wire import OVERHEAD_IPV4, OVERHEAD_IPV6, Event, Tunnel
from tools.vectors.entropy import flow_hash
from tools.vectors.model import Entry, number
from tools.vectors.world import ACCESS, GATEWAY, SECOND, UNDERLAY

from .departure import Departing, ethertype, over_ipv6, tunnelled
from .rules import (
    DATA_HEADER,
    ETHERNET,
    IPV4,
    IPV6,
    MAPPED,
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
    with_checksum,
)

OUTER_TTL: Final = 64

ECN: Final = ((0, 0, 0, None), (1, 1, 1, 3), (2, 1, 2, 3), (3, 3, 3, 3))
"""RFC 6040, figure 4, by codepoint (Not-ECT 0, ECT(1) 1, ECT(0) 2, CE 3): row inner, column outer."""

NextHops = Mapping[tuple[int, str], str | Event]
"""By port and destination in 128-bit form: the next hop's MAC address, or the event that there is none."""


class Model:
    """The data plane of the small world that holds these entries, on a host with these next hops."""

    def __init__(self, entries: Iterable[Entry], next_hops: NextHops) -> None:
        tables: defaultdict[str, dict[tuple[Any, ...], Entry]] = defaultdict(dict)
        for entry in entries:
            key = tuple(number(value) for value in entry.key.values())
            tables[entry.table][key] = entry
        self._roles = {key[0]: entry for key, entry in tables["port_role"].items()}
        self._connections = tables["connection"]
        self._scids = {key[0]: (entry.action, _params(entry)) for key, entry in tables["scid"].items()}
        self._origins = {key[0]: _params(entry)["node"] for key, entry in tables["origin"].items()}
        self._locators = {key[0]: _params(entry) for key, entry in tables["locator"].items()}
        self._uplinks = {key[0]: _params(entry) for key, entry in tables["uplink"].items()}
        opened = [address for address, tunnel in tables["terminate"] if tunnel == Tunnel.GENEVE]
        self._own = frozenset(address for address, tunnel in tables["terminate"] if tunnel == Tunnel.NONE)
        self._opened4 = frozenset(address[12:] for address in opened if address.startswith(MAPPED))
        self._opened6 = frozenset(address for address in opened if not address.startswith(MAPPED))
        self._next_hops = {(port, IPv6Address(to).packed): hop for (port, to), hop in next_hops.items()}
        self._underlay = {port.number: port for port in (UNDERLAY, SECOND)}
        self._access = {port.number: port for port in (ACCESS, GATEWAY)}

    def predict(self, port: int, frame: bytes) -> Prediction:
        """What must become of ``frame`` at ``port`` (rule P1)."""
        role = self._roles.get(port)
        if role is None:
            return Prediction(Event.PASS)
        try:
            if role.action == "underlay":
                return self._from_underlay(frame)
            return self._from_access(frame, _params(role))
        except Decided as decided:
            return decided.prediction

    def _from_underlay(self, frame: bytes) -> Prediction:
        at, kind = link(frame)
        if kind == IPV4:
            outer = outer4(frame, at, self._opened4)
        elif kind == IPV6:
            outer = outer6(frame, at, self._opened6)
        else:
            end(Event.PASS)
        payload = udp_payload(frame, outer)
        protocol = geneve(payload)
        action, connection = self._entry_of(payload)
        if action == "relay":
            return self._relay(payload, protocol, outer, connection)
        self._check_source(payload, outer, connection)
        carried = inner(payload[DATA_HEADER:], protocol)
        if len(carried.packet) != len(payload) - DATA_HEADER:  # U11: exactly the Geneve payload
            end(Event.DROP_INNER_LENGTH)
        return self._deliver(carried, connection, outer.traffic_class & 3)

    def _entry_of(self, payload: bytes) -> tuple[str, Mapping[str, Any]]:
        """The first part of rule U10."""
        scid = int.from_bytes(payload[12:20], "big")
        if scid == 0:
            end(Event.DROP_SCID_ZERO)
        if scid not in self._scids:
            end(Event.DROP_SCID_UNKNOWN)
        action, connection = self._scids[scid]
        if int.from_bytes(payload[4:7], "big") != connection["tenant"]:
            end(Event.DROP_TENANT)
        return action, connection

    def _check_source(self, payload: bytes, outer: Outer, connection: Mapping[str, Any]) -> None:
        """The second part of rule U10."""
        paths = self._locators.get(connection["node"])
        if paths is None:
            end(Event.DROP_NODE_UNKNOWN)
        good = [paths[name] for name in ("dst0", "dst1", "previous0", "previous1")]
        if outer.from_nobody or outer.source not in good:
            end(Event.DROP_SOURCE)
        if any(payload[20:23]):
            end(Event.DROP_SERVICE_PATH)

    def _relay(
        self, payload: bytes, protocol: int, outer: Outer, connection: Mapping[str, Any]
    ) -> Prediction:
        """Rules U13 to U15."""
        origin = None if outer.from_nobody else self._origins.get(outer.source)
        if origin == connection["node0"]:
            node, scid = connection["node1"], connection["scid1"]
        elif origin == connection["node1"]:
            node, scid = connection["node0"], connection["scid0"]
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
            connection["tenant"],
            scid,
            payload[20:24],
            outer.traffic_class,
            outer.ttl - 1,
            (entropy << 14) + entropy,
        )
        port, uplink, destination = self._way_to(node, departing.flow)
        if len(departing.packet) > _room(uplink, destination):
            end(Event.DROP_OUTER_TOO_BIG)
        return self._depart(departing, port, uplink, destination)

    def _deliver(self, carried: Inner, connection: Mapping[str, Any], outer_ecn: int) -> Prediction:
        """The rest of rule U11, and U12."""
        family = "6" if carried.ipv6 else "4"
        own = (connection[f"local{family}"], connection[f"peer{family}"])
        if (carried.destination, carried.source) != own or not any(carried.destination):
            end(Event.DROP_INNER_ADDRESS)
        lowered = _lowered(carried, connection["hops"])
        ecn = ECN[carried.traffic_class & 3][outer_ecn]
        if ecn is None:
            end(Event.DROP_INNER_ECN)
        return self._leave_access(carried, connection["port"], _with_ecn(carried, lowered, ecn))

    def _leave_access(self, carried: Inner, port: int, packet: bytes) -> Prediction:
        """The end of rules U12 and A8: what leaves by an access port for the inner destination."""
        access = self._access.get(port)
        if access is None:
            end(Event.DROP_NO_ROUTE)
        hop: str | Event = access.near_mac
        if access is GATEWAY:
            destination = (b"" if carried.ipv6 else MAPPED) + carried.destination
            hop = self._next_hops.get((port, destination), Event.DROP_NO_ROUTE)
        event, mac = (hop, bytes(6)) if isinstance(hop, Event) else (Event.TX, _mac(hop))
        return Prediction(event, port, mac + _mac(access.far_mac) + ethertype(carried.ipv6) + packet)

    def _from_access(self, frame: bytes, role: Mapping[str, Any]) -> Prediction:
        kind = u16(frame, 12)
        if kind not in (IPV4, IPV6):  # A1
            end(Event.PASS)
        carried = inner(frame[ETHERNET:], kind)  # A2
        entry = self._connection_between(carried, role)
        if entry.action == "local":
            return self._to_other_access(carried, _params(entry)["port"], role["hops"])
        return self._encapsulate(carried, _params(entry), role)

    def _to_other_access(self, carried: Inner, port: int, hops: int) -> Prediction:
        """Rule A8."""
        if port == 0:
            end(Event.PASS)
        return self._leave_access(carried, port, _lowered(carried, hops))

    def _connection_between(self, carried: Inner, role: Mapping[str, Any]) -> Entry:
        """Rule A3."""
        if _stays_on_link(carried):
            end(Event.PASS)
        prefix = b"" if carried.ipv6 else MAPPED
        pair = prefix + carried.source, prefix + carried.destination
        entry = self._connections.get((role["tenant"], *pair))
        if entry is None and role["hops"] and pair[1] in self._own:
            end(Event.PASS)
        if entry is None:
            end(Event.PUNT_CONNECTION_MISS)
        if entry.action == "reject":
            end(Event.DROP_CONNECTION_DENIED)
        return entry

    def _encapsulate(
        self, carried: Inner, connection: Mapping[str, Any], role: Mapping[str, Any]
    ) -> Prediction:
        """Rules A5 to A7."""
        flow = flow_hash(carried.packet)
        port, uplink, destination = self._way_to(connection["node"], flow)
        room = max(0, min(_room(uplink, destination), connection["mtu"]))
        if len(carried.packet) > room:
            end(Event.PUNT_TOO_BIG, room)
        packet = _lowered(carried, role["hops"])
        place = connection["spi"].to_bytes(3, "big") + connection["si"].to_bytes(1, "big")
        scid, own = connection["scid"], (carried.traffic_class, OUTER_TTL)
        departing = Departing(packet, carried.ipv6, role["tenant"], scid, place, *own, flow)
        return self._depart(departing, port, uplink, destination)

    def _way_to(self, node: int, flow: int) -> tuple[int, Mapping[str, Any], bytes]:
        """Port, its uplink and the node's locator: rule A4."""
        paths = self._locators.get(node)
        if paths is None:
            end(Event.DROP_NODE_UNKNOWN)
        path = flow >> 14 & 1
        port, destination = paths[f"port{path}"], paths[f"dst{path}"]
        uplink = self._uplinks.get(port)
        if uplink is None:
            end(Event.DROP_UPLINK_UNKNOWN)
        if port not in self._underlay:
            end(Event.DROP_NO_ROUTE)
        return port, uplink, destination

    def _depart(
        self, departing: Departing, port: int, uplink: Mapping[str, Any], destination: bytes
    ) -> Prediction:
        """Rule A7."""
        hop = self._next_hops[port, destination]
        event, mac = (hop, bytes(6)) if isinstance(hop, Event) else (Event.TX, _mac(hop))
        ethernet = (
            mac + _mac(self._underlay[port].mac) + _tag(uplink["vlan"]) + ethertype(over_ipv6(destination))
        )
        return Prediction(event, port, ethernet + tunnelled(departing, uplink, destination))


def _room(uplink: Mapping[str, Any], destination: bytes) -> int:
    """Octets of the longest packet that fits the uplink in its tunnel."""
    return int(uplink["mtu"]) - (OVERHEAD_IPV6 if over_ipv6(destination) else OVERHEAD_IPV4)


def _params(entry: Entry) -> dict[str, Any]:
    return {name: number(value) for name, value in entry.params.items()}


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _tag(vlan: int) -> bytes:
    return b"\x81\x00" + vlan.to_bytes(2, "big") if vlan else b""


def _with_ecn(carried: Inner, packet: bytes, ecn: int) -> bytes:
    """The packet with another ECN field than the one that was carried."""
    if ecn == carried.traffic_class & 3:
        return packet
    if carried.ipv6:
        return packet[:1] + bytes([packet[1] & 0xCF | ecn << 4]) + packet[2:]
    header = (packet[0] & 15) * 4
    return with_checksum(packet[:1] + bytes([packet[1] & 0xFC | ecn]) + packet[2:header]) + packet[header:]


def _stays_on_link(carried: Inner) -> bool:
    to = carried.destination
    if carried.ipv6:
        return to[0] == 0xFF or (to[0] == 0xFE and to[1] & 0xC0 == 0x80)
    return to[0] >> 4 == 0xE or to == b"\xff\xff\xff\xff" or to[:2] == b"\xa9\xfe"


def _lowered(carried: Inner, hops: int) -> bytes:
    """The packet with its TTL lowered (rules A6 and U12)."""
    packet, at = carried.packet, 7 if carried.ipv6 else 8
    if not hops:
        return packet
    if packet[at] <= hops:
        end(Event.PUNT_TTL_EXPIRED)
    lowered = packet[:at] + bytes([packet[at] - hops]) + packet[at + 1 :]
    if carried.ipv6:
        return lowered
    header = (packet[0] & 15) * 4
    return with_checksum(lowered[:header]) + lowered[header:]
