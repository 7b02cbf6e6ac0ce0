# SPDX-License-Identifier: Apache-2.0
"""Servicers bound to gRPC: who calls is found out once, and errors become status codes with one sentence.

A servicer's methods have the names of its RPCs. A unary method takes (request, identity) and returns a
message, or its serialized form; one with a stream of answers is an asynchronous generator; one with a stream
of requests takes the stream in the place of the request. A method with streams both ways may be a plain
coroutine instead, which takes the gRPC context in the place of the request and reads and writes by itself:
each asynchronous generator on the way of a message costs some microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isasyncgenfunction
from typing import Any, Final

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from control.errors import ControlError, UnauthenticatedError
from moorline.api.v1 import graphs_pb2, moorline_pb2, peers_pb2, subscribers_pb2
from moorline.errors import MoorlineError
from moorline.tls import Identity, Kind, peer_identity

log = structlog.get_logger(__name__)

_NOBODY: Final = "this certificate names no node and no operator: use one that this controller gave out"
FAULT: Final = "the controller failed at this request: look into its log"
"""What a caller is told of a defect."""


_SERVICES: Final = {
    name: service
    for file in (graphs_pb2, moorline_pb2, peers_pb2, subscribers_pb2)
    for name, service in file.DESCRIPTOR.services_by_name.items()
}
"""The services of all proto files by name."""

Admit = Callable[[Identity], None]
"""Raises an error for a caller who is not let in."""


def bind(server: Any, name: str, servicer: object, admit: Admit | None) -> str:
    """Serve the service ``moorline.v1.<name>``; returns its full name.

    Args:
        server: a ``grpc.aio.Server``.
        name: the service, in whichever proto file.
        servicer: what answers.
        admit: who is let in, beyond having an identity; None: anybody, and callers have no identity.
    """
    service = _SERVICES[name]
    handlers = {
        method.name: _handler(method, getattr(servicer, method.name), admit) for method in service.methods
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service.full_name, handlers)])
    full_name: str = service.full_name
    return full_name


def status_of(error: MoorlineError) -> grpc.StatusCode:
    """The status for an error: what is not the controller's own comes from a bad request."""
    return error.status if isinstance(error, ControlError) else grpc.StatusCode.INVALID_ARGUMENT


def _handler(method: MethodDescriptor, serve: Callable[..., Any], admit: Admit | None) -> Any:
    parse = GetMessageClass(method.input_type).FromString
    if method.server_streaming:
        make = (
            grpc.stream_stream_rpc_method_handler
            if method.client_streaming
            else grpc.unary_stream_rpc_method_handler
        )
        return make(_stream(serve, admit), parse, _serialize)
    return grpc.unary_unary_rpc_method_handler(_unary(serve, admit), parse, _serialize)


def _unary(serve: Callable[..., Any], admit: Admit | None) -> Callable[..., Any]:
    async def call(request: Any, context: Any) -> Any:
        try:
            return await serve(request, _caller(context, admit))
        except MoorlineError as error:
            await context.abort(status_of(error), str(error))
        except Exception:
            log.exception("request_failed", request=type(request).__name__)
            await context.abort(grpc.StatusCode.INTERNAL, FAULT)

    return call


def _stream(serve: Callable[..., Any], admit: Admit | None) -> Callable[..., Any]:
    generates = isasyncgenfunction(serve)

    async def call(request: Any, context: Any) -> None:
        try:
            caller = _caller(context, admit)
            if not generates:
                await serve(context, caller)
                return
            async for message in serve(request, caller):
                await context.write(message)
        except MoorlineError as error:
            await context.abort(status_of(error), str(error))
        except Exception:
            log.exception("stream_failed", service=serve.__qualname__)
            await context.abort(grpc.StatusCode.INTERNAL, FAULT)

    return call


def _caller(context: Any, admit: Admit | None) -> Identity | None:
    if admit is None:
        return None
    identity = peer_identity(context)
    if identity is None or identity.kind is Kind.CONTROLLER:
        raise UnauthenticatedError(_NOBODY)
    admit(identity)
    return identity


def _serialize(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()
