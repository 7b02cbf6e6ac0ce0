# SPDX-License-Identifier: Apache-2.0
"""What docs/wire-format.md says, as a program: what must become of a frame that arrives at a port.

Written from the document, rule by rule, and from nothing else: it shares no code with the data planes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address
from typing import Any, Final

from moorline.wire import OVERHEAD_IPV4, OVERHEAD_IPV6, Event
from tools.vectors.entropy import flow_hash
from tools.vectors.model import Entry, number
from tools.vectors.world import ACCESS, GATEWAY, SECOND, UNDERLAY

from .rules import (
    DATA_HEADER,
    ETHERNET,
    GENEVE_PORT,
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
        self._scids = {key[0]: _params(entry) for key, entry in tables["scid"].items()}
        self._locators = {key[0]: _params(entry) for key, entry in tables["locator"].items()}
        self._uplinks = {key[0]: _params(entry) for key, entry in tables["uplink"].items()}
        opened = [key[0] for key in tables["terminate"]]
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
        at, ethertype = link(frame)
        if ethertype == IPV4:
            outer = outer4(frame, at, self._opened4)
        elif ethertype == IPV6:
            outer = outer6(frame, at, self._opened6)
        else:
            end(Event.PASS)
        payload = udp_payload(frame, outer)
        protocol = geneve(payload)
        connection = self._connection_of(payload, outer, ethertype)
        carried = inner(payload[DATA_HEADER:], protocol)
        if len(carried.packet) != len(payload) - DATA_HEADER:  # U11: exactly the Geneve payload
            end(Event.DROP_INNER_LENGTH)
        return self._deliver(carried, connection, outer.ecn)

    def _connection_of(self, payload: bytes, outer: Outer, ethertype: int) -> Mapping[str, Any]:
        """Rule U10."""
        scid = int.from_bytes(payload[12:20], "big")
        if scid == 0:
            end(Event.DROP_SCID_ZERO)
        connection = self._scids.get(scid)
        if connection is None:
            end(Event.DROP_SCID_UNKNOWN)
        if int.from_bytes(payload[4:7], "big") != connection["tenant"]:
            end(Event.DROP_TENANT)
        paths = self._locators.get(connection["node"])
        if paths is None:
            end(Event.DROP_NODE_UNKNOWN)
        good = [paths[name] for name in ("dst0", "dst1", "previous0", "previous1")]
        unspecified = not any(outer.source) or outer.source == MAPPED + bytes(4)
        mapped = ethertype == IPV6 and outer.source.startswith(MAPPED)
        if unspecified or mapped or outer.source not in good:
            end(Event.DROP_SOURCE)
        if any(payload[20:23]):
            end(Event.DROP_SERVICE_PATH)
        return connection

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
        return Prediction(event, port, mac + _mac(access.far_mac) + _ethertype(carried.ipv6) + packet)

    def _from_access(self, frame: bytes, role: Mapping[str, Any]) -> Prediction:
        ethertype = u16(frame, 12)
        if ethertype not in (IPV4, IPV6):  # A1
            end(Event.PASS)
        carried = inner(frame[ETHERNET:], ethertype)  # A2
        entry = self._connection_between(carried, role["tenant"])
        if entry.action == "local":
            return self._to_other_access(carried, _params(entry)["port"], role["hops"])
        return self._depart(carried, _params(entry), role)

    def _to_other_access(self, carried: Inner, port: int, hops: int) -> Prediction:
        """Rule A8."""
        if port == 0:
            end(Event.PASS)
        return self._leave_access(carried, port, _lowered(carried, hops))

    def _connection_between(self, carried: Inner, tenant: int) -> Entry:
        """Rule A3."""
        if _stays_on_link(carried):
            end(Event.PASS)
        prefix = b"" if carried.ipv6 else MAPPED
        entry = self._connections.get((tenant, prefix + carried.source, prefix + carried.destination))
        if entry is None:
            end(Event.PUNT_CONNECTION_MISS)
        if entry.action == "reject":
            end(Event.DROP_CONNECTION_DENIED)
        return entry

    def _depart(self, carried: Inner, connection: Mapping[str, Any], role: Mapping[str, Any]) -> Prediction:
        """Rules A4 to A7."""
        paths = self._locators.get(connection["node"])
        if paths is None:
            end(Event.DROP_NODE_UNKNOWN)
        flow = flow_hash(carried.packet)
        path = flow >> 14 & 1
        port, destination = paths[f"port{path}"], paths[f"dst{path}"]
        uplink = self._uplinks.get(port)
        if uplink is None:
            end(Event.DROP_UPLINK_UNKNOWN)
        if port not in self._underlay:
            end(Event.DROP_NO_ROUTE)
        ipv6 = not destination.startswith(MAPPED)
        fits = uplink["mtu"] - (OVERHEAD_IPV6 if ipv6 else OVERHEAD_IPV4)
        if len(carried.packet) > fits:
            end(Event.PUNT_TOO_BIG, fits)
        packet = _lowered(carried, role["hops"])
        network = (_network6 if ipv6 else _network4)(carried, uplink, destination, flow)
        data = _data_header(carried.ipv6, connection, role["tenant"])
        length = 8 + len(data) + len(packet)
        udp = b"".join(value.to_bytes(2, "big") for value in (0xC000 | flow & 0x3FFF, GENEVE_PORT, length, 0))
        hop = self._next_hops[port, destination]
        event, mac = (hop, bytes(6)) if isinstance(hop, Event) else (Event.TX, _mac(hop))
        ethernet = mac + _mac(self._underlay[port].mac) + _tag(uplink["vlan"]) + _ethertype(ipv6)
        return Prediction(event, port, ethernet + network + udp + data + packet)


def _params(entry: Entry) -> dict[str, Any]:
    return {name: number(value) for name, value in entry.params.items()}


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _ethertype(ipv6: bool) -> bytes:
    return (IPV6 if ipv6 else IPV4).to_bytes(2, "big")


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


def _network4(carried: Inner, uplink: Mapping[str, Any], destination: bytes, _flow: int) -> bytes:
    total = OVERHEAD_IPV4 + len(carried.packet)
    fixed = bytes([0x45, carried.traffic_class]) + total.to_bytes(2, "big") + b"\0\0\x40\0\x40\x11\0\0"
    return with_checksum(fixed + uplink["src4"] + destination[12:])


def _network6(carried: Inner, uplink: Mapping[str, Any], destination: bytes, flow: int) -> bytes:
    first = 6 << 28 | carried.traffic_class << 20 | flow >> 15
    length = OVERHEAD_IPV6 - 40 + len(carried.packet)
    fixed = first.to_bytes(4, "big") + length.to_bytes(2, "big") + b"\x11\x40"
    source: bytes = uplink["src6"]
    return fixed + source + destination


def _data_header(ipv6: bool, connection: Mapping[str, Any], tenant: int) -> bytes:
    place: bytes = connection["scid"].to_bytes(8, "big") + connection["spi"].to_bytes(3, "big")
    index: bytes = connection["si"].to_bytes(1, "big")
    fixed = b"\x04\x40" + _ethertype(ipv6) + tenant.to_bytes(3, "big") + b"\0\xff\x4d\x81\x03"
    return fixed + place + index
