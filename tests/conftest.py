# SPDX-License-Identifier: Apache-2.0
"""Privileged tests run wherever they can: a machine that could run them may not skip them.

The same goes for tests of the software switch BMv2, which need it on the PATH.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tools.lab.cleanup import interruptible
from tools.lab.switch import PROGRAM, find_switch

PRIVILEGED_FOLDERS = ("conformance", "lab")
BPF_MAP_TYPE_ARRAY = 2

_skipped: list[str] = []


@cache
def why_unprivileged() -> str:
    """Why privileged tests cannot run here; empty when they can."""
    if os.geteuid() != 0:
        return "needs root"
    library = ctypes.util.find_library("bpf")
    if library is None:
        return "needs libbpf (package python3-bpfcc)"
    descriptor = ctypes.CDLL(library).bpf_map_create(BPF_MAP_TYPE_ARRAY, None, 4, 4, 1, None)
    if descriptor < 0:
        return "needs a kernel with BPF"
    os.close(descriptor)
    return ""


def why_impossible(item: pytest.Item) -> str:
    """Why a test cannot run on this machine; empty when it can."""
    if item.get_closest_marker("privileged") and why_unprivileged():
        return why_unprivileged()
    if item.get_closest_marker("bmv2") and find_switch() is None:
        return f"needs {PROGRAM} on the PATH"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in PRIVILEGED_FOLDERS:
            item.add_marker(pytest.mark.privileged)
        if why := why_impossible(item):
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    needs = item.get_closest_marker("privileged") or item.get_closest_marker("bmv2")
    if report.skipped and not hasattr(report, "wasxfail") and needs and not why_impossible(item):
        _skipped.append(item.nodeid)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _skipped:
        terminalreporter.section("tests were skipped although this machine can run them")
        for name in _skipped:
            terminalreporter.line(name)


@pytest.fixture(scope="session", autouse=True)
def _unwound_when_told_to_end() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does: every fixture takes away what it made."""
    with interruptible():
        yield
