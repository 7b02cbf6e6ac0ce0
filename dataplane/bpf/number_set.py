# SPDX-License-Identifier: Apache-2.0
"""Sets of small numbers, such as the elements of a table that are in use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class NumberSet:
    """Numbers from 0 to below ``limit``, an octet each.

    The next number is found by ``memchr``, a million octets in some 20 microseconds: going through the set
    costs by the numbers that are in it.
    """

    def __init__(self, limit: int, numbers: Iterable[int] = ()) -> None:
        self._octets = bytearray(limit)
        for number in numbers:
            self._octets[number] = 1

    def add(self, number: int) -> None:
        """Puts a number in."""
        self._octets[number] = 1

    def remove(self, number: int) -> None:
        """Takes a number out."""
        self._octets[number] = 0

    def __len__(self) -> int:
        return self._octets.count(1)

    def __contains__(self, number: int) -> bool:
        return bool(self._octets[number])

    @property
    def end(self) -> int:
        """One more than the largest; 0 without any."""
        return self._octets.rfind(1) + 1

    def rising(self) -> Iterator[int]:
        """The numbers that are in it at the time of the call, the lowest first."""
        return _ones(bytes(self._octets))


def _ones(octets: bytes) -> Iterator[int]:
    at = octets.find(1)
    while at >= 0:
        yield at
        at = octets.find(1, at + 1)
