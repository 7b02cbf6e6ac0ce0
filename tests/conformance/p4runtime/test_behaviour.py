# SPDX-License-Identifier: Apache-2.0
"""Every case on every server: as specified, or as the documentation says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.p4runtime import (
    arbitration,
    batches,
    counters,
    digests,
    entries,
    idle,
    matches,
    packets,
    pipeline,
    reads,
    targets,
)
from tests.conformance.p4runtime.cases import AS_SPECIFIED, CASES, Deviation, deviations

MODULES = (arbitration, batches, counters, digests, entries, idle, matches, packets, pipeline, reads)
"""What adds the cases."""

DEVIATIONS = deviations()


@pytest.fixture(scope="module", params=["agent", pytest.param("bmv2", marks=pytest.mark.bmv2)])
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[targets.Target]:
    if request.param == "agent":
        with targets.agent() as standing:
            yield standing
    else:
        with targets.bmv2(tmp_path_factory.mktemp("bmv2")) as standing:
            yield standing


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, target: targets.Target) -> None:
    case = CASES[name]
    deviation = DEVIATIONS.get(name, Deviation(case.specified, AS_SPECIFIED, AS_SPECIFIED))
    expected = getattr(deviation, target.name)
    with target.session() as session:
        told = case.ask(session)
    if case.ruins:
        target.start_anew()
    assert told == (case.specified if expected == AS_SPECIFIED else expected)


@pytest.mark.parametrize("name", DEVIATIONS)
def test_the_table_speaks_of_cases_and_of_deviations(name: str) -> None:
    deviation = DEVIATIONS[name]
    assert name in CASES, "no case has this name"
    assert deviation.specified == CASES[name].specified
    assert deviation.specified not in (deviation.agent, deviation.bmv2), f"write {AS_SPECIFIED}"
    assert (deviation.agent, deviation.bmv2) != (AS_SPECIFIED, AS_SPECIFIED), "take this row out"
