# SPDX-License-Identifier: Apache-2.0
"""An empty grpc.aio echo service on a unix socket: what any Python service pays for a unary call."""

from __future__ import annotations

import asyncio
import sys

import grpc

from moorline.api.v1 import moorline_pb2 as api

_Empty = api.GetControllerStatusRequest


async def _echo(request: object, _context: grpc.aio.ServicerContext) -> object:
    return request


async def _serve(socket: str) -> None:
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        _echo, request_deserializer=_Empty.FromString, response_serializer=_Empty.SerializeToString
    )
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bench.Echo", {"Echo": handler})])
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
