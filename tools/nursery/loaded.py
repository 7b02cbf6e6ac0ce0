# SPDX-License-Identifier: Apache-2.0
"""All that controller, agent and commands load, for the process that they are forks of."""

from __future__ import annotations

import gc
from importlib import import_module

from moorline.cli.main import command

# Those that commands load when they are run, and not before.
for _name in (
    "moorline.cli.client",
    "moorline.cli.settings",
    "moorline.logs",
    "control.server",
    "dataplane.agent.main",
    "dataplane.agent.agent",
    "dataplane.agent.join",
):
    import_module(_name)
command()

# No fork's collector looks at what is here by now, and so none copies its pages.
gc.collect()
gc.freeze()
