# SPDX-License-Identifier: Apache-2.0
"""The ports of a switch as veth pairs: frames go in and come out at the outer ends, octet by octet."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pyroute2 import IPRoute

MTU: Final = 9500
"""Longer than any frame of a vector."""

_ALL_PROTOCOLS: Final = 3
_SOL_PACKET: Final = 263
_PACKET_AUXDATA: Final = 8
_PACKET_IGNORE_OUTGOING: Final = 23
_AUXDATA: Final = struct.Struct("IIIHHHH")
"""``struct tpacket_auxdata``: status, lengths, offsets, VLAN tag and its EtherType."""
_STATUS_VLAN, _STATUS_VLAN_TYPE = 1 << 4, 1 << 6
_LONGEST: Final = 65536
_BUFFER: Final = 1 << 22


def lay(ports: Iterable[int], mtu: int = MTU) -> dict[int, str]:
    """Veth pairs in the caller's namespace, without IPv6 of their own; the inner ends by port."""
    Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
    inner = {port: f"port{port}" for port in ports}
    with IPRoute() as route:
        for port, interface in inner.items():
            peer = {"ifname": outer(port), "mtu": mtu}
            route.link("add", ifname=interface, kind="veth", mtu=mtu, peer=peer)
            for name in (interface, outer(port)):
                route.link("set", index=route.link_lookup(ifname=name)[0], state="up")
    return inner


def outer(port: int) -> str:
    """Interface at the outer end of a port's pair."""
    return f"wire{port}"


class Wire:
    """The outer end of a port, opened in the caller's namespace."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        self._socket.bind((outer(port), _ALL_PROTOCOLS))

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()

    def send(self, frame: bytes) -> None:
        """Let a frame arrive at the port."""
        self._socket.send(frame)

    def receive(self) -> bytes | None:
        """The next frame that has left by the port, if there is one.

        The kernel takes a VLAN tag out of a frame and keeps it beside: it is put in again.
        """
        try:
            frame, beside, _, _ = self._socket.recvmsg(_LONGEST, socket.CMSG_SPACE(_AUXDATA.size))
        except BlockingIOError:
            return None
        for level, kind, data in beside:
            if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
                status, _, _, _, _, tag, ethertype = _AUXDATA.unpack(data)
                if status & _STATUS_VLAN:
                    known = ethertype if status & _STATUS_VLAN_TYPE else 0x8100
                    return frame[:12] + struct.pack("!HH", known, tag) + frame[12:]
        return frame
