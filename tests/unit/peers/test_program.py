# SPDX-License-Identifier: Apache-2.0
"""Programs that outlive the agent that started them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest

from dataplane.peers.base import PeerError
from dataplane.peers.program import Program

SLEEP = ("sleep", "600")


async def test_the_next_agent_finds_and_ends_what_a_former_one_started(tmp_path: Path) -> None:
    first, second = Program("nap", SLEEP, tmp_path), Program("nap", SLEEP, tmp_path)
    assert not second.adopt()
    first.start()
    assert second.adopt() and second.runs
    ended = asyncio.Event()
    first.on_end(ended.set)
    await second.stop()
    async with asyncio.timeout(10):
        await ended.wait()
    assert not first.runs and not second.runs
    assert not second.adopt()


async def test_another_command_is_another_program(tmp_path: Path) -> None:
    program, other = Program("nap", SLEEP, tmp_path), Program("nap", ("sleep", "601"), tmp_path)
    program.start()
    assert not other.adopt()
    ended = asyncio.Event()
    program.on_end(ended.set)
    await other.stop()
    async with asyncio.timeout(10):
        await ended.wait()
    assert not program.runs


async def test_a_program_that_ends_while_it_is_being_stopped_is_stopped(tmp_path: Path) -> None:
    """Nobody has read yet that it is gone, and its number is nobody's."""
    mine = subprocess.Popen(SLEEP)
    program = Program("nap", SLEEP, tmp_path)
    stat = Path(f"/proc/{mine.pid}/stat").read_text().rpartition(")")[2].split()
    (tmp_path / "nap.process").write_text(
        f'{{"pid": {mine.pid}, "started": "{stat[19]}", "command": ["sleep", "600"]}}'
    )
    assert program.adopt()
    os.kill(mine.pid, signal.SIGKILL)
    mine.wait()
    async with asyncio.timeout(10):
        await program.stop()
    assert not program.runs


async def test_last_words_and_a_program_that_is_not_there(tmp_path: Path) -> None:
    program = Program("talker", ("sh", "-c", "echo first; echo it is over"), tmp_path)
    ended = asyncio.Event()
    program.on_end(ended.set)
    program.start()
    async with asyncio.timeout(10):
        await ended.wait()
    assert program.last_words == "it is over"
    with pytest.raises(PeerError, match="nothing cannot be started"):
        Program("nothing", ("/nonexistent/program",), tmp_path).start()
