# SPDX-License-Identifier: Apache-2.0
"""Floods of packets that nobody has asked for: ever other pairs, ever other connections."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from moorline.wire import GENEVE_PORT, OPTION_CLASS, OPTION_TYPE
from tools.lab.namespace import Namespace

Frames = Callable[[int], bytes]
"""The frame of this number."""

_ETHERNET = Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:0a")
_SCID_AT = 14 + 20 + 8 + 8 + 4
"""Behind Ethernet, IPv4, UDP, Geneve and the header of the option."""


def unknown_pairs(source: str) -> Frames:
    """Packets of one source to ever other addresses, up to 65,536, that no service has."""
    template = bytes(_ETHERNET / IP(src=source, dst="198.18.0.0", id=0xFFFF) / UDP(chksum=0))

    def frame(number: int) -> bytes:
        number &= 0xFFFF
        # What the destination is more, the identification is less: the checksum stays right.
        identification, destination = (0xFFFF - number).to_bytes(2), number.to_bytes(2)
        return template[:18] + identification + template[20:32] + destination + template[34:]

    return frame


def unknown_connections(source: str, destination: str) -> Frames:
    """Tunnel packets with ever other SCIDs."""
    option = GeneveOptions(classid=OPTION_CLASS, type=OPTION_TYPE, data=bytes(12))
    template = bytes(
        _ETHERNET
        / IP(src=source, dst=destination)
        / UDP(sport=50000, dport=GENEVE_PORT, chksum=0)
        / GENEVE(critical=1, proto=0x0800, options=[option])
        / IP(src="198.18.0.1", dst="198.18.0.2")
        / UDP(chksum=0)
    )

    def frame(number: int) -> bytes:
        scid = (0xF100D << 44 | number + 1).to_bytes(8)
        return template[:_SCID_AT] + scid + template[_SCID_AT + 8 :]

    return frame


@contextmanager
def flood(place: Namespace, interface: str, frames: Frames, rate: int) -> Iterator[None]:
    """Send so many frames a second for the length of the block."""
    sending = place.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sending.bind((interface, 0))
    ended = threading.Event()

    def send() -> None:
        begun, sent = time.monotonic(), 0
        while not ended.wait(0.01):
            while sent < (time.monotonic() - begun) * rate and not ended.is_set():
                sending.send(frames(sent))
                sent += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        sending.close()
