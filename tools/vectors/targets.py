# SPDX-License-Identifier: Apache-2.0
"""The targets by name: which there are, which this machine has, and how to open them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from dataplane.bpf.hook import Hook
from tools.lab.switch import PROGRAM, find_switch

from .bmv2_target import bmv2_target
from .bpf_target import bpf_targets
from .target import Target, TargetName


def why_missing(name: TargetName) -> str:
    """Why this machine lacks a target; empty when it has it."""
    return f"{PROGRAM} is not on the PATH" if name is TargetName.BMV2 and find_switch() is None else ""


@contextmanager
def targets(names: Sequence[TargetName]) -> Iterator[list[Target]]:
    """These targets, in this order, as root."""
    hooks = [Hook(name) for name in names if name is not TargetName.BMV2]
    with ExitStack() as stack:
        opened: dict[str, Target] = {}
        if hooks:
            opened |= {target.hook: target for target in stack.enter_context(bpf_targets(hooks))}
        if TargetName.BMV2 in names:
            opened[TargetName.BMV2] = stack.enter_context(bmv2_target())
        yield [opened[name] for name in names]
