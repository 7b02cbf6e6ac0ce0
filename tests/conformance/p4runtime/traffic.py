# SPDX-License-Identifier: Apache-2.0
"""Frames into a data plane and out of it, over its wires."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from moorline import wire
from tools.lab.namespace import Namespace

_ALL: Final = 0x0003  # ETH_P_ALL
_OUTGOING: Final = 4  # PACKET_OUTGOING
_PROGRAM: Final = "198.51.100.200"
_FROM: Final = "02:00:00:00:00:99"
PATIENCE: Final = 5.0


@dataclass(frozen=True)
class Wire:
    """A port, and the interface at the other end of its cable."""

    port: int
    place: Namespace
    interface: str
    mac: str

    def send(self, frame: bytes) -> None:
        """Lets a frame arrive at the port."""
        with self.place.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
            sender.bind((self.interface, 0))
            sender.send(frame)

    def listen(self) -> Listener:
        """Hears what leaves by the port from now on."""
        return Listener(self.place, self.interface)


class Listener:
    """Frames that arrive at an interface."""

    def __init__(self, place: Namespace, interface: str) -> None:
        self._socket = place.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
        self._socket.bind((interface, _ALL))

    def hears(self, frame: bytes) -> bool:
        """Whether the frame comes."""
        deadline = time.monotonic() + PATIENCE
        with self._socket:
            while (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                try:
                    found, sender = self._socket.recvfrom(2048)
                except TimeoutError:
                    break
                if sender[2] != _OUTGOING and found == frame:
                    return True
        return False


@dataclass(frozen=True)
class Wires:
    """The two kinds of ports. ``address`` is the one that the data plane opens tunnels at."""

    underlay: Wire
    access: Wire
    address: str

    def from_a_program(self, destination: int, payload: bytes = b"hello") -> bytes:
        """A packet of a program to 198.51.100.``destination``."""
        packet = IP(src=_PROGRAM, dst=f"198.51.100.{destination}") / UDP(sport=9, dport=9, chksum=0)
        return bytes(Ether(src=_FROM, dst=self.access.mac) / packet / Raw(payload))

    def key_of_a_program(self, destination: int) -> list[bytes]:
        """The key of ``connection`` for such a packet."""
        return [b"\0", mapped(_PROGRAM), mapped(f"198.51.100.{destination}")]

    def from_a_node(self, scid: int) -> bytes:
        """A data packet with an SCID, from 192.0.2.99."""
        inner = IP(src="198.51.100.1", dst="198.51.100.2") / UDP(sport=9, dport=9) / Raw(b"data")
        option = wire.OPTION_CLASS.to_bytes(2) + bytes([wire.OPTION_TYPE, wire.OPTION_WORDS])
        geneve = b"\x04\x40\x08\x00" + bytes(4) + option + scid.to_bytes(8) + bytes(4)
        outer = IP(src="192.0.2.99", dst=self.address) / UDP(sport=50000, dport=wire.GENEVE_PORT, chksum=0)
        return bytes(Ether(src=_FROM, dst=self.underlay.mac) / outer / Raw(geneve + bytes(inner)))


def mapped(address: str) -> bytes:
    """An IPv4 address as entries have it."""
    return b"\xff\xff" + IPv4Address(address).packed


def broadcast(payload: bytes) -> bytes:
    """A frame to all that nobody answers."""
    return bytes(Ether(src=_FROM, dst="ff:ff:ff:ff:ff:ff", type=0x88B6) / Raw(payload.ljust(50, b".")))
