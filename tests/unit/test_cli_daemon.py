# SPDX-License-Identifier: Apache-2.0
"""Daemons in the foreground: how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio
import signal
from moorline.cli.daemon import run_until_told

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored

async def work():
    try:
        print("up", flush=True)
        await asyncio.Event().wait()
    finally:
        print("down", flush=True)

try:
    run_until_told(work())
except KeyboardInterrupt:
    raise SystemExit(130)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals_end_the_work_in_order(number: signal.Signals, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (code, b"down\n", b"")
