# SPDX-License-Identifier: Apache-2.0
"""What a store acknowledged is there after its process was killed in the middle of its work."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from control.store.base import Transaction
from tests.unit.control.engines import ENGINES

WRITERS = 8


async def write_for_ever(engine: str, folder: Path) -> None:
    """Commit numbered pairs of keys from several tasks; say each number once it is acknowledged."""
    store = await ENGINES[engine](folder)

    async def write(writer: int) -> None:
        number = writer
        while True:
            pair = {f"left/{number}": b"x" * (number % 500), f"right/{number}": str(number).encode()}
            await store.commit(Transaction(compares=dict.fromkeys(pair, 0), puts=pair))
            print(number, flush=True)
            number += WRITERS

    await asyncio.gather(*map(write, range(WRITERS)))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("engine", ENGINES)
async def test_what_was_acknowledged_outlives_a_kill(engine: str, seed: int, tmp_path: Path) -> None:
    wanted = random.Random(seed).randrange(1, 800)
    child = subprocess.Popen(
        [sys.executable, "-m", __name__, engine, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child:
        acknowledged = [int(child.stdout.readline()) for _ in range(wanted)]
        child.kill()
        acknowledged += [int(line) for line in child.stdout if line.endswith("\n")]
    store = await ENGINES[engine](tmp_path)
    listing = await store.scan("")
    await store.close()
    found = {entry.key: entry.value for entry in listing.entries}
    for number in acknowledged:
        assert found[f"right/{number}"] == str(number).encode()
    # Whole transactions only, also of what nobody was told of any longer.
    numbers = {key.removeprefix("right/") for key in found if key.startswith("right/")}
    assert {key.removeprefix("left/") for key in found if key.startswith("left/")} == numbers
    assert listing.revision == len(numbers)


if __name__ == "__main__":
    asyncio.run(write_for_ever(sys.argv[1], Path(sys.argv[2])))
