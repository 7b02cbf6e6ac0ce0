# SPDX-License-Identifier: Apache-2.0
"""The command that lays targets side by side: equal, different with a reason, different without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tools.vectors import files
from tools.vectors.commands import app

pytestmark = pytest.mark.bmv2


@pytest.mark.parametrize("without_a_reason", [False, True])
def test_targets_are_laid_side_by_side(tmp_path: Path, without_a_reason: bool) -> None:
    files.add(files.read("delivery/ipv4-over-ipv4"), tmp_path)
    gone = files.read("path/port-gone")
    files.add(replace(gone, differs={}, why="") if without_a_reason else gone, tmp_path)
    compared = CliRunner().invoke(app, ["compare", "--root", str(tmp_path)])
    assert "same      delivery/ipv4-over-ipv4 on xdp, tc, bmv2" in compared.output
    assert f"{'DIFFERENT' if without_a_reason else 'explained'} path/port-gone" in compared.output
    assert "DROP_NO_NEIGHBOUR" in compared.output
    assert f"{int(without_a_reason)} vectors without an explanation" in compared.output
    assert compared.exit_code == without_a_reason
