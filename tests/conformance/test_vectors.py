# SPDX-License-Identifier: Apache-2.0
"""Every vector of pcaps/ on every target that it holds for."""

from __future__ import annotations

import pytest

from dataplane.bpf.hook import Hook
from tools.vectors import files
from tools.vectors.bmv2_target import Bmv2Target
from tools.vectors.bpf_target import BpfTarget
from tools.vectors.runner import run
from tools.vectors.target import TargetName

CASES = [
    (name, hook) for name in files.names() for hook in Hook if hook in (files.read(name).hooks or tuple(Hook))
]
ON_BMV2 = [name for name in files.names() if TargetName.BMV2 in (files.read(name).hooks or tuple(TargetName))]


@pytest.mark.parametrize(("name", "hook"), CASES, ids=[f"{name}-{hook}" for name, hook in CASES])
def test_vector(name: str, hook: Hook, targets: dict[Hook, BpfTarget]) -> None:
    assert run(files.read(name), targets[hook]) == []


@pytest.mark.bmv2
@pytest.mark.parametrize("name", ON_BMV2)
def test_vector_on_bmv2(name: str, bmv2: Bmv2Target) -> None:
    assert run(files.read(name), bmv2) == []
