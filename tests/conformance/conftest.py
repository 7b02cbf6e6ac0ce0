# SPDX-License-Identifier: Apache-2.0
"""The targets of the conformance tests; tests/conftest.py fails a run that skips any of them needlessly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dataplane.bpf.hook import Hook
from tools.vectors.bmv2_target import Bmv2Target, bmv2_target
from tools.vectors.bpf_target import BpfTarget, bpf_targets


@pytest.fixture(scope="package")
def targets() -> Iterator[dict[Hook, BpfTarget]]:
    """Both hooks; while they stand, the tests run in their network namespace."""
    with bpf_targets() as both:
        yield {target.hook: target for target in both}


@pytest.fixture(scope="package")
def bmv2() -> Iterator[Bmv2Target]:
    """A switch; for tests with the mark ``bmv2``."""
    with bmv2_target() as target:
        yield target


@pytest.fixture(params=list(Hook), ids=str)
def target(request: pytest.FixtureRequest, targets: dict[Hook, BpfTarget]) -> BpfTarget:
    """Each hook in turn."""
    return targets[request.param]
