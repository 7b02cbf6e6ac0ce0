# SPDX-License-Identifier: Apache-2.0
"""What the kernel has is compared with what is wanted only where that may differ."""

from __future__ import annotations

import asyncio

import pytest

from dataplane.agent.known import Known


class Maker:
    """Records what it was called for; ``whole`` is its answer."""

    def __init__(self, whole: bool = True) -> None:
        self.made: list[int] = []
        self.whole = whole

    async def __call__(self, wanted: int) -> bool:
        self.made.append(wanted)
        await asyncio.sleep(0)
        return self.whole


async def test_only_what_differs_is_made() -> None:
    known, maker = Known[int](), Maker()
    for wanted in (1, 1, 2, 2, 1):
        await known.have(wanted, maker)
    assert maker.made == [1, 2, 1]


async def test_who_comes_while_it_is_made_waits_and_makes_nothing() -> None:
    known, maker = Known[int](), Maker()
    await asyncio.gather(known.have(1, maker), known.have(1, maker), known.have(2, maker))
    assert maker.made == [1, 2]


async def test_what_the_kernel_did_not_take_is_tried_again() -> None:
    known, maker = Known[int](), Maker(whole=False)
    await known.have(1, maker)
    await known.have(1, maker)
    assert maker.made == [1, 1]


async def test_a_doubt_while_it_is_made_stays() -> None:
    known, maker = Known[int](), Maker()
    under_way = asyncio.create_task(known.have(1, maker))
    await asyncio.sleep(0)
    known.doubt()
    await under_way
    await known.have(1, maker)
    assert maker.made == [1, 1]


async def test_nothing_is_known_after_an_error() -> None:
    async def fails(_: int) -> bool:
        raise OSError

    known, maker = Known[int](), Maker()
    with pytest.raises(OSError):
        await known.have(1, fails)
    await known.have(1, maker)
    assert maker.made == [1]
