# SPDX-License-Identifier: Apache-2.0
"""Every vector of pcaps/ on every hook that it holds for."""

from __future__ import annotations

import pytest

from dataplane.bpf.hook import Hook
from tools.vectors import files
from tools.vectors.bpf_target import BpfTarget
from tools.vectors.runner import run

CASES = [
    (name, hook) for name in files.names() for hook in Hook if hook in (files.read(name).hooks or tuple(Hook))
]


@pytest.mark.parametrize(("name", "hook"), CASES, ids=[f"{name}-{hook}" for name, hook in CASES])
def test_vector(name: str, hook: Hook, targets: dict[Hook, BpfTarget]) -> None:
    assert run(files.read(name), targets[hook]) == []
