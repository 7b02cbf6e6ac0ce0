# SPDX-License-Identifier: Apache-2.0
"""Sends frames: to the pipeline or straight out (packet-out), or to the host's programs (ICMP answers)."""

from __future__ import annotations

import os
import socket
from typing import Final

import structlog

from dataplane.agent.access import Pair
from dataplane.agent.ports import Programs
from dataplane.bpf import sys as bpf
from dataplane.bpf.hook import Hook

log = structlog.get_logger(__name__)

_ETHERTYPES: Final = {4: b"\x08\x00", 6: b"\x86\xdd"}


class Injector:
    """Packet sockets on both ends of the pair and on no interface, which send only; and the XDP program."""

    def __init__(self, pair: Pair, programs: Programs) -> None:
        self._pair = pair
        self._programs = programs
        self._near = _packet_socket(pair.near.name)
        self._far = _packet_socket(pair.far.name)
        self._any = _packet_socket()

    def close(self) -> None:
        """Stop."""
        self._near.close()
        self._far.close()
        self._any.close()

    def to_pipeline(self, frame: bytes) -> None:
        """A frame passes the pipeline as if the host had just sent it."""
        _send(self._near, frame)

    def arrive(self, ifindex: int, frame: bytes) -> None:
        """A frame passes the pipeline as if it had come in at an interface whose program is at XDP."""
        program = self._programs.open(Hook.XDP)
        try:
            bpf.let_in(program, ifindex, frame)
        except OSError as error:  # the interface has just gone
            log.debug("injection_failed", octets=len(frame), error=error.strerror)
        finally:
            os.close(program)

    def straight_out(self, interface: str, frame: bytes) -> None:
        """A frame leaves by an interface as it is."""
        _send(self._any, frame, interface)

    def to_host(self, packet: bytes) -> None:
        """An IP packet arrives at the host as if it came out of the pipeline."""
        ethertype = _ETHERTYPES.get(packet[0] >> 4, b"")
        if ethertype:
            _send(self._far, self._pair.near.mac + self._pair.far.mac + ethertype + packet)


def _packet_socket(interface: str = "") -> socket.socket:
    # Protocol 0: nothing is received.
    handle = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    if interface:
        handle.bind((interface, 0))
    return handle


def _send(handle: socket.socket, frame: bytes, interface: str = "") -> None:
    try:
        if interface:
            handle.sendto(frame, (interface, 0))
        else:
            handle.send(frame)
    except OSError as error:  # the sender's own retransmission has to do
        log.debug("injection_failed", octets=len(frame), error=error.strerror)
