# SPDX-License-Identifier: Apache-2.0
"""Starting an agent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyroute2 import AsyncIPRoute

from dataplane.agent import checks
from dataplane.agent.config import NodeConfig
from dataplane.agent.state import NodeState, read_state
from dataplane.agent.watch import read_host
from dataplane.bpf.manifest import PipelineSpec
from moorline import tls

if TYPE_CHECKING:
    from dataplane.agent.agent import Agent

P4INFO: Final = Path(__file__).resolve().parents[2] / "p4" / "moorline.p4info.txtpb"
"""The contract."""


async def run_agent(config: NodeConfig) -> None:
    """Run this machine's agent until cancelled. Packets are forwarded before, meanwhile and after.

    Raises:
        MoorlineError: it cannot start; one sentence says why.
    """
    checks.check_root()
    checks.check_joined(config)
    credentials = tls.Credentials.read(config.credentials_dir)
    checks.check_pins(config.pins)
    with checks.only_agent(config.state_dir):
        state = read_state(config.state_dir / "node.json")
        checks.check_interfaces(config, state, read_host())
        async with AsyncIPRoute() as netlink:
            agent = await _make_agent(config, state, credentials, netlink)
            await agent.run()


async def _make_agent(
    config: NodeConfig, state: NodeState, credentials: tls.Credentials, netlink: Any
) -> Agent:
    # Late: what is wrong with the settings should not have to wait for all of this.
    from dataplane.agent.agent import Agent  # noqa: PLC0415
    from dataplane.agent.join import node_name  # noqa: PLC0415
    from dataplane.agent.ports import choose_hooks  # noqa: PLC0415
    from dataplane.bpf.pipeline import ensure_pipeline  # noqa: PLC0415
    from dataplane.contract.binding import Binding  # noqa: PLC0415
    from dataplane.contract.p4info import load_p4info  # noqa: PLC0415

    state.node = node_name(credentials)
    checks.check_controller(config, state)
    hooks = choose_hooks(config)
    pipeline = await ensure_pipeline(
        PipelineSpec(P4INFO, config.pins, config.state_dir, config.table_sizes, frozenset(hooks.values()))
    )
    binding = Binding(load_p4info(P4INFO, config.table_sizes), pipeline.shapes)
    return Agent(config, hooks, state, credentials, pipeline, binding, netlink)
