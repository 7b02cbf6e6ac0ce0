# SPDX-License-Identifier: Apache-2.0
"""Spreads the work of virtual interfaces over the processors (receive packet steering, RPS).

A packet that crosses a veth pair is worked on by the processor that sent it. With RPS, which keeps the order
within a flow, a program goes on copying while another processor encapsulates what it has sent before: one TCP
stream gains about a third on two processors, and a round trip loses nothing.

Which processor that is, RPS reads from the packet's hash, and there a TCP socket has put a random number. The
two directions of a connection then fall on one processor or on two as chance has it, for as long as the
connection lives, and on two a stream is slower by a third. A hash that is not there the kernel makes of the
packet itself, the same for both directions (``__skb_get_hash``).
"""

from __future__ import annotations

import asyncio
import os
import struct
from typing import Any, Final

import structlog

from dataplane.agent.netlink import Link
from dataplane.bpf import sys as bpf
from dataplane.bpf.attach import AttachError, attach_to_departures

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


_SCHED_CLS: Final = 3
"""BPF_PROG_TYPE_SCHED_CLS."""

_FORGET_HASH: Final = b"".join(
    (
        struct.pack("=BBhi", 0x85, 0, 0, 41),  # call bpf_set_hash_invalid; the packet is in r1 already
        struct.pack("=BBhi", 0xB7, 0, 0, -1),  # r0 = TC_ACT_UNSPEC: other filters see the packet as well
        struct.pack("=BBhi", 0x95, 0, 0, 0),  # exit
    )
)
"""Too short to keep a compiler's result for: struct bpf_insn three times."""


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


async def keep_flows_together(netlink: Any, near: Link) -> None:
    """Let packets that leave by the near end forget the hash of their socket.

    The interface holds the program from then on. Where that cannot be set, the log says so and traffic goes
    on.

    Args:
        netlink: a ``pyroute2.AsyncIPRoute``.
        near: the end with the virtual addresses.
    """
    try:
        program = bpf.load_program(_SCHED_CLS, "forget_hash", _FORGET_HASH)
        try:
            await attach_to_departures(netlink, near.name, near.index, program)
        finally:
            os.close(program)
    except (AttachError, bpf.ProgramRefusedError) as error:
        log.warning("flows_not_kept_together", interface=near.name, why=str(error))


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
