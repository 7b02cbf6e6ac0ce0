# SPDX-License-Identifier: Apache-2.0
"""Rounds that interleave what is compared, and throw away those in which the hypervisor stole time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import structlog

log = structlog.get_logger(__name__)

STOLEN_SHARE = 0.05
"""A round is measured again when more than this share of processor time was stolen during it."""


def _processor_ticks() -> tuple[int, int]:
    """(stolen, all) ticks of all processors since boot, from ``/proc/stat``."""
    fields = [int(f) for f in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return fields[7], sum(fields[:8])


@dataclass(frozen=True, slots=True)
class Samples:
    """Figures of one subject, a round each."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return median(self.values)

    @property
    def spread(self) -> float:
        """(largest - smallest) / median: the machine's noise."""
        return (max(self.values) - min(self.values)) / self.median if self.median else 0.0


def interleave(subjects: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Samples]:
    """Measure every subject once a round, in turn; up to ``rounds`` rounds with stolen time are repeated."""
    kept: dict[str, list[float]] = {name: [] for name in subjects}
    spare = rounds
    done = 0
    while done < rounds:
        stolen_before, all_before = _processor_ticks()
        figures = {name: measure() for name, measure in subjects.items()}
        stolen_after, all_after = _processor_ticks()
        share = (stolen_after - stolen_before) / max(1, all_after - all_before)
        if share > STOLEN_SHARE and spare > 0:
            spare -= 1
            log.info("round_discarded", stolen_share=round(share, 3))
            continue
        for name, value in figures.items():
            kept[name].append(value)
        done += 1
    return {name: Samples(tuple(values)) for name, values in kept.items()}


def ratio(samples: Mapping[str, Samples], subject: str, peer: str) -> float:
    """Median of the ratios round by round, so that drift of the machine's speed falls out."""
    pairs = zip(samples[subject].values, samples[peer].values, strict=True)
    return median(a / b for a, b in pairs)


def difference(samples: Mapping[str, Samples], subject: str, peer: str) -> float:
    """Median of the differences round by round, likewise."""
    pairs = zip(samples[subject].values, samples[peer].values, strict=True)
    return median(a - b for a, b in pairs)
