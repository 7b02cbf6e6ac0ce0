# SPDX-License-Identifier: Apache-2.0
"""How packets leave: rules A4 to A8 and U12 of docs/wire-format.md, and what S4 and S5 share with them."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple

from moorline.wire import OVERHEAD_IPV4, OVERHEAD_IPV6, Event
from tools.vectors.world import ACCESS, BEHIND, GATEWAY, INTERNET, PEERS, SECOND, UNDERLAY, USERS

from .departure import Departing, ethertype, over_ipv6, tunnelled
from .rules import MAPPED, Inner, Prediction, end, with_checksum
from .tables import Params, Tables

NextHops = Mapping[tuple[int, str], str | Event]
"""By port and destination in 128-bit form: the next hop's MAC address, or the event that there is none."""

MACS = {
    **{port.number: port.mac for port in (UNDERLAY, SECOND, PEERS, BEHIND)},
    **{port.number: port.far_mac for port in (ACCESS, GATEWAY, INTERNET, USERS)},
}
"""Of the ports that there are."""


_LINKS: Final = {
    lan.number: (
        ip_network(f"{lan.address4}/24", strict=False),
        ip_network(f"{lan.address6}/64", strict=False),
    )
    for lan in (GATEWAY, INTERNET, USERS)
}
_NOBODYS: Final = {
    address
    for lan, links in zip((GATEWAY, INTERNET, USERS), _LINKS.values(), strict=True)
    for address in (
        ip_address(lan.address4),
        ip_address(lan.address6),
        links[0].broadcast_address,
        links[1].network_address,
    )
}
"""Addresses on a link that are this node's own, all hosts', or all routers'."""


class Way(NamedTuple):
    """By which port to a node."""

    port: int
    uplink: Params
    destination: bytes

    @property
    def room(self) -> int:
        """Octets of the longest packet that fits the uplink in its tunnel."""
        overhead = OVERHEAD_IPV6 if over_ipv6(self.destination) else OVERHEAD_IPV4
        return int(self.uplink["mtu"]) - overhead


class Ways:
    """The ways out of a node with these tables and next hops."""

    def __init__(self, tables: Tables, next_hops: NextHops) -> None:
        self._tables = tables
        self._next_hops = {(port, IPv6Address(to).packed): hop for (port, to), hop in next_hops.items()}

    def to_node(self, node: int, flow: int) -> Way:
        """Rule A4."""
        paths = self._tables.params("locator", node)
        if paths is None:
            end(Event.DROP_NODE_UNKNOWN)
        path = flow >> 14 & 1
        port, destination = paths[f"port{path}"], paths[f"dst{path}"]
        return Way(port, self.uplink(port), destination)

    def uplink(self, port: int) -> Params:
        """The uplink of a port that there is."""
        uplink = self._tables.params("uplink", port)
        if uplink is None:
            end(Event.DROP_UPLINK_UNKNOWN)
        if port not in MACS:
            end(Event.DROP_NO_ROUTE)
        return uplink

    def depart(self, departing: Departing, way: Way) -> Prediction:
        """Rule A7."""
        packet = tunnelled(departing, way.uplink, way.destination)
        return self.by_uplink(packet, way)

    def by_uplink(self, packet: bytes, way: Way) -> Prediction:
        """An outer packet leaves."""
        family = ethertype(over_ipv6(way.destination))
        return self._leave(way.port, way.destination, way.uplink["vlan"], family + packet)

    def by_edge(self, carried: Inner, port: int, vlan: int) -> Prediction:
        """A plain packet leaves to its own destination's neighbour.

        Linux forwards nothing from an IPv6 source of the link's. A switch does: the predicted packet has the
        next hop's address all the same.
        """
        if port not in MACS:
            end(Event.DROP_NO_ROUTE)
        leaving = self._leave(port, mapped(carried, carried.destination), vlan, framed(carried))
        if carried.ipv6 and _is_of_link(IPv6Address(carried.source)):
            return leaving._replace(event=Event.DROP_NO_ROUTE)
        return leaving

    def by_access(self, carried: Inner, port: int) -> Prediction:
        """The end of rules U12 and A8: what leaves by an access port for the inner destination."""
        if port not in MACS:
            end(Event.DROP_NO_ROUTE)
        if port == ACCESS.number:
            return Prediction(Event.TX, port, _mac(ACCESS.near_mac) + _mac(ACCESS.far_mac) + framed(carried))
        return self.by_edge(carried, port, 0)

    def _leave(self, port: int, destination: bytes, vlan: int, rest: bytes) -> Prediction:
        hop = self._next_hops.get((port, destination)) or _missing(port, destination)
        event, mac = (hop, bytes(6)) if isinstance(hop, Event) else (Event.TX, _mac(hop))
        return Prediction(event, port, mac + _mac(MACS[port]) + _tag(vlan) + rest)


def sent_by_switches_alone(prediction: Prediction) -> bool:
    """Whether a switch sends what a host's kernel does not forward."""
    packet = prediction.packet
    return prediction.event is Event.DROP_NO_ROUTE and packet is not None and any(packet[:6])


def _is_of_link(source: IPv6Address) -> bool:
    return source.is_link_local or source.is_multicast or source.is_loopback


def _missing(port: int, destination: bytes) -> Event:
    """Why there is no next hop: nobody has an address on the link, or there is no such link."""
    address = ip_address(destination[12:] if destination.startswith(MAPPED) else destination)
    on_link = any(address in link and address not in _NOBODYS for link in _LINKS.get(port, ()))
    return Event.DROP_NO_NEIGHBOUR if on_link else Event.DROP_NO_ROUTE


def mapped(carried: Inner, address: bytes) -> bytes:
    """An address of the packet in 128-bit form."""
    return address if carried.ipv6 else MAPPED + address


def framed(carried: Inner) -> bytes:
    """The packet behind its EtherType."""
    return ethertype(carried.ipv6) + carried.packet


def with_ecn(carried: Inner, ecn: int) -> Inner:
    """The packet with another ECN field."""
    if ecn == carried.traffic_class & 3:
        return carried
    packet, marks = carried.packet, carried.traffic_class & 0xFC | ecn
    if carried.ipv6:
        changed = packet[:1] + bytes([packet[1] & 0xCF | ecn << 4]) + packet[2:]
        return carried._replace(packet=changed, traffic_class=marks)
    changed = _summed(packet[:1] + bytes([marks]) + packet[2:])
    return carried._replace(packet=changed, traffic_class=marks)


def lowered(carried: Inner, hops: int) -> Inner:
    """The packet with its TTL lowered (rules A6 and U12)."""
    packet, at = carried.packet, 7 if carried.ipv6 else 8
    if not hops:
        return carried
    if packet[at] <= hops:
        end(Event.PUNT_TTL_EXPIRED)
    changed = packet[:at] + bytes([packet[at] - hops]) + packet[at + 1 :]
    return carried._replace(packet=changed if carried.ipv6 else _summed(changed))


def stays_on_link(carried: Inner) -> bool:
    """Whether the destination is on the link alone (rule A3)."""
    to = carried.destination
    if carried.ipv6:
        return to[0] == 0xFF or (to[0] == 0xFE and to[1] & 0xC0 == 0x80)
    return to[0] >> 4 == 0xE or to == b"\xff\xff\xff\xff" or to[:2] == b"\xa9\xfe"


def _summed(packet: bytes) -> bytes:
    header = (packet[0] & 15) * 4
    return with_checksum(packet[:header]) + packet[header:]


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _tag(vlan: int) -> bytes:
    return b"\x81\x00" + vlan.to_bytes(2, "big") if vlan else b""
