# SPDX-License-Identifier: Apache-2.0
"""A port of a switch as its neighbours see it, and what is told them from it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address
from typing import Final

from control.neighbours.arp import Arp, Operation
from control.neighbours.frame import BROADCAST, Frame, group_mac, is_station
from control.neighbours.ndisc import ALL_NODES, UNSPECIFIED, Advertisement, Solicitation, solicited_node
from moorline import ethernet

_NOBODY: Final = bytes(6)
_LINK_LOCAL_PREFIX: Final = 0x3FA


@dataclass(frozen=True, slots=True)
class Link:
    """A port with its own addresses; ``vlan`` 0: untagged; ``router``: it forwards for hosts behind it."""

    port: int
    mac: bytes
    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    vlan: int = 0
    router: bool = False

    def owns(self, address: bytes) -> bool:
        """Whether an address (4 or 16 octets) is one of the port's own."""
        return any(own.packed == address for own in self.addresses)

    def reaches(self, address: bytes) -> bool:
        """Whether an address that is not the port's own is on the link."""
        if self.owns(address) or self.source_for(address) is None:
            return False
        return is_link_local(address) or any(ip_address(address) in own.network for own in self.addresses)

    def source_for(self, address: bytes) -> bytes | None:
        """The own address to ask for ``address`` from: of its network if there is one; None without any."""
        same_family = [own for own in self.addresses if len(own.packed) == len(address)]
        of_network = [own for own in same_family if ip_address(address) in own.network]
        return next((own.packed for own in of_network + same_family), None)

    def hears(self, frame: Frame) -> bool:
        """Whether a frame is of this link, from a single station, and for this port or a group."""
        return (
            frame.vlan == self.vlan
            and is_station(frame.source)
            and (frame.destination == self.mac or bool(frame.destination[0] & 1))
        )

    # ---- frames --------------------------------------------------------------------------------------------

    def request(self, source: bytes, address: bytes, mac: bytes | None) -> bytes:
        """The frame that asks who has ``address``: all, or the station that had it so far."""
        if len(address) == 4:
            return self._arp(mac or BROADCAST, Arp(Operation.REQUEST, self.mac, source, _NOBODY, address))
        destination = address if mac else solicited_node(address)
        return self._ipv6(
            mac or group_mac(destination), Solicitation(source, destination, address, self.mac).encode()
        )

    def answer_arp(self, asked: Arp) -> bytes:
        """The frame that answers a request for an own address."""
        reply = Arp(Operation.REPLY, self.mac, asked.target, asked.sender_mac, asked.sender)
        return self._arp(asked.sender_mac, reply)

    def answer_solicitation(self, asked: Solicitation, mac: bytes) -> bytes:
        """The frame that answers a solicitation of an own address, which came from ``mac``."""
        if asked.source == UNSPECIFIED:
            return self._advertise(asked.target)
        answer = Advertisement(
            asked.target, asked.source, asked.target, self.mac, self.router, solicited=True, override=True
        )
        return self._ipv6(asked.mac or mac, answer.encode())

    def announce(self, own: bytes) -> bytes:
        """The frame that tells all neighbours where an own address is (RFC 5227, RFC 4861, 7.2.6)."""
        if len(own) == 4:
            return self._arp(BROADCAST, Arp(Operation.REQUEST, self.mac, own, _NOBODY, own))
        return self._advertise(own)

    def _advertise(self, own: bytes) -> bytes:
        message = Advertisement(own, ALL_NODES, own, self.mac, self.router, solicited=False, override=True)
        return self._ipv6(group_mac(ALL_NODES), message.encode())

    def _arp(self, destination: bytes, message: Arp) -> bytes:
        return Frame(destination, self.mac, ethernet.ARP, message.encode(), self.vlan).encode()

    def _ipv6(self, destination: bytes, packet: bytes) -> bytes:
        return Frame(destination, self.mac, ethernet.IPV6, packet, self.vlan).encode()


def is_link_local(address: bytes) -> bool:
    """Whether an IPv6 address is one of fe80::/10."""
    return len(address) == 16 and int.from_bytes(address[:2]) >> 6 == _LINK_LOCAL_PREFIX
