# SPDX-License-Identifier: Apache-2.0
"""A child of the nursery is a process as any that is started: its own place, session, output and status."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from moorline import __version__
from tools.lab import HostPlan, Lab
from tools.lab.errors import LabError
from tools.lab.programs import MOORLINE


@pytest.fixture(scope="module")
def alone():
    """A controller that no agent talks to."""
    with Lab(hosts=[HostPlan("server")]) as lab:
        lab.controller.start()
        yield lab


def test_it_lives_where_its_lab_says_and_leads_a_session(alone):
    child = alone.controller.process
    namespace = Path(f"/proc/{child.pid}/ns/net")
    assert namespace.stat().st_ino == alone.controller.place.path.stat().st_ino
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    assert not Path(f"/proc/{child.pid}/cmdline").read_bytes().startswith(MOORLINE.encode())


def test_it_sees_the_files_of_its_place_and_nobody_else_does(alone):
    own = Path("/etc/hosts").read_text()
    host = alone["server"]
    host.join(alone.controller)  # finds the controller by its name, which is only in the lab's file
    assert "controller.lab" not in own
    assert Path("/etc/hosts").read_text() == own


def test_it_ends_as_it_is_told(alone):
    controller = alone.controller
    controller.process.kill()
    assert controller.process.wait(1) == -signal.SIGKILL
    controller.start()
    assert controller.process.stop() == 0
    controller.start()


def test_what_a_command_says_and_how_it_ends(alone):
    done = alone.controller.moorline("--version")
    assert (done.stdout, done.stderr, done.returncode) == (f"moorline {__version__}\n", "", 0)
    done = alone["server"].moorline("node", "join", "no-token", check=False)
    assert done.returncode != 0
    assert done.stderr.startswith("moorline: ")
    assert not done.stdout
    with pytest.raises(LabError, match="node join no-token failed with status"):
        alone["server"].moorline("node", "join", "no-token")


def test_a_command_that_does_not_end_is_ended(alone):
    with pytest.raises(LabError, match="did not end within"):
        alone.controller.place.run_child(
            ("--config", str(alone.controller.config), "connection", "watch"), timeout=0.1
        )
