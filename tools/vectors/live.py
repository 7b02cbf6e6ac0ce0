# SPDX-License-Identifier: Apache-2.0
"""Sends single frames over a real veth pair to a program at TC.

The kernel refuses TC test runs of frames that end inside the fixed IP header; a wire does not.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

from pyroute2 import AsyncIPRoute

from dataplane.bpf.attach import attach, detach
from dataplane.bpf.hook import Hook
from moorline.errors import MoorlineError

PATIENCE_SECONDS = 5.0


class LostError(MoorlineError):
    """A frame that a program never saw."""


def send_to_tc(
    interface: str, ifindex: int, wire_end: str, program: int, frame: bytes, arrived: Callable[[], bool]
) -> None:
    """Let ``frame`` arrive at ``interface`` through the other end of its pair, with ``program`` attached.

    ``arrived`` says whether the program has counted it.

    Raises:
        LostError: it did not within some seconds.
    """
    asyncio.run(_attach(interface, ifindex, program))
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
            wire.bind((wire_end, 0))
            wire.send(frame)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not arrived():
            if time.monotonic() > deadline:
                raise LostError(f"a frame of {len(frame)} octets never arrived at {interface}; is it up?")
            time.sleep(0.001)
    finally:
        asyncio.run(_detach(ifindex))


async def _attach(interface: str, ifindex: int, program: int) -> None:
    async with AsyncIPRoute() as netlink:
        await attach(netlink, interface, ifindex, Hook.TC, program)


async def _detach(ifindex: int) -> None:
    async with AsyncIPRoute() as netlink:
        await detach(netlink, ifindex, Hook.TC)
