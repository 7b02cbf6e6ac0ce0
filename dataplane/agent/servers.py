# SPDX-License-Identifier: Apache-2.0
"""The agent's gRPC servers: one on the local socket, one for the controller over TLS."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import grpc

from dataplane.agent.authorization import OnlyControllerAndOperators
from dataplane.p4runtime.server import GRPC_OPTIONS
from moorline import local_socket
from moorline.errors import MoorlineError
from moorline.tls import Credentials

GRACE_SECONDS: Final = 0.2
"""For calls under way when the agent ends; streams would stay for ever."""

# Without it, a second agent would share the port and get every other call.
_OPTIONS: Final = [*GRPC_OPTIONS, ("grpc.so_reuseport", 0)]

AddServices = Callable[[grpc.aio.Server], None]


class ListenError(MoorlineError):
    """An address that cannot be listened on."""


async def serve_locally(socket: Path, add: AddServices) -> grpc.aio.Server:
    """Serve on a unix socket that only root may open. Raises ListenError, SocketPathError."""
    server = grpc.aio.server(options=_OPTIONS)
    add(server)
    try:
        with local_socket.private(socket, "socket in [node]"):
            server.add_insecure_port(f"unix:{socket}")
        await server.start()
    except (OSError, RuntimeError) as error:
        raise ListenError(f"socket {socket} cannot be made ({error}): set socket in [node]") from error
    return server


async def serve_controller(port: int, credentials: Credentials, add: AddServices) -> grpc.aio.Server:
    """Serve on all addresses, over TLS, for the controller and operators. Raises ListenError."""
    server = grpc.aio.server(options=_OPTIONS, interceptors=[OnlyControllerAndOperators()])
    add(server)
    try:
        server.add_secure_port(f"[::]:{port}", credentials.for_server())
    except RuntimeError as error:
        raise ListenError(
            f"TCP port {port} for P4Runtime is in use: free it, or set p4runtime_port in [node]"
        ) from error
    await server.start()
    return server


@contextlib.asynccontextmanager
async def stopping(server: grpc.aio.Server) -> AsyncIterator[grpc.aio.Server]:
    """Stops a server at the end."""
    try:
        yield server
    finally:
        await server.stop(GRACE_SECONDS)
