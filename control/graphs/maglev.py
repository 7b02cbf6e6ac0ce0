# SPDX-License-Identifier: Apache-2.0
"""Which instance of a feature peer a bucket of customers goes to.

The table is Maglev's (Eisenbud et al., NSDI 2016, section 3.4) over all ordinary instances, whether they live
or not. A bucket whose owner does not live goes to the living instance that would have claimed it first. So a
bucket moves only when the instance that has it goes, or a better one comes back; never for what others do.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

BUCKETS: Final = 256

_SEED: Final = 0x9E3779B97F4A7C15
_FACTOR: Final = 0xFF51AFD7ED558CCD
_WORD: Final = 1 << 64


def bucket_of(customer: bytes) -> int:
    """The bucket of a customer's address (16 octets, IPv4 mapped), as the data planes compute it."""
    mixed = _SEED
    for at in (0, 8):
        mixed = (mixed ^ int.from_bytes(customer[at : at + 8])) * _FACTOR % _WORD
    return mixed >> 32 & 0xFF


def spread(ordinary: Collection[str], spares: Collection[str], living: Collection[str]) -> tuple[str, ...]:
    """The instance of each bucket, by name; empty when nobody lives.

    Args:
        ordinary: all instances that are no spares.
        spares: those that take over when no ordinary one lives.
        living: those among both that take customers.
    """
    candidates = sorted(set(ordinary) & set(living)) or sorted(set(spares) & set(living))
    if not candidates:
        return ()
    owners = table(tuple(sorted(ordinary)))
    chosen = frozenset(candidates)
    return tuple(
        owners[bucket] if owners and owners[bucket] in chosen else _first_claim(candidates, bucket)
        for bucket in range(BUCKETS)
    )


@lru_cache(maxsize=256)
def table(names: tuple[str, ...]) -> tuple[str, ...]:
    """Maglev's table: each of ``names`` claims its next free bucket in turn; none without names."""
    owners: list[str | None] = [None] * BUCKETS
    claims = [iter(_order(name)) for name in names]
    left = BUCKETS if names else 0
    while left:
        for name, claim in zip(names, claims, strict=True):
            bucket = next(bucket for bucket in claim if owners[bucket] is None)
            owners[bucket] = name
            left -= 1
            if not left:
                break
    return tuple(owner for owner in owners if owner is not None)


def _first_claim(names: Sequence[str], bucket: int) -> str:
    return min(names, key=lambda name: (_ranks(name)[bucket], name))


@lru_cache(maxsize=4096)
def _order(name: str) -> tuple[int, ...]:
    """All buckets in the order in which ``name`` claims them: a step that is odd reaches each once."""
    seed = blake2b(name.encode(), digest_size=2).digest()
    start, step = seed[0], seed[1] | 1
    return tuple((start + turn * step) % BUCKETS for turn in range(BUCKETS))


@lru_cache(maxsize=4096)
def _ranks(name: str) -> tuple[int, ...]:
    ranks = [0] * BUCKETS
    for rank, bucket in enumerate(_order(name)):
        ranks[bucket] = rank
    return tuple(ranks)
