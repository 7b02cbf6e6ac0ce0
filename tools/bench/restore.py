# SPDX-License-Identifier: Apache-2.0
"""Nanoseconds a packet of an XDP program, by test runs that restore the packet before each repetition."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Any

from dataplane.bpf import sys as bpf
from dataplane.bpf.headers import find_headers
from dataplane.bpf.hook import Hook
from tools.testrun import TestProgram

REPETITIONS = 50_000
"""Test runs cost milliseconds by themselves: what one call repeats must outweigh that."""

BATCHES = 8


def nanoseconds(program: TestProgram, frame: bytes, ifindex: int = 0) -> float:
    """Smallest mean of some batches: what the program takes when nothing disturbs it."""
    return float(min(program.nanoseconds(frame, ifindex, REPETITIONS) for _ in range(BATCHES)))


def ipv4_sum(header: bytes) -> int:
    """Sum of an IPv4 header's words without checksum and addresses (octets 10 to 19)."""
    return sum(struct.unpack("!5H", header[:10]))


class Restorer:
    """The programs of ``restore_xdp.c``, loaded."""

    def __init__(self) -> None:
        # BCC comes with the distribution and is needed by nothing else here; it reads the environment.
        os.environ["BCC_KERNEL_SOURCE"] = str(find_headers())
        from bcc import BPF  # noqa: PLC0415

        source = Path(__file__).with_name("restore_xdp.c")
        self._module: Any = BPF(src_file=str(source), cflags=["-w"])

        def xdp(name: str) -> TestProgram:
            return TestProgram(self._module.load_func(name, BPF.XDP).fd, Hook.XDP)

        self.floor_xdp = xdp("floor_xdp")
        self.floor_tc = TestProgram(self._module.load_func("floor_tc", BPF.SCHED_CLS).fd, Hook.TC)
        self._programs = {name: xdp(name) for name in ("restore_moorline", "restore_client", "arrive_access")}

    def net(
        self,
        program: str,
        target_fd: int,
        frame: bytes,
        header_sum: int,
        flows: int,
        ifindex: int = 0,
    ) -> float:
        """Nanoseconds a packet of ``target_fd``, ``flows`` flows in random order, less the wrapper."""
        self._plan(frame, header_sum, flows)
        wrapper = self._programs[program]
        self._module["target"][0] = ctypes.c_int(target_fd)
        with_target = nanoseconds(wrapper, frame, ifindex)
        del self._module["target"][0]
        return with_target - nanoseconds(wrapper, frame, ifindex)

    def code(
        self,
        program: str,
        target_fd: int,
        frame: bytes,
        header_sum: int,
        flows: int,
        ifindex: int = 0,
    ) -> int:
        """What the target returns for one restored packet: whether it is measured doing its work."""
        self._plan(frame, header_sum, flows)
        self._module["target"][0] = ctypes.c_int(target_fd)
        code, _ = self._programs[program].run(frame, ifindex)
        del self._module["target"][0]
        return code

    def arrive(self, frame: bytes, header_sum: int, flows: int, ifindex: int, count: int) -> None:
        """Let packets of programs come in at an interface, ``flows`` flows in random order.

        What the interface's programs and the network stack do with them is done when this returns.
        """
        self._plan(frame, header_sum, flows)
        bpf.let_in(self._programs["arrive_access"].fd, ifindex, frame, count)

    def _plan(self, frame: bytes, header_sum: int, flows: int) -> None:
        plan = self._module["plan"]
        leaf = plan.Leaf()
        leaf.words[:] = struct.unpack("=16Q", frame)
        leaf.random, leaf.flows, leaf.header_sum = 1, flows, header_sum
        plan[0] = leaf
