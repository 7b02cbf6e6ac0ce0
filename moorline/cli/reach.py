# SPDX-License-Identifier: Apache-2.0
"""Whether the controller can be reached from this machine, asked by its health service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dataplane.agent.state import read_state
from moorline import tls
from moorline.cli.client import explained
from moorline.cli.files import is_absent

if TYPE_CHECKING:
    from moorline.cli.settings import Settings

PATIENCE_SECONDS: Final = 5.0


async def controller_of_node(settings: Settings) -> str | None:
    """Ask the controller that this node joined, with the node's certificate.

    Returns its address, ``None`` where this machine has not joined; raises ``MoorlineError`` when the
    controller does not answer or refuses the certificate.
    """
    target = settings.node.controller or read_state(settings.node.state_dir / "node.json").controller
    if not target or is_absent(settings.node.credentials_dir):
        return None
    credentials = tls.Credentials.read(settings.node.credentials_dir).for_channel()
    channel = grpc.aio.secure_channel(target, credentials, options=tls.channel_options(tls.CONTROLLER))
    mend = "see that it runs, and that a firewall lets its ports pass"
    async with explained(channel, f"the controller at {target}", mend, PATIENCE_SECONDS):
        request = health_pb2.HealthCheckRequest()
        await health_pb2_grpc.HealthStub(channel).Check(request, timeout=PATIENCE_SECONDS)
    return target
