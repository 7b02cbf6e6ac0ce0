# SPDX-License-Identifier: Apache-2.0
"""Takes off the machine all that an agent made there."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any, Final

import structlog
from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from dataplane.agent import checks, forwarding
from dataplane.agent.access import AccessPair
from dataplane.agent.config import NodeConfig
from dataplane.agent.feature_peers import remove_others
from dataplane.agent.features import Feature, switch
from dataplane.agent.gateway_routes import GatewayRoutes
from dataplane.agent.neighbours import Neighbours
from dataplane.agent.state import NodeState, read_state
from dataplane.agent.uplink_routes import UplinkRoutes
from dataplane.agent.watch import read_host
from dataplane.bpf import attach
from dataplane.bpf.hook import Hook
from moorline.errors import MoorlineError

_STATE: Final = (
    "credentials",
    "peers",
    "pipeline.*",
    "p4runtime.config",
    ".node.json.*",  # as they were being written
    ".p4runtime.config.*",
    "node.json",
    "lock",
)
"""What a node has in its state folder."""

log = structlog.get_logger(__name__)


class RemovalError(MoorlineError):
    """Something of a node's stays on the machine."""


async def remove_node_state(config: NodeConfig) -> None:
    """Take programs, pins, interfaces, credentials and state of a node off this machine, and set back what it
    changed. The state goes last: until then the removal can be repeated.

    Raises:
        StartError: the agent runs.
        RemovalError: something cannot be removed.
    """
    checks.check_root()
    if not config.state_dir.exists():
        log.info("no_node_state", state_dir=str(config.state_dir))
        return
    with checks.only_agent(config.state_dir):
        state = read_state(config.state_dir / "node.json")
        async with AsyncIPRoute() as netlink:
            try:
                await remove_others(config, netlink, keep=())
                await _clean_network(netlink, config, state)
            except NetlinkError as error:
                raise RemovalError(
                    f"the node's network settings stay in part ({error.args[-1]}): see the log, and try again"
                ) from error
        _remove_pins(config.pins)
        with contextlib.suppress(OSError):  # other nodes' pins, or not ours
            config.pins.parent.rmdir()
        if config.socket.is_socket():
            config.socket.unlink()
        _remove_state(config.state_dir)
    log.info("node_state_removed", state_dir=str(config.state_dir))


async def _clean_network(netlink: Any, config: NodeConfig, state: NodeState) -> None:
    host = read_host()
    for interface, hook in state.hooks.items():
        link = host.link_named(interface)
        if link is not None:
            await attach.detach(netlink, link.index, Hook(hook))
    for interface in state.whole_checksums:
        if host.link_named(interface) is not None:
            switch(interface, Feature.TRANSMIT_CHECKSUMS, on=True)
    forwarding.restore(state.former_sysctls)
    await forwarding.Guard(netlink).keep((), ())
    await UplinkRoutes(netlink).keep(())
    await GatewayRoutes(netlink).keep((), 0, ())
    neighbours = Neighbours(netlink)
    await neighbours.keep((), frozenset())
    await AccessPair(netlink, config.interface, config.far_interface).remove()


def _remove_pins(pins: Path) -> None:
    if pins.exists() and not checks.holds_pins(pins):
        raise RemovalError(f"{pins} is in no BPF filesystem, and stays: set pins in [node]")
    _remove(pins)


def _remove_state(folder: Path) -> None:
    """Remove what is a node's; what somebody else keeps in the folder stays there."""
    for name in _STATE:
        for path in folder.glob(name):
            if path.is_dir():
                _remove(path)
            else:
                path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise RemovalError(f"{error.filename} cannot be removed ({error.strerror}): remove it") from error
